//! Tools that fail again and again, in a session: what counts, whom it concerns, and that a crash
//! changes nothing of it.

use super::play::*;
use crate::{
    domain::{
        agent::AgentSpec,
        event::Event,
        ids::ToolCallNo,
        permission::{Answer, Mode, Subject},
        tool::{Output, ToolOutcome},
    },
    limits,
    policy::turn::Input,
};

fn closed(call: u32, outcome: ToolOutcome) -> Input {
    Input::ToolFinished { call: ToolCallNo(call), outcome }
}

fn failed(call: u32) -> Input {
    closed(call, ToolOutcome::Failed { output: Output::text("no") })
}

const FAILS: fn(u32) -> Input = failed;

/// A turn in which a tool was called so often; each call ended like this.
fn after(agent: AgentSpec, tool: &str, ends: &[fn(u32) -> Input]) -> Play {
    let mut play = Play::of(agent).with(say("k1"));
    for (no, end) in (1..).zip(ends) {
        play = play.with(wants_now(no, &[(tool, "{}")])).with(end(no));
    }
    play
}

/// What becomes of the next call of a tool: whether it started, and why it is asked or was refused.
fn next(play: &mut Play, tool: &str) -> (bool, String) {
    let no = play.state.turn.as_ref().unwrap().calling.as_ref().unwrap().call.0;
    let (events, _) = play.step(wants_now(no, &[(tool, "{}")])).unwrap();
    let mut told = (false, String::new());
    for event in events {
        match event {
            Event::ToolStarted { .. } => told.0 = true,
            Event::ApprovalRequested { ask, .. } => told.1 = ask.reasons.join("; "),
            Event::ToolFinished { outcome: ToolOutcome::Refused { reason }, .. } => told.1 = reason,
            _ => {}
        }
    }
    told
}

#[test]
fn a_tool_that_failed_five_times_is_asked_about_and_the_others_are_not() {
    let ends: &[fn(u32) -> Input] =
        &[failed, |no| done(no, "well"), failed, failed, failed, failed];
    let mut play = after(agent(), "read", ends);
    let mut other = play.clone();
    let (started, why) = next(&mut play, "read");
    assert!(!started && why.starts_with("read failed 5 of its last 6 runs"), "{why}");
    assert_eq!(next(&mut other, "put"), (true, String::new()));
}

#[test]
fn calls_of_the_same_reply_that_work_do_not_bring_it_back() {
    let mut play = Play::of(agent()).with(say("k1")).with(wants_now(1, &[("read", "{}"); 8]));
    for call in 1..=5 {
        play = play.with(failed(call));
    }
    for call in 6..=8 {
        play = play.with(done(call, "slowly"));
    }
    let no = play.state.turn.as_ref().unwrap().calling.as_ref().unwrap().call.0;
    let (events, _) = play.step(wants_now(no, &[("read", "{}")])).unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::ApprovalRequested { .. })));
    assert!(!events.iter().any(|event| matches!(event, Event::ToolStarted { .. })));
}

#[test]
fn only_what_ran_and_failed_counts() {
    let kinds: [fn(u32) -> Input; 3] = [
        |no| closed(no, ToolOutcome::Refused { reason: "no".to_owned() }),
        |no| closed(no, ToolOutcome::Cancelled { effect_unknown: true }),
        |no| closed(no, ToolOutcome::OutcomeUnknown),
    ];
    for kind in kinds {
        let mut play = after(agent(), "read", &[kind; 8]);
        assert!(next(&mut play, "read").0, "{:?}", kind(1));
    }
    // Arguments that a tool cannot read: it never ran.
    let mut play = Play::of(agent()).with(say("k1"));
    for no in 1..=8 {
        play = play.with(wants_now(no, &[("read", "no object")]));
    }
    assert!(next(&mut play, "read").0);
}

#[test]
fn three_that_a_person_allowed_and_that_worked_bring_it_back() {
    let mut play = after(agent(), "read", &[FAILS; 5]);
    for (question, call) in (1..=3).zip(6..) {
        assert!(!next(&mut play, "read").0, "question {question}");
        // Allowed for the session it is this call only: the tool has to work first.
        play = play.with(person(question, Answer::Session)).with(slot(call)).with(done(call, "a"));
    }
    assert!(next(&mut play, "read").0);
}

#[test]
fn after_a_while_it_is_as_before() {
    let play = after(agent(), "read", &[FAILS; 5]);
    let last = play.now.0 + i64::try_from(limits::TOOL_RAISED_MS).unwrap();
    assert!(!next(&mut play.clone().at(last - 1), "read").0);
    assert!(next(&mut play.at(last), "read").0);
}

#[test]
fn a_clock_set_back_by_a_day_keeps_a_tool_for_the_while_and_not_for_the_day() {
    let play = after(agent(), "read", &[FAILS; 5]);
    let mut play = play.clone().at(play.now.0 - 86_400_000);
    let (began, lasts) = (play.now.0, i64::try_from(limits::TOOL_RAISED_MS).unwrap());
    assert!(!next(&mut play, "read").0, "it is raised still");
    play = play.with(person(1, Answer::Reject));
    assert!(!next(&mut play.clone().at(began + lasts - 1), "read").0);
    assert!(next(&mut play.at(began + lasts), "read").0);
}

#[test]
fn a_crash_and_a_fold_from_the_bytes_know_it_as_well() {
    let mut play = after(agent(), "read", &[FAILS; 5]);
    play.crash(Some("bang"));
    let no = play.state.turn.as_ref().unwrap().calling.as_ref().unwrap().call.0;
    let (events, _) = play.step(wants_now(no, &[("read", "{}")])).unwrap();
    let asked = events.iter().any(|event| {
        matches!(event, Event::ApprovalRequested { ask, .. }
            if matches!(ask.subject, Subject::ToolCall { .. }))
    });
    assert!(asked, "{events:?}");
}

#[test]
fn in_a_mode_that_never_asks_it_is_refused_in_words_and_never_run() {
    let mut silent = agent();
    silent.authority.mode = Mode::DontAsk;
    let mut play = after(silent, "read", &[FAILS; 5]);
    let (started, why) = next(&mut play, "read");
    assert!(!started);
    assert!(why.contains("read failed 5 of its last 5 runs"), "{why}");
    assert!(why.contains("mode dont_ask: nothing is asked"), "{why}");
}

#[test]
fn who_is_started_meanwhile_does_not_have_it_back() {
    let mut play = after(agent(), "read", &[FAILS; 5]);
    let spawn = wants(6, &[("spawn_agent", r#"{"agent":"hand","task":"t"}"#)]);
    play.step(spawn).unwrap();
    let (events, _) = play.step(room(tool(6))).unwrap();
    let lineage = events.iter().find_map(|event| match event {
        Event::ChildSpawned { creation: Some(creation), .. } => Some(creation.lineage.clone()),
        _ => None,
    });
    let lineage = lineage.expect("an agent was started");
    assert_eq!(lineage.raised.len(), 1, "{lineage:?}");
    let mut child = Play::blank().with(opened(agent(), lineage)).with(say("k1"));
    let (started, why) = next(&mut child, "read");
    assert!(!started && why.starts_with("read failed 5 of its last 5 runs"), "{why}");
}
