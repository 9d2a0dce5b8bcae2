//! Turns: begun, answered, made again, interrupted, ended.

use super::play::*;
use crate::domain::{
    agent::InputPolicy,
    event::{CancelTarget, FailureKind, TurnOverrides, UserInput},
    ids::Assignment,
};
use crate::policy::turn::{Effect, Input, prompt};

fn asked() -> Play {
    Play::of(agent()).with(say("k1"))
}

#[test]
fn an_input_begins_a_turn_and_the_last_word_ends_it() {
    Play::of(agent())
        .check(
            say("k1"),
            "
                + input_accepted k1
                + turn_started 1
                + model_call_started m1
                > call m1
                > wake at 345601000
            ",
        )
        .check(
            answers(1, reply("hi", &[])),
            "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + turn_finished 1 completed: hi
                > tell turn 1 completed
            ",
        );
}

#[test]
fn the_same_key_is_the_same_input_and_is_told_how_it_ended() {
    asked()
        .check(say("k1"), "")
        .with(answers(1, reply("hi", &[])))
        .check(say("k1"), "> tell turn 1 completed");
}

#[test]
fn input_during_a_turn_waits_interrupts_or_is_refused() {
    asked().check(say("k2"), "+ input_accepted k2").check(
        answers(1, reply("hi", &[])),
        "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + turn_finished 1 completed: hi
                + turn_started 2
                + model_call_started m2
                > tell turn 1 completed
                > call m2
            ",
    );
    let mut strict = agent();
    strict.input = InputPolicy::Reject;
    Play::of(strict)
        .with(say("k1"))
        .check(say("k2"), "! the session is busy; send it again when its turn has ended")
        .check(assign(1), "+ input_accepted 1");
    let mut hasty = agent();
    hasty.input = InputPolicy::Interrupt;
    Play::of(hasty)
        .with(say("k1"))
        .check(
            say("k2"),
            "
                + input_accepted k2
                + cancel_requested turn 1: interrupted by a newer input
                > abort m1
            ",
        )
        .check(say("k3"), "+ input_accepted k3")
        .check(
            fails(1, FailureKind::Aborted),
            "
                + model_call_failed m1 Aborted
                + usage_settled m1 at its bound
                + turn_finished 1 cancelled: interrupted by a newer input
                + turn_started 2
                + model_call_started m2
                > tell turn 1 cancelled
                > call m2
                > wake at 345601000
            ",
        );
}

#[test]
fn too_much_input_is_refused_at_the_door() {
    let mut play = Play::of(agent()).with(say("k0"));
    for no in 1..=crate::limits::QUEUE {
        play = play.with(say(&format!("k{no}")));
    }
    play.check(say("last"), "! the session is busy; send it again when its turn has ended");
    let text = "x".repeat(crate::limits::INPUT_BYTES);
    let input = Box::new(UserInput::text(text));
    Play::of(agent()).check(Input::Submitted { key: "k".into(), input }, "
                ! the input has 131111 bytes, at most 131072 are taken; put large content into a blob
            ");
}

#[test]
fn a_turn_may_differ_from_its_agent() {
    let mut input = UserInput::text("hello");
    input.overrides = TurnOverrides { model: Some("other".into()), ..TurnOverrides::default() };
    let play = Play::of(agent()).with(Input::Submitted { key: "k".into(), input: Box::new(input) });
    assert_eq!(play.state.turn.as_ref().unwrap().model, "other".into());
    assert_eq!(play.with(answers(1, reply("", &[]))).state.turn.map(|turn| turn.model), None);
}

#[test]
fn a_failed_call_is_made_again_after_a_pause_that_doubles() {
    asked()
        .check(
            fails(1, FailureKind::Overloaded),
            "
                + model_call_failed m1 Overloaded
                + usage_settled m1 at its bound
                + timer_set 1500
                > wake at 1500
            ",
        )
        .check(Input::TimerFired, "")
        .at(1_500)
        .check(
            Input::TimerFired,
            "
                + timer_fired
                + model_call_started m2
                > call m2
                > wake at 345601000
            ",
        )
        .check(
            fails(2, FailureKind::Overloaded),
            "
                + model_call_failed m2 Overloaded
                + usage_settled m2 at its bound
                + timer_set 2500
                > wake at 2500
            ",
        );
}

#[test]
fn a_vendors_wait_is_kept() {
    let Input::ModelFailed { call, mut failure } = fails(1, FailureKind::RateLimited) else {
        return;
    };
    failure.retry_after_ms = Some(20_000);
    asked().check(
        Input::ModelFailed { call, failure },
        "
                + model_call_failed m1 RateLimited
                + usage_settled m1 as free
                + timer_set 21000
                > wake at 21000
            ",
    );
}

#[test]
fn a_turn_fails_when_its_retries_are_used_up_or_cannot_help() {
    let mut once = agent();
    once.limits.retries = 1;
    Play::of(once)
        .with(say("k1"))
        .with(fails(1, FailureKind::Transport))
        .at(9_000)
        .with(Input::TimerFired)
        .check(
            fails(2, FailureKind::Transport),
            "
                + model_call_failed m2 Transport
                + usage_settled m2 at its bound
                + turn_finished 1 failed: the model call failed 2 times: no
                > tell turn 1 failed
            ",
        );
    asked().check(
        fails(1, FailureKind::Auth),
        "
                + model_call_failed m1 Auth
                + usage_settled m1 at its bound
                + turn_finished 1 failed: the model call failed once: no
                > tell turn 1 failed
            ",
    );
}

#[test]
fn steps_end_but_calls_made_again_are_no_steps() {
    let mut short = agent();
    short.limits.steps = 1;
    Play::of(short)
        .with(say("k1"))
        .with(fails(1, FailureKind::Transport))
        .at(9_000)
        .with(Input::TimerFired)
        .check(
            wants_now(2, &[("read", "{}")]),
            "
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + tool_requested t1 read
                + tool_started t1 by rules until 309000
                > run t1
            ",
        )
        .check(
            done(1, "x"),
            "
                + tool_finished t1 done: x
                + turn_finished 1 failed: 1 model calls in one turn without an end
                > tell turn 1 failed
            ",
        );
}

#[test]
fn a_refusal_fails_the_turn_and_a_cut_reply_says_so() {
    let mut refused = reply("no", &[]);
    refused.stop = crate::domain::conversation::Stop::Refusal;
    asked().check(
        answers(1, refused),
        "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + turn_finished 1 failed: the model refused: no
                > tell turn 1 failed
            ",
    );
    let mut cut = reply("half", &[]);
    cut.stop = crate::domain::conversation::Stop::MaxTokens;
    let play = asked().with(answers(1, cut));
    let outcome = play.state.outcomes.values().next().cloned().unwrap();
    assert!(matches!(
        outcome,
        crate::domain::outcome::TurnOutcome::Completed { truncated: true, .. }
    ));
}

#[test]
fn the_ledger_is_asked_before_a_counted_call() {
    Play::of(counted())
        .check(
            say("k1"),
            "
                + input_accepted k1
                + turn_started 1
                > reserve m1
                > wake at 345601000
            ",
        )
        .check(
            room(model(1)),
            "
                + model_call_started m1
                > call m1
            ",
        )
        .check(room(model(1)), "")
        .check(
            answers(1, reply("hi", &[])),
            "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + turn_finished 1 completed: hi
                > settle m1 15 tokens 1 calls
                > tell turn 1 completed
            ",
        );
}

#[test]
fn no_room_ends_the_turn_as_exhausted() {
    let account = me();
    let shortage = crate::domain::budget::Shortage::UnknownPrice { account };
    let decision = Err(shortage);
    Play::of(counted())
        .with(say("k1"))
        .check(decided(1, model(1), decision.clone()), "
                + budget_exhausted
                + turn_finished 1 budget_exhausted: budget of 00000000-0000-0000-0000-000000000001 is in money, but the model's price is unknown
                > settle m1 nothing
                > tell turn 1 budget_exhausted
            ")
        .check(decided(1, model(1), decision), "");
}

#[test]
fn a_call_that_waits_for_room_gives_its_number_back_with_the_room() {
    // Else a late grant for the first would pass for one of the second, which needs more.
    Play::of(counted())
        .with(say("k1"))
        .with(say("k2"))
        .check(
            stop_turn(1),
            "
                + cancel_requested turn 1: enough
                + model_call_started m1
                + model_call_failed m1 Aborted
                + usage_settled m1 as free
                + turn_finished 1 cancelled: enough
                + turn_started 2
                > settle m1 nothing
                > tell turn 1 cancelled
                > reserve m2
            ",
        )
        .check(room(model(1)), "");
}

#[test]
fn late_usage_replaces_the_bound_and_comes_once() {
    asked()
        .with(wake())
        .check(answers(1, reply("late", &[])), "+ usage_settled m1 exactly 15")
        .check(answers(1, reply("late", &[])), "")
        .check(fails(1, FailureKind::Transport), "");
}

#[test]
fn a_reply_without_usage_is_booked_at_its_bound() {
    let mut silent = reply("hi", &[]);
    silent.usage = None;
    asked()
        .check(
            answers(1, silent),
            "
                + model_call_finished m1
                + usage_settled m1 at its bound
                + turn_finished 1 completed: hi
                > tell turn 1 completed
            ",
        )
        .check(answers(1, reply("hi", &[])), "+ usage_settled m1 exactly 15");
}

#[test]
fn a_cancelled_model_call_is_aborted_and_then_the_turn_ends() {
    asked()
        .check(
            stop_turn(1),
            "
                + cancel_requested turn 1: enough
                > abort m1
            ",
        )
        .check(stop_turn(1), "")
        .check(
            fails(1, FailureKind::Aborted),
            "
                + model_call_failed m1 Aborted
                + usage_settled m1 at its bound
                + turn_finished 1 cancelled: enough
                > tell turn 1 cancelled
            ",
        );
}

#[test]
fn a_reply_that_overtakes_its_cancel_begins_nothing() {
    asked().with(stop_turn(1)).check(
        wants_now(1, &[("send", "{}"), ("pay", "{}")]),
        "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + tool_requested t1 send
                + tool_requested t2 pay
                + tool_finished t1 cancelled: cancelled before it started
                + tool_finished t2 cancelled: cancelled before it started
                + turn_finished 1 cancelled: enough
                > tell turn 1 cancelled
            ",
    );
}

#[test]
fn everything_cancels_what_is_queued_too() {
    asked()
        .with(say("k2"))
        .check(
            cancel(CancelTarget::Everything),
            "
                + cancel_requested everything: enough
                > abort m1
            ",
        )
        .check(cancel(CancelTarget::Everything), "")
        .check(
            fails(1, FailureKind::Aborted),
            "
                + model_call_failed m1 Aborted
                + usage_settled m1 at its bound
                + turn_finished 1 cancelled: enough
                + turn_started 2
                + turn_finished 2 cancelled: enough
                > tell turn 1 cancelled
                > tell turn 2 cancelled
            ",
        )
        .check(cancel(CancelTarget::Everything), "");
}

#[test]
fn a_cancel_while_waiting_to_try_again_ends_the_turn() {
    asked().with(fails(1, FailureKind::Overloaded)).check(
        stop_turn(1),
        "
                + cancel_requested turn 1: enough
                + turn_finished 1 cancelled: enough
                > tell turn 1 cancelled
            ",
    );
}

#[test]
fn a_turn_ends_at_its_deadline() {
    asked().at(345_601_000).check(
        Input::TimerFired,
        "
                + cancel_requested turn 1: the turn's time ran out
                > abort m1
            ",
    );
}

#[test]
fn an_assignment_cancelled_before_it_arrives_ends_when_it_does() {
    let target = CancelTarget::Assignment { no: Assignment(1) };
    Play::child(agent())
        .check(cancel(target), "+ cancel_requested assignment 1: enough")
        .check(cancel(target), "")
        .check(
            assign(1),
            "
                + input_accepted 1
                + turn_started 1
                + turn_finished 1 cancelled: enough
                > report 1 to boss: cancelled
                > tell turn 1 cancelled
            ",
        )
        .check(cancel(target), "> report 1 to boss: cancelled");
}

#[test]
fn a_queued_assignment_that_is_cancelled_leaves_the_running_one_alone() {
    let target = CancelTarget::Assignment { no: Assignment(2) };
    Play::child(agent())
        .with(assign(1))
        .with(assign(2))
        .check(cancel(target), "+ cancel_requested assignment 2: enough")
        .check(
            answers(1, reply("one", &[])),
            "
                + model_call_finished m1
                + usage_settled m1 exactly 15
                + turn_finished 1 completed: one
                + turn_started 2
                + turn_finished 2 cancelled: enough
                > report 1 to boss: completed
                > tell turn 1 completed
                > report 2 to boss: cancelled
                > tell turn 2 cancelled
            ",
        )
        .check(
            assign(1),
            "
                > tell turn 1 completed
                > report 1 to boss: completed
            ",
        );
}

#[test]
fn a_reply_with_absurdly_many_calls_fails_the_turn() {
    let calls = vec![("read", "{}"); crate::limits::CALLS_READ + 1];
    asked().check(
        wants(1, &calls),
        "
                + model_call_failed m1 Malformed
                + usage_settled m1 exactly 15
                + turn_finished 1 failed: 1025 tool calls in one message
                > tell turn 1 failed
            ",
    );
    let calls = vec![("read", "{}"); crate::limits::CALLS_READ];
    let play = asked().with(wants(1, &calls));
    assert_eq!(play.state.calls.len(), crate::limits::CALLS_PER_REPLY);
}

/// Settled again on waking is whatever one frame booked, also where it closed as many calls as a
/// reply may have.
#[test]
fn the_booking_of_a_reply_outlives_all_the_calls_that_its_frame_closed() {
    let calls = vec![("read", "{}"); crate::limits::CALLS_READ];
    let mut play = Play::of(counted()).with(say("k1")).with(room(model(1))).with(wants(1, &calls));
    let (_, effects) = play.crash(None);
    let settles =
        |effect: &Effect| matches!(effect, Effect::Settle { call, .. } if *call == model(1));
    assert!(effects.iter().any(settles), "the model's call was booked in that frame as well");
}

#[test]
fn a_gate_is_told_whose_call_it_is_how_large_and_which_try() {
    let root = Play::of(agent()).with(say("k1"));
    let first = prompt::claim(&root.state);
    assert!(!first.behind, "a person waits for a root");
    assert_eq!((first.session, first.attempt), (me(), 0));
    let (input_bytes, output) = prompt::bound(&root.state);
    assert_eq!((first.input_tokens, first.output_tokens), (input_bytes / 4, output));
    let again = root.with(fails(1, FailureKind::Overloaded));
    assert_eq!(prompt::claim(&again.state).attempt, 1);
    assert!(prompt::claim(&Play::child(agent()).state).behind, "nobody sits before an agent's");
}
