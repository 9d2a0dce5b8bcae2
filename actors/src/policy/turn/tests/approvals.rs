//! Questions to people: every answer, in time or not, bound to the call it was asked for.

use super::play::*;
use crate::{
    domain::{
        permission::{Answer, RulePattern},
        tool::Args,
    },
    policy::turn::Input,
};

/// Two calls that are asked about.
fn asking() -> Play {
    Play::of(agent())
        .with(say("k1"))
        .with(wants(1, &[("buy", r#"{"n":1}"#), ("buy", r#"{"n":2}"#)]))
}

#[test]
fn a_question_opens_and_no_slot_is_held() {
    Play::of(agent()).with(say("k1")).check(
        wants_now(1, &[("pay", "{}")]),
        "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 pay
                + approval_requested a1 about t1
                > ask a1
                > wake at 259201000
            ",
    );
}

#[test]
fn once_is_for_one_call_and_starts_it_once() {
    asking()
        .check(
            person(1, Answer::Once),
            "
                + approval_decided a1 Once
                > slot t1
            ",
        )
        // Said again by the same person it is the same answer, and writes nothing.
        .check(person(1, Answer::Once), "")
        .check(
            person(1, Answer::Reject),
            "! approval 1 is not open; it was answered, withdrawn, or never asked",
        )
        .check(
            slot(1),
            "
                + tool_started t1 by a1 until 301000
                > run t1
            ",
        )
        .check(slot(1), "");
}

#[test]
fn turn_session_always_and_all_answer_the_other_questions_too() {
    asking().check(
        person(1, Answer::Turn),
        "
                + approval_decided a1 Turn
                + approval_closed a2 Withdrawn
                > slot t1
                > slot t2
                > wake at 345601000
            ",
    );
    asking().check(
        person(1, Answer::Session),
        "
                + approval_decided a1 Session leaves Allow buy
                + approval_closed a2 Withdrawn
                > slot t1
                > slot t2
                > wake at 345601000
            ",
    );
    asking().check(
        person(1, Answer::Always),
        "
                + approval_decided a1 Always leaves Allow buy
                + approval_closed a2 Withdrawn
                > remember Allow buy
                > slot t1
                > slot t2
                > wake at 345601000
            ",
    );
    asking().check(
        person(1, Answer::All),
        "
                + approval_decided a1 All
                + approval_closed a2 Withdrawn
                > slot t1
                > slot t2
                > wake at 345601000
            ",
    );
}

#[test]
fn a_rule_for_every_session_is_told_to_the_house_again_on_waking() {
    let told = "
                > remember Allow buy
                > slot t1
                > slot t2
                > wake at 345601000
            ";
    asking().with(person(1, Answer::Always)).check(wake(), told).check(wake(), told);
    // Its own rule is nobody else's.
    let own = told.replace("> remember Allow buy", "");
    asking().with(person(1, Answer::Session)).check(wake(), &own);
}

#[test]
fn a_rule_that_asks_is_stronger_than_an_answer_for_the_session() {
    Play::of(agent()).with(say("k1")).with(wants(1, &[("pay", "{}"), ("pay", "{}")])).check(
        person(1, Answer::Session),
        "
                + approval_decided a1 Session leaves Allow pay
                > slot t1
            ",
    );
}

#[test]
fn a_question_ends_with_its_turn_at_the_latest() {
    let mut quick = agent();
    quick.limits.turn_ms = 500;
    Play::of(quick).with(say("k1")).check(
        wants(1, &[("pay", "{}")]),
        "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 pay
                + approval_requested a1 about t1
                > ask a1
            ",
    );
}

#[test]
fn what_was_allowed_for_a_turn_is_asked_again_in_the_next() {
    asking()
        .with(person(1, Answer::Turn))
        .with(slot(1))
        .with(slot(2))
        .with(done(1, "a"))
        .with(done(2, "b"))
        .with(answers(2, reply("paid", &[])))
        .with(say("k2"))
        .check(
            wants(3, &[("pay", "{}")]),
            "
                + model_call_finished m3
                + usage_settled m3 exactly 15
                + tool_requested t3 pay
                + approval_requested a3 about t3
                > ask a3
                > wake at 259201000
            ",
        );
}

#[test]
fn never_denies_this_call_and_those_like_it() {
    asking().check(
        person(1, Answer::Never),
        "
                + approval_decided a1 Never leaves Deny buy
                + tool_finished t1 refused: Permission denied by ann. Do not retry this call.
                + approval_closed a2 Withdrawn
                + tool_finished t2 refused: Permission denied: session answers: deny buy
                + model_call_started m2
                > call m2
                > wake at 345601000
            ",
    );
}

#[test]
fn reject_comment_and_revise_close_the_call_with_words_for_the_model() {
    asking().check(
        person(1, Answer::Reject),
        "
                + approval_decided a1 Reject
                + tool_finished t1 refused: Permission denied by ann. Do not retry this call.
            ",
    );
    asking().check(
        person(1, Answer::Comment { text: "why".to_owned() }),
        r#"
                + approval_decided a1 Comment { text: "why" }
                + tool_finished t1 refused: Tool not executed. Comment of ann: why
            "#,
    );
    asking().check(
        person(2, Answer::Revise { feedback: "less".to_owned() }),
        r#"
                + approval_decided a2 Revise { feedback: "less" }
                + tool_finished t2 refused: Tool not executed. ann wants it done differently: less
            "#,
    );
}

#[test]
fn edited_arguments_are_what_runs() {
    let args = Args(r#"{"n":0}"#.to_owned());
    let play = asking()
        .check(
            person(1, Answer::Edit { args: args.clone() }),
            r#"
                + approval_decided a1 Edit { args: Args("{\"n\":0}") }
                > slot t1
            "#,
        )
        .check(
            slot(1),
            "
                + tool_started t1 by a1 until 301000
                > run t1
            ",
        );
    assert_eq!(play.state.calls.values().next().unwrap().args, args);
    asking().check(
        person(1, Answer::Edit { args: Args("[]".to_owned()) }),
        "! parse tool arguments: expected a JSON object, found an array",
    );
}

#[test]
fn an_answer_counts_until_the_very_moment_of_expiry() {
    let at = asking().state.approvals.values().next().unwrap().expires_at.0;
    asking().at(at - 1).check(Input::TimerFired, "").check(
        person(1, Answer::Once),
        "
                + approval_decided a1 Once
                > slot t1
            ",
    );
    asking().at(at).check(person(1, Answer::Once), "! approval 1 expired at 259201000ms").check(
        Input::TimerFired,
        "
                + approval_closed a1 Expired
                + tool_finished t1 refused: Permission denied: nobody answered in time
                + approval_closed a2 Expired
                + tool_finished t2 refused: Permission denied: nobody answered in time
                + model_call_started m2
                > call m2
                > wake at 345601000
            ",
    );
}

#[test]
fn a_deny_that_came_after_the_question_beats_the_answer() {
    let mut play = asking();
    play.layers.user.deny.push(RulePattern("buy".to_owned()));
    play.check(
        person(1, Answer::Once),
        "
                + approval_decided a1 Once
                + tool_finished t1 refused: Permission denied: user: deny buy
            ",
    );
    let mut play = asking().with(person(1, Answer::Once));
    play.layers.user.deny.push(RulePattern("buy".to_owned()));
    play.check(slot(1), "+ tool_finished t1 refused: Permission denied: user: deny buy");
}

#[test]
fn a_cancel_withdraws_the_question() {
    asking()
        .check(
            stop_turn(1),
            "
                + cancel_requested turn 1: enough
                + approval_closed a1 Withdrawn
                + tool_finished t1 cancelled: cancelled before it started
                + approval_closed a2 Withdrawn
                + tool_finished t2 cancelled: cancelled before it started
                + turn_finished 1 cancelled: enough
                > tell turn 1 cancelled
            ",
        )
        .check(
            person(1, Answer::Once),
            "! approval 1 is not open; it was answered, withdrawn, or never asked",
        );
}

#[test]
fn a_turns_answer_to_a_host_call_waives_nothing_for_the_model() {
    let args = Args("{}".to_owned());
    let (key, name) = ("h1".into(), "pay".into());
    asking().with(Input::Invoked { key, name, args, mode: None, cwd: None }).check(
        person(3, Answer::Turn),
        "
                + approval_decided a3 Turn
                > slot t3
            ",
    );
}

#[test]
fn an_answer_that_no_event_can_hold_is_refused() {
    let text = "x".repeat(crate::limits::INPUT_BYTES + 1);
    asking().check(person(1, Answer::Comment { text }), "
                ! the input has 131073 bytes, at most 131072 are taken; put large content into a blob
            ");
}

#[test]
fn an_answer_given_while_quarantined_waits_for_the_release() {
    asking()
        .with(panicked())
        .with(panicked())
        .with(panicked())
        .check(person(1, Answer::Once), "+ approval_decided a1 Once")
        .check(
            Input::Released { skip: false },
            "
                + session_released
                > slot t1
                > wake at 259201000
            ",
        );
}
