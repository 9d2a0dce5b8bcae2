//! The audit of a log: it accepts whatever the machine wrote, and names the step that it did not.

use proptest::prelude::*;

use super::{
    laws::{deeds, played},
    play::*,
};
use crate::{
    domain::{
        event::Event,
        ids::{Position, Timestamp},
        outcome::TurnOutcome,
        permission::Answer,
    },
    policy::turn::{
        State,
        audit::{Differs, audit},
    },
};

type Frames = Vec<(Timestamp, Vec<Event>)>;

fn frames(play: &Play) -> Frames {
    let read = |(at, body): &(Timestamp, String)| (*at, serde_json::from_str(body).unwrap());
    play.frames.iter().map(read).collect()
}

/// The first frame that differs, from 1, and how.
fn audited(frames: &Frames) -> Result<State, (usize, Differs)> {
    let mut state = State::new(me());
    for (no, (at, events)) in frames.iter().enumerate() {
        audit(&mut state, events, *at).map_err(|differs| (no + 1, differs))?;
    }
    Ok(state)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_that_the_machine_wrote_it_would_have_written(kind: u8, deeds in deeds()) {
        let now = played(kind, &deeds);
        let frames = frames(&now.play);
        match audited(&frames) {
            Ok(state) => prop_assert!(state == now.play.state),
            Err((no, differs)) => {
                return Err(TestCaseError::fail(format!("frame {no}: {differs}: {:?}", frames[no - 1])));
            }
        }
    }

    /// What follows from a cause cannot be left out: a step is whole.
    #[test]
    fn a_frame_without_its_last_event_is_found(kind: u8, deeds in deeds(), pick: u16) {
        let mut frames = frames(&played(kind, &deeds).play);
        let long: Vec<usize> = (1..frames.len())
            .filter(|no| {
                let events = &frames[*no].1;
                let last = events.last().unwrap();
                events.len() > 1 && !said_in_the_dark(&events[0]) && !rests_on_rules_or_slots(last)
            })
            .collect();
        prop_assume!(!long.is_empty());
        let no = long[usize::from(pick) % long.len()];
        frames[no].1.pop();
        prop_assert!(audited(&frames).is_err(), "{:?}", frames[no]);
    }
}

/// What a machine under other rules, or without a slot, would not have written.
fn rests_on_rules_or_slots(event: &Event) -> bool {
    matches!(
        event,
        Event::ToolStarted { .. } | Event::ApprovalRequested { .. } | Event::ToolFinished { .. }
    )
}

/// Words that are only written down in a dark house, without what follows.
fn said_in_the_dark(event: &Event) -> bool {
    matches!(
        event,
        Event::InputAccepted { .. }
            | Event::ApprovalDecided { .. }
            | Event::CancelRequested { .. }
            | Event::SessionReleased { .. }
            | Event::ToolRequested { .. }
            | Event::SessionArchived { .. }
    )
}

/// A turn with a tool that runs, one that is asked about, and an end.
fn a_turn() -> Frames {
    let play = Play::of(agent())
        .with(say("k1"))
        .with(wants_now(1, &[("read", "{}"), ("pay", r#"{"cents":9}"#)]))
        .with(done(1, "42"))
        .with(person(1, Answer::Once))
        .with(slot(2))
        .with(done(2, "paid"))
        .with(answers(2, reply("done", &[])));
    let frames = frames(&play);
    audited(&frames).expect("it is as it was written");
    frames
}

/// Changes one event of the turn, and says where that is found.
#[track_caller]
fn check(wanted: &str, no: usize, change: impl FnOnce(&mut Frames)) {
    let mut frames = a_turn();
    change(&mut frames);
    let (found, differs) = audited(&frames).expect_err("it was changed");
    assert!(found == no && differs.to_string().contains(wanted), "frame {found}: {differs}");
}

fn event<'f>(frames: &'f mut Frames, name: &str) -> &'f mut Event {
    frames.iter_mut().flat_map(|(_, events)| events).find(|event| event.name() == name).unwrap()
}

#[test]
fn a_changed_step_is_named_with_its_frame_and_its_field() {
    check("another outcome", 8, |frames| {
        let Event::TurnFinished { outcome, .. } = event(frames, "turn_finished") else { panic!() };
        *outcome = TurnOutcome::Completed { text: "more".to_owned(), truncated: false };
    });
    check("another args", 3, |frames| {
        let Event::ToolRequested { args, .. } = event(frames, "tool_requested") else { panic!() };
        args.0 = r#"{"path":"/etc/shadow"}"#.to_owned();
    });
    check("its digest is not of the request", 3, |frames| {
        let Event::ApprovalRequested { ask, .. } = event(frames, "approval_requested") else {
            panic!()
        };
        ask.digest.0 = "0".repeat(64);
    });
    check("another deadline", 2, |frames| {
        let Event::TurnStarted { deadline, .. } = event(frames, "turn_started") else { panic!() };
        deadline.0 += 1;
    });
    check("another bound.tokens", 2, |frames| {
        let Event::ModelCallStarted { bound, .. } = event(frames, "model_call_started") else {
            panic!()
        };
        bound.tokens += 1;
    });
    check("another settlement.usage.input", 3, |frames| {
        let Event::UsageSettled { settlement, .. } = event(frames, "usage_settled") else {
            panic!()
        };
        let crate::domain::usage::Settlement::Exact { usage, .. } = settlement else { panic!() };
        usage.input += 1;
    });
}

#[test]
fn a_step_that_nothing_explains_is_named() {
    // A tool that ran without the answer it waited for.
    check("it was not allowed", 5, |frames| drop(frames.remove(4)));
    // A result that was never reported, so the model cannot have been called on it.
    check("that call is not open", 7, |frames| drop(frames.remove(6)));
    // A turn that ended for no reason.
    check("the log has turn_finished, the machine writes model_call_started", 2, |frames| {
        let turn = crate::domain::ids::TurnId(1);
        let outcome = TurnOutcome::Failed { reason: "so".to_owned() };
        let (_, events) = &mut frames[1];
        events.truncate(2);
        events.push(Event::TurnFinished { turn, outcome });
    });
    // A call that closed twice.
    check("no such open call", 5, |frames| {
        let again = frames[3].clone();
        frames.insert(4, again);
    });
    // A yes that nobody was asked for.
    check("no such open approval", 6, |frames| {
        let again = frames[4].clone();
        frames.insert(5, again);
    });
    // A checkpoint hidden in another step.
    check("the machine writes no checkpointed here", 4, |frames| {
        let (name, value) = ("x".into(), String::new());
        frames[3].1.push(Event::Checkpointed { name, at: Position(1), value });
    });
}
