//! While everything is stopped nothing begins; what stops, mends or was taken before does not mind.

use super::play::*;
use crate::{
    domain::{event::CancelTarget, ids::Assignment, permission::Answer, tool::Args},
    policy::turn::Input,
};

const REFUSED: &str = "! everything was stopped: drill; unhalt it to let new work begin";

fn halted(mut play: Play) -> Play {
    play.halted = Some("drill".to_owned());
    play
}

fn invoked(key: &str) -> Input {
    let (name, args) = ("read".into(), Args("{}".to_owned()));
    Input::Invoked { key: key.into(), name, args, mode: None, cwd: None }
}

#[test]
fn nothing_begins_and_what_was_taken_before_is_the_same_again() {
    halted(Play::blank()).check(Play::opening(agent()), REFUSED);
    let open = Play::of(agent());
    halted(open).check(say("k1"), REFUSED).check(invoked("t1"), REFUSED);
    let taken = Play::of(agent()).with(say("k1")).with(invoked("t1"));
    halted(taken).check(say("k1"), "").check(invoked("t1"), "");
    halted(Play::of(agent())).check(Play::opening(agent()), "! the session exists already");
}

#[test]
fn a_question_is_answered_with_no_and_not_with_yes() {
    let asking = || Play::of(agent()).with(say("k1")).with(wants(1, &[("buy", r#"{"n":1}"#)]));
    for yes in [Answer::Once, Answer::Turn, Answer::Session, Answer::Always, Answer::All] {
        halted(asking()).check(person(1, yes), REFUSED);
    }
    let mut play = halted(asking());
    let (events, _) = play.step(person(1, Answer::Reject)).expect("a no");
    assert!(events.iter().any(|event| event.name() == "tool_finished"), "{events:?}");
}

#[test]
fn what_stops_and_what_names_goes_on() {
    let mut play = halted(Play::of(agent()).with(say("k1")));
    play.step(cancel(CancelTarget::Everything)).expect("a cancel");
    assert!(play.state.turn.as_ref().is_some_and(|turn| turn.cancel.is_some()));
    let named = Input::Renamed { name: "north".to_owned() };
    halted(Play::of(agent()))
        .check(named, "+ session_renamed north")
        .check(Input::Archived { archived: true }, "+ session_archived true");
}

/// A parent sends an assignment down behind its cancel and waits for its end.
#[test]
fn what_was_to_stop_before_it_arrived_is_taken_and_ends_as_it_begins() {
    halted(Play::child(agent())).check(assign(1), REFUSED);
    let mut play = halted(Play::child(agent()));
    play.step(cancel(CancelTarget::Assignment { no: Assignment(1) })).expect("a cancel");
    let (events, _) = play.step(assign(1)).expect("it is taken");
    let names: Vec<&str> = events.iter().map(|event| event.name()).collect();
    assert_eq!(names, ["input_accepted", "turn_started", "turn_finished"]);
}
