//! What a session of long life keeps in memory: the latest of everything, and every key.

use super::play::*;
use crate::{
    domain::{ids::InputKey, ids::TurnId, permission::Answer, tool::Args},
    limits,
    policy::turn::{Input, Rejected},
};

fn invoked(key: &str, name: &str) -> Input {
    let args = Args("{}".to_owned());
    Input::Invoked { key: key.into(), name: name.into(), args, mode: None, cwd: None }
}

/// One whole turn.
fn turn(play: Play, no: u32, input: Input) -> Play {
    play.with(input).with(answers(no, reply("done", &[])))
}

#[test]
fn ends_of_long_ago_leave_memory_and_their_keys_stay() {
    let mut play = Play::of(agent());
    let turns = limits::OUTCOMES as u32 + 5;
    for no in 1..=turns {
        play = turn(play, no, say(&format!("k{no}")));
    }
    assert_eq!(play.state.outcomes.len(), limits::OUTCOMES);
    assert!(!play.state.outcomes.contains_key(&TurnId(5)), "the oldest go");
    assert!(play.state.has_ended(TurnId(1)) && !play.state.has_ended(TurnId(turns + 1)));
    // The same key is the same input for ever; nobody is told what the log knows.
    play.clone().check(say("k1"), "");
    play.check(say(&format!("k{turns}")), &format!("> tell turn {turns} completed"));
}

#[test]
fn no_number_of_other_turns_makes_it_forget_an_end_that_its_parent_has_not_heard() {
    let mut play = turn(Play::child(agent()), 1, assign(1));
    for no in 2..limits::OUTCOMES as u32 + 10 {
        play = turn(play, no, say(&format!("k{no}")));
    }
    play.check(
        assign(1),
        "
                > tell turn 1 completed
                > report 1 to boss: completed
            ",
    );
}

#[test]
fn an_end_that_only_the_log_remembers_is_told_as_the_log_says() {
    let mut play = Play::child(agent());
    for no in 1..=limits::OUTCOMES as u32 + 1 {
        play = turn(play, no, assign(no));
    }
    let old = "> report 1 to boss: the end of turn 1 in the log";
    let target =
        crate::domain::event::CancelTarget::Assignment { no: crate::domain::ids::Assignment(1) };
    play.check(assign(1), old).check(cancel(target), old);
}

#[test]
fn results_of_host_calls_leave_memory_and_their_keys_stay() {
    let mut play = Play::of(agent());
    for no in 1..=limits::CALL_OUTCOMES as u32 + 3 {
        play = play.with(invoked(&format!("h{no}"), "read")).with(slot(no)).with(done(no, "read"));
    }
    let kept = play.state.host_calls.values().filter(|call| call.outcome.is_some());
    assert_eq!(kept.count(), limits::CALL_OUTCOMES);
    play.clone().check(invoked("h1", "read"), "");
    play.check(invoked("h4", "read"), "> tell t4 done");
}

fn asked(key: &str, name: &str, args: &str) -> Input {
    let args = Args(args.to_owned());
    Input::Invoked { key: key.into(), name: name.into(), args, mode: None, cwd: None }
}

/// The host reads how an agent stands; the number of that call.
fn read_about(play: Play, call: u32, of: u32) -> Play {
    let wait = format!(r#"{{"agent_ids":["{}"]}}"#, kid(of));
    play.with(asked(&format!("w{call}"), "await_agents", &wait))
}

#[test]
fn agents_of_long_ago_are_known_in_short() {
    let (mut play, long) = (Play::of(agent()), "x".repeat(2 * limits::CHILD_SHORT_BYTES));
    let agents = limits::CHILD_REPORTS as u32 + 1;
    for no in 1..=agents {
        let call = 2 * no - 1;
        let spawn = asked(&format!("s{no}"), "spawn_agent", r#"{"agent":"hand","task":"dig"}"#);
        play = play.with(spawn).with(room(tool(call))).with(ended(call, 1, &long));
        play = read_about(play, call + 1, call);
    }
    assert_eq!(play.state.read_reports.len(), limits::CHILD_REPORTS);
    let text = |play: &Play, call: u32| -> String {
        let child = &play.state.children[&kid(call)];
        assert!(child.creation.is_none(), "it exists");
        let task = child.assignments.values().next_back().expect("its last");
        assert!(task.input.is_none(), "it has ended");
        task.report.as_ref().expect("an end").outcome.text().to_owned()
    };
    let short = format!("{} [256 more bytes cut]", "x".repeat(limits::CHILD_SHORT_BYTES));
    assert_eq!((text(&play, 1), text(&play, 3)), (short.clone(), long.clone()));
    // Sent to work again, it takes no more than before.
    let send = format!(r#"{{"agent_id":"{}","task":"more"}}"#, kid(1));
    let call = 2 * agents + 1;
    play = play.with(asked("again", "send_agent", &send)).with(room(tool(call)));
    play = read_about(play.with(ended(1, 2, "dug more")), call + 1, 1);
    assert_eq!(play.state.children[&kid(1)].assignments.len(), 1);
    assert_eq!(text(&play, 1), "dug more");
}

#[test]
fn a_session_that_has_started_all_the_agents_it_may_says_to_fork_it() {
    let spawn = |key: &str| asked(key, "spawn_agent", r#"{"agent":"hand","task":"dig"}"#);
    let mut play = Play::of(agent()).with(spawn("one")).with(room(tool(1)));
    play = play.with(ended(1, 1, "dug"));
    let one = play.state.children[&kid(1)].clone();
    let more = (2..).map(|call| (kid(call), one.clone())).take(limits::CHILDREN - 1);
    play.state.children.extend(more);
    let (events, _) = play.decide(spawn("another")).expect("it is answered");
    let told = format!("{events:?}");
    assert!(
        told.contains("limit reached: 16384 agents were started here; fork the session"),
        "{told}"
    );
}

#[test]
fn answers_of_long_ago_are_answers_to_a_closed_question() {
    let mut play = Play::of(agent()).with(say("k1"));
    let questions = limits::ANSWERS as u32 + 1;
    for no in 1..=questions {
        play = play.with(wants(no, &[("pay", "{}")])).with(person(no, Answer::Reject));
    }
    assert_eq!(play.state.answered.len(), limits::ANSWERS);
    play.clone().check(person(questions, Answer::Reject), "");
    play.check(
        person(1, Answer::Reject),
        "! approval 1 is not open; it was answered, withdrawn, or never asked",
    );
}

#[test]
fn a_session_that_has_taken_all_it_takes_says_to_fork_it() {
    let mut play = turn(Play::of(agent()), 1, say("k1"));
    let key = |no: usize| InputKey(format!("{no}"));
    play.state.inputs.extend((0..limits::KEYS).map(|no| (key(no), Some(TurnId(1)))));
    for input in [say("new"), invoked("new", "read")] {
        let refused = play.clone().decide(input).expect_err("it is full");
        assert_eq!(refused, Rejected::Full { max: limits::KEYS });
        assert!(refused.to_string().contains("fork it"), "{refused}");
    }
    // What it knows it still answers.
    let (events, effects) = play.decide(say("k1")).expect("a key it has");
    assert!(events.is_empty() && effects.len() == 1, "{effects:?}");
}

#[test]
fn a_key_of_absurd_length_is_refused() {
    let long = "k".repeat(limits::KEY_BYTES + 1);
    for input in [say(&long), invoked(&long, "read")] {
        let refused = Play::of(agent()).decide(input).expect_err("too long");
        assert!(refused.to_string().contains("a key has at most 512 bytes"), "{refused}");
    }
}
