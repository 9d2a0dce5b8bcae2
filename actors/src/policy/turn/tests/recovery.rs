//! Waking up at every stage, panics, quarantine and release.

use super::play::*;
use crate::{
    domain::{event::FailureKind, outcome::ChildOutcome},
    policy::turn::{Effect, Input},
};

fn asked() -> Play {
    Play::of(agent()).with(say("k1"))
}

fn off_stage(play: Play) -> Play {
    play.with(panicked()).with(panicked()).with(panicked())
}

#[test]
fn a_session_at_rest_wakes_without_a_word() {
    Play::of(agent()).check(wake(), "");
    asked().with(answers(1, reply("hi", &[]))).check(wake(), "");
}

#[test]
fn a_lost_model_call_is_booked_at_its_bound_and_made_again() {
    asked().check(
        wake(),
        "
                + session_restarted
                + model_call_failed m1 Lost
                + usage_settled m1 at its bound
                + model_call_started m2
                > call m2
                > wake at 345601000
            ",
    );
    Play::of(counted()).with(say("k1")).with(room(model(1))).check(
        wake(),
        "
                + session_restarted
                + model_call_failed m1 Lost
                + usage_settled m1 at its bound
                > settle m1 500000 tokens 1 calls
                > reserve m2
                > wake at 345601000
            ",
    );
}

#[test]
fn lost_calls_are_no_failures_of_the_model() {
    let mut once = agent();
    once.limits.retries = 1;
    Play::of(once).with(say("k1")).with(wake()).with(wake()).with(wake()).check(
        fails(4, FailureKind::Overloaded),
        "
                + model_call_failed m4 Overloaded
                + usage_settled m4 at its bound
                + timer_set 1500
                > wake at 1500
            ",
    );
}

#[test]
fn a_started_tool_follows_its_effect_class() {
    let all = [("read", "{}"), ("put", "{}"), ("probe", "{}"), ("send", "{}")];
    asked().with(wants_now(1, &all)).check(wake(), "
                + session_restarted
                + tool_finished t4 outcome_unknown: outcome_unknown: the call was started and its result was lost in a crash; it was not started again. Check the world before you repeat it.
                > run t1
                > run t2
                > run t3 again
                > wake at 345601000
            ");
    asked().with(wants_now(1, &all)).with(stop_turn(1)).check(wake(), "
                + session_restarted
                + tool_finished t1 cancelled: cancelled before it started
                + tool_finished t2 cancelled: cancelled after it started; whether its effect happened is unknown
                + tool_finished t3 cancelled: cancelled after it started; whether its effect happened is unknown
                + tool_finished t4 cancelled: cancelled after it started; whether its effect happened is unknown
                + turn_finished 1 cancelled: enough
                > tell turn 1 cancelled
            ");
}

#[test]
fn a_started_tool_that_was_forbidden_meanwhile_is_not_run_again() {
    let mut play = asked().with(wants_now(1, &[("read", "{}")]));
    play.layers.user.deny.push(crate::domain::permission::RulePattern("read".to_owned()));
    play.check(wake(), "
                + session_restarted
                + tool_finished t1 outcome_unknown: outcome_unknown: the call was started and its result was lost in a crash; it was not started again. Check the world before you repeat it.
                + model_call_started m2
                > call m2
                > wake at 345601000
            ");
}

#[test]
fn what_waited_waits_again() {
    asked().with(wants(1, &[("read", "{}"), ("pay", "{}")])).check(
        wake(),
        "
                > slot t1
                > ask a1
                > wake at 259201000
            ",
    );
    Play::of(counted()).with(say("k1")).check(
        wake(),
        "
                > reserve m1
                > wake at 345601000
            ",
    );
    asked().with(fails(1, FailureKind::Overloaded)).check(wake(), "> wake at 1500");
    asked()
        .with(fails(1, FailureKind::Overloaded))
        .at(5_000)
        .check(wake(), "> wake at 1500")
        .check(
            Input::TimerFired,
            "
                + timer_fired
                + model_call_started m2
                > call m2
                > wake at 345601000
            ",
        );
}

#[test]
fn an_approved_call_needs_no_second_answer() {
    asked()
        .with(wants(1, &[("pay", "{}")]))
        .with(person(1, crate::domain::permission::Answer::Once))
        .check(
            wake(),
            "
                > slot t1
                > wake at 345601000
            ",
        )
        .check(
            slot(1),
            "
                + tool_started t1 by a1 until 301000
                > run t1
            ",
        );
}

#[test]
fn a_question_that_expired_in_the_dark_closes_on_waking() {
    asked().with(wants(1, &[("pay", "{}")])).at(999_000_000).check(
        wake(),
        "
                + approval_closed a1 Expired
                + tool_finished t1 refused: Permission denied: nobody answered in time
                + model_call_started m2
                > call m2
                > wake at 345601000
            ",
    );
}

#[test]
fn agents_are_asked_after_again() {
    asked()
        .with(wants(1, &[("spawn_agent", r#"{"agent":"hand","task":"dig"}"#)]))
        .with(room(tool(1)))
        .with(answers(2, reply("bye", &[])))
        .check(wake(), "> see to kid1/1");
}

#[test]
fn a_cancelled_turn_goes_on_ending() {
    asked().with(stop_turn(1)).check(
        wake(),
        "
                + session_restarted
                + model_call_failed m1 Lost
                + usage_settled m1 at its bound
                + turn_finished 1 cancelled: enough
                > tell turn 1 cancelled
            ",
    );
}

#[test]
fn a_childs_end_is_told_again() {
    Play::child(agent())
        .with(assign(1))
        .with(answers(1, reply("done", &[])))
        .check(wake(), "> report 1 to boss: completed");
}

#[test]
fn of_several_ends_that_nobody_heard_each_is_told_when_it_is_asked_for() {
    let both = Play::child(agent())
        .with(assign(1))
        .with(answers(1, reply("one", &[])))
        .with(assign(2))
        .with(answers(2, reply("two", &[])))
        .with(wake());
    both.check(
        assign(1),
        "
                > tell turn 1 completed
                > report 1 to boss: completed
            ",
    )
    .check(
        assign(2),
        "
                > tell turn 2 completed
                > report 2 to boss: completed
            ",
    );
}

#[test]
fn the_third_panic_without_progress_takes_it_off_the_stage() {
    asked()
        .check(
            panicked(),
            "
                + session_restarted
                + model_call_failed m1 Lost
                + usage_settled m1 at its bound
                + model_call_started m2
                > call m2
                > wake at 345601000
            ",
        )
        .check(
            panicked(),
            "
                + session_restarted
                + model_call_failed m2 Lost
                + usage_settled m2 at its bound
                + model_call_started m3
                > call m3
                > wake at 345601000
            ",
        )
        .check(
            panicked(),
            "
                + session_restarted
                + model_call_failed m3 Lost
                + usage_settled m3 at its bound
                + session_quarantined 3 panics without progress, at: model m
                > quarantine
            ",
        );
}

#[test]
fn progress_and_time_forgive_panics() {
    let play = asked().with(panicked()).with(panicked());
    let play = play.with(wants_now(3, &[("read", "{}")])).with(panicked());
    assert!(play.state.quarantined.is_none(), "a reply was progress");
    let play = asked().with(panicked()).with(panicked()).at(62_000).with(panicked());
    assert!(play.state.quarantined.is_none(), "the window had passed");
}

#[test]
fn off_the_stage_nothing_is_held_and_nothing_begins() {
    off_stage(Play::of(tools_counted()).with(say("k1")).with(wants(1, &[("read", "{}")])))
        .check(say("k2"), "
                ! the session is quarantined (3 panics without progress, at: tool read); release it first
            ")
        .check(slot(1), "")
        .check(Input::TimerFired, "")
        .check(wake(), "")
        .check(Input::Released { skip: false }, "
                + session_released
                > slot t1 after room
                > wake at 345601000
            ");
    Play::of(counted())
        .with(say("k1"))
        .with(panicked())
        .with(panicked())
        .check(
            panicked(),
            "
                + session_restarted
                + model_call_started m1
                + model_call_failed m1 Aborted
                + usage_settled m1 as free
                + session_quarantined 3 panics without progress, at: budget
                > settle m1 nothing
                > quarantine
            ",
        )
        .check(room(model(1)), "")
        .check(
            Input::Released { skip: false },
            "
                + session_released
                > reserve m2
                > wake at 345601000
            ",
        );
}

#[test]
fn a_place_granted_to_a_quarantined_session_goes_back() {
    off_stage(asked().with(wants(1, &[("spawn_agent", r#"{"agent":"hand","task":"dig"}"#)])))
        .check(room(tool(1)), "> settle t1 nothing");
}

#[test]
fn release_goes_on_where_it_was_and_asks_the_world_first() {
    let all = [("read", "{}"), ("probe", "{}"), ("send", "{}")];
    off_stage(asked().with(wants_now(1, &all))).check(
        Input::Released { skip: false },
        "
                + session_released
                > run t1
                > run t2 again
                > wake at 345601000
            ",
    );
}

#[test]
fn release_that_skips_closes_the_step() {
    let all = [("read", "{}"), ("pay", "{}")];
    off_stage(asked().with(wants_now(1, &all)))
        .check(Input::Released { skip: true }, "
                + session_released skipping
                + tool_finished t1 outcome_unknown: outcome_unknown: the call was started and its result was lost in a crash; it was not started again. Check the world before you repeat it.
                + approval_closed a1 Withdrawn
                + tool_finished t2 cancelled: cancelled before it started
                + turn_finished 1 failed: the step that failed was skipped on release
                > tell turn 1 failed
            ")
        .check(Input::Released { skip: true }, "")
        .check(Input::Released { skip: false }, "! the session is not quarantined; there is nothing to release");
}

#[test]
fn release_that_skips_closes_a_host_call_that_ran_but_none_that_waits() {
    let invoked = |key: &str, name: &str| Input::Invoked {
        key: key.into(),
        name: name.into(),
        args: crate::domain::tool::Args("{}".to_owned()),
        mode: None,
        cwd: None,
    };
    let play =
        Play::of(agent()).with(invoked("h1", "put")).with(slot(1)).with(invoked("h2", "pay"));
    off_stage(play).check(Input::Released { skip: true }, "
                + session_released skipping
                + tool_finished t1 outcome_unknown: outcome_unknown: the call was started and its result was lost in a crash; it was not started again. Check the world before you repeat it.
                > tell t1 outcome_unknown
                > wake at 259201000
            ");
}

#[test]
fn the_parent_of_a_quarantined_session_hears_it_as_often_as_it_asks() {
    let mut play = Play::child(agent()).with(assign(1)).with(panicked()).with(panicked());
    for input in [panicked(), wake(), assign(1)] {
        let (_, effects) = play.step(input).unwrap();
        let told = effects.iter().any(|effect| {
            let Effect::Report { report, .. } = effect else { return false };
            matches!(report.outcome, ChildOutcome::Quarantined { .. })
        });
        assert!(told, "{effects:?}");
    }
    play.check(assign(2), "
                ! the session is quarantined (3 panics without progress, at: model m); release it first
            ");
}

/// The house took it off the stage, because it died before it could say so; it is let back without
/// the step that failed.
#[test]
fn one_that_the_house_lets_back_without_its_step_writes_both_down_and_closes_the_step() {
    let at = crate::domain::ids::Position(9);
    let readmitted = || Input::Readmitted {
        release: Box::new(crate::domain::house::Readmission {
            at,
            reason: "4 deaths before its first frame".to_owned(),
            by: "ann".into(),
        }),
    };
    let play = Play::of(counted()).with(say("k1")).with(room(model(1))).check(
        readmitted(),
        "
                + session_restarted
                + model_call_failed m1 Lost
                + usage_settled m1 at its bound
                + session_quarantined 4 deaths before its first frame
                + session_released skipping
                + turn_finished 1 failed: the step that failed was skipped on release
                > settle m1 500000 tokens 1 calls
                > tell turn 1 failed
            ",
    );
    assert_eq!(play.state.house_release, Some(at));
    let released = || Input::Released { skip: true };
    play.check(released(), "").with(say("k2"));
    Play::of(agent())
        .with(say("k1"))
        .with(wants(1, &[("send", "{}"), ("put", "{}")]))
        .with(slot(1))
        .check(readmitted(), "
                + session_restarted
                + session_quarantined 4 deaths before its first frame
                + session_released skipping
                + tool_finished t1 outcome_unknown: outcome_unknown: the call was started and its result was lost in a crash; it was not started again. Check the world before you repeat it.
                + tool_finished t2 cancelled: cancelled before it started
                + turn_finished 1 failed: the step that failed was skipped on release
                > tell turn 1 failed
            ");
    // One that could say so itself says it once.
    off_stage(asked()).check(
        readmitted(),
        "
                + session_released skipping
                + turn_finished 1 failed: the step that failed was skipped on release
                > tell turn 1 failed
            ",
    );
}
