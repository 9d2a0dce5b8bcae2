//! In a dark house words are written down and nothing follows; the lit house takes them up.

use super::play::*;
use crate::{
    domain::{event::CancelTarget, permission::Answer},
    policy::turn::Input,
};

fn dark(mut play: Play) -> Play {
    play.dark = true;
    play
}

fn lit(mut play: Play) -> Play {
    play.dark = false;
    play
}

/// A call that is asked about.
fn asking() -> Play {
    Play::of(agent()).with(say("k1")).with(wants(1, &[("buy", r#"{"n":1}"#)]))
}

#[test]
fn waking_up_in_the_dark_writes_nothing_whatever_was_in_hand() {
    let calling = Play::of(agent()).with(say("k1"));
    dark(calling).check(wake(), "").check(Input::TimerFired, "");
    let running = Play::of(agent()).with(say("k1")).with(wants_now(1, &[("read", "{}")]));
    dark(running).check(wake(), "").check(panicked(), "");
}

#[test]
fn an_answer_given_in_the_dark_is_taken_up_by_the_lit_house() {
    let answered = dark(asking()).check(person(1, Answer::Once), "+ approval_decided a1 Once");
    lit(answered).check(
        wake(),
        "
                > slot t1
                > wake at 345601000
            ",
    );
    let refused = dark(asking()).check(
        person(1, Answer::Reject),
        "
                + approval_decided a1 Reject
                + tool_finished t1 refused: Permission denied by ann. Do not retry this call.
            ",
    );
    lit(refused).check(
        wake(),
        "
                + model_call_started m2
                > call m2
                > wake at 345601000
            ",
    );
}

#[test]
fn an_answer_for_every_session_goes_to_the_house_log_also_in_the_dark() {
    dark(asking()).check(
        person(1, Answer::Always),
        "
                + approval_decided a1 Always leaves Allow buy
                > remember Allow buy
            ",
    );
}

#[test]
fn a_cancel_and_an_input_wait_for_the_light() {
    let told = dark(asking())
        .check(say("k2"), "+ input_accepted k2")
        .check(cancel(CancelTarget::Everything), "+ cancel_requested everything: enough");
    lit(told).check(
        wake(),
        "
                + approval_closed a1 Withdrawn
                + tool_finished t1 cancelled: cancelled before it started
                + turn_finished 1 cancelled: enough
                + turn_started 2
                + turn_finished 2 cancelled: enough
                > tell turn 1 cancelled
                > tell turn 2 cancelled
            ",
    );
}

#[test]
fn a_release_in_the_dark_starts_nothing_until_it_is_light() {
    let mut play = Play::of(agent()).with(say("k1"));
    for _ in 0..3 {
        play = play.with(panicked());
    }
    let released = dark(play).check(Input::Released { skip: false }, "+ session_released");
    lit(released).check(
        wake(),
        "
                + model_call_started m4
                > call m4
                > wake at 345601000
            ",
    );
}

#[test]
fn whoever_waits_for_a_call_that_an_answer_in_the_dark_ends_is_told() {
    let args = crate::domain::tool::Args(r#"{"n":1}"#.to_owned());
    let invoked =
        Input::Invoked { key: "h".into(), name: "buy".into(), args, mode: None, cwd: None };
    dark(Play::of(agent()).with(invoked)).check(
        person(1, Answer::Reject),
        "
                + approval_decided a1 Reject
                + tool_finished t1 refused: Permission denied by ann. Do not retry this call.
                > tell t1 refused
            ",
    );
}
