//! Who ends behind whom: an assignment behind the agents below it, whatever it ended of, and a
//! cancel behind those that an agent off the stage left at work.

use super::play::*;
use crate::{
    domain::{
        budget::Shortage,
        event::{CancelTarget, FailureKind},
        ids::Assignment,
        outcome::{ChildOutcome, ChildReport},
    },
    policy::turn::{Effect, Input},
};

const SPAWN: (&str, &str) = ("spawn_agent", r#"{"agent":"hand","task":"dig"}"#);

/// It is at its second step and has an agent at work.
fn with_agent(play: Play) -> Play {
    play.with(wants(1, &[SPAWN])).with(room(tool(1)))
}

/// The same for a session that carries out an assignment.
fn assigned() -> Play {
    with_agent(Play::child(agent()).with(assign(1)))
}

/// The session itself is off the stage, its agent at work.
fn off_stage() -> Play {
    assigned().with(panicked()).with(panicked()).with(panicked())
}

/// The agent is off the stage; whether a cancel has come to its end there.
fn quarantined(stopped: bool) -> Input {
    let outcome = ChildOutcome::Quarantined { reason: "3 panics".to_owned(), stopped };
    let report = ChildReport { outcome, usage: USED };
    Input::ChildFinished { child: kid(1), assignment: Assignment(1), report }
}

fn cancelled(no: u32) -> Input {
    cancel(CancelTarget::Assignment { no: Assignment(no) })
}

/// Whether the parent is told that an assignment is over.
fn tells(effects: &[Effect]) -> bool {
    let over = |effect: &Effect| match effect {
        Effect::Report { report, .. } => report.outcome.is_over(),
        _ => false,
    };
    effects.iter().any(over)
}

#[test]
fn an_assignment_that_cannot_go_on_is_told_when_its_agents_have_ended() {
    let mut few = agent();
    few.limits.steps = 2;
    let many: Vec<_> = (0..=crate::limits::CALLS_READ).map(|_| ("read", "{}")).collect();
    let short = Shortage::UnknownPrice { account: boss() };
    let ask = with_agent(Play::child(counted()).with(assign(1)).with(room(model(1))));
    let cases = [
        ("its model failed", assigned(), fails(2, FailureKind::Auth), "failed"),
        ("it ran away", assigned(), wants(2, &many), "failed"),
        (
            "it took too many steps",
            with_agent(Play::child(few).with(assign(1))),
            wants(2, &[("list_agents", "{}")]),
            "failed",
        ),
        ("its step was skipped", off_stage(), Input::Released { skip: true }, "failed"),
        ("its budget ended", ask, decided(1, model(2), Err(short)), "budget_exhausted"),
    ];
    for (case, mut play, input, word) in cases {
        let (_, effects) = play.step(input).unwrap();
        assert!(!tells(&effects), "{case}: {effects:?}");
        let stops = |effect: &Effect| matches!(effect, Effect::CancelChild { .. });
        assert!(effects.iter().any(stops), "{case}: {effects:?}");
        assert!(play.state.turn.is_some(), "{case}: it is open for a cancel of its parent");
        // Neither a crash nor its parent's question brings it out before.
        let (_, woken) = play.crash(None);
        assert!(!tells(&woken) && woken.iter().any(stops), "{case}: {woken:?}");
        for asked in [assign(1), cancelled(1)] {
            let (_, effects) = play.step(asked).unwrap();
            assert!(!tells(&effects), "{case}: {effects:?}");
        }
        let (_, effects) = play.step(ended(1, 1, "stopped")).unwrap();
        let told = effects.iter().find_map(|effect| match effect {
            Effect::Report { report, .. } => Some(report.outcome.word()),
            _ => None,
        });
        assert_eq!(told, Some(word), "{case}: {effects:?}");
    }
}

#[test]
fn a_turn_of_a_person_that_fails_leaves_its_agents_at_work() {
    with_agent(Play::of(agent()).with(say("k1"))).check(
        fails(2, FailureKind::Auth),
        "
                + model_call_failed m2 Auth
                + usage_settled m2 at its bound
                + turn_finished 1 failed: the model call failed once: no
                > tell turn 1 failed
            ",
    );
}

#[test]
fn a_cancel_through_a_quarantined_agent_stands_until_it_says_that_nothing_is_left() {
    let play = with_agent(Play::of(agent()).with(say("k1")))
        .with(quarantined(false))
        .with(answers(2, reply("bye", &[])))
        .check(
            cancel(CancelTarget::Everything),
            "
                + cancel_requested everything: enough
                > cancel kid1/1
                > see to kid1/1
            ",
        )
        .check(cancel(CancelTarget::Everything), "")
        .check(
            wake(),
            "
                > settle t1 0 tokens 1 calls
                > cancel kid1/1
                > see to kid1/1
            ",
        )
        .check(quarantined(false), "");
    assert_eq!(play.state.status(), crate::domain::catalog::Status::Running, "woken after a kill");
    for over in [quarantined(true), ended(1, 1, "stopped")] {
        play.clone()
            .check(over.clone(), "+ child_stopped kid1/1")
            .check(over, "")
            .check(wake(), "> settle t1 0 tokens 1 calls");
    }
}

#[test]
fn a_cancelled_turn_ends_behind_what_its_quarantined_agent_left_at_work() {
    let play = with_agent(Play::of(agent()).with(say("k1"))).with(quarantined(false));
    play.check(
        stop_turn(1),
        "
                + cancel_requested turn 1: enough
                + cancel_requested kid1: enough
                > abort m2
                > cancel kid1/1
                > see to kid1/1
            ",
    )
    .check(
        fails(2, FailureKind::Aborted),
        "
                + model_call_failed m2 Aborted
                + usage_settled m2 at its bound
            ",
    )
    .check(
        quarantined(true),
        "
                + child_stopped kid1/1
                + turn_finished 1 cancelled: enough
                > tell turn 1 cancelled
            ",
    );
}

#[test]
fn one_that_is_cancelled_and_off_the_stage_is_over_when_it_says_so() {
    let play = with_agent(Play::of(agent()).with(say("k1"))).with(stop_turn(1));
    play.with(fails(2, FailureKind::Aborted)).check(
        quarantined(true),
        "
                + child_finished kid1/1 quarantined
                + turn_finished 1 cancelled: enough
                > settle t1 0 tokens 1 calls
                > tell turn 1 cancelled
            ",
    );
}

#[test]
fn an_assignment_ends_behind_what_its_quarantined_agent_left_at_work() {
    assigned()
        .with(quarantined(false))
        .check(
            answers(2, reply("mine", &[])),
            "
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + cancel_requested kid1: the agent that started it has ended
                > cancel kid1/1
                > see to kid1/1
            ",
        )
        .check(
            quarantined(true),
            "
                + child_stopped kid1/1
                + turn_finished 1 completed: mine
                > report 1 to boss: completed
                > tell turn 1 completed
            ",
        );
}

#[test]
fn a_model_that_cancels_an_agent_off_the_stage_reads_its_end_when_nothing_is_left() {
    let id = kid(1);
    let args = format!(r#"{{"agent_id":"{id}"}}"#);
    with_agent(Play::of(agent()).with(say("k1")))
        .with(quarantined(false))
        .check(
            wants(2, &[("cancel_agent", args.as_str())]),
            "
                + model_call_finished m2
                + usage_settled m2 exactly 15
                + tool_requested t2 cancel_agent
                + tool_started t2 as built in until 345601000
                + cancel_requested kid1: cancelled by its parent
                > cancel kid1/1
                > see to kid1/1
            ",
        )
        .check(
            quarantined(true),
            r#"
                + child_stopped kid1/1
                + tool_finished t2 done: [{"agent_id":"kid1","agent":"hand","status":"quarantined","result":"3 panics"}]
                + model_call_started m3
                > call m3
            "#,
        );
}

#[test]
fn off_the_stage_a_cancel_is_answered_when_nothing_below_is_at_work_and_as_often_as_asked() {
    off_stage()
        .check(
            cancelled(1),
            "
                + cancel_requested assignment 1: enough
                > report 1 to boss: quarantined
                > cancel kid1/1
                > see to kid1/1
            ",
        )
        .check(cancelled(1), "> report 1 to boss: quarantined")
        .check(
            ended(1, 1, "stopped"),
            "
                + child_finished kid1/1 completed
                > settle t1 0 tokens 1 calls
                > report 1 to boss: quarantined, stopped
            ",
        )
        .check(cancelled(1), "> report 1 to boss: quarantined, stopped")
        .check(wake(), "> report 1 to boss: quarantined, stopped");
}

#[test]
fn off_the_stage_a_cancel_of_what_it_refused_is_answered_too() {
    let mut play = off_stage();
    assert!(play.step(assign(2)).is_err());
    play.check(
        cancelled(2),
        "
                + cancel_requested assignment 2: enough
                > report 1 to boss: quarantined
                > report 2 to boss: quarantined, stopped
            ",
    );
}

#[test]
fn what_was_stopped_off_the_stage_does_not_go_on_after_its_release() {
    off_stage().with(cancelled(1)).with(ended(1, 1, "stopped")).check(
        Input::Released { skip: false },
        "
                + session_released
                + turn_finished 1 cancelled: enough
                > report 1 to boss: cancelled
                > tell turn 1 cancelled
            ",
    );
}

#[test]
fn what_it_refused_off_the_stage_and_hears_of_again_after_its_release_ends_as_it_begins() {
    let mut play = off_stage().with(ended(1, 1, "dug"));
    assert!(play.step(assign(2)).is_err());
    play.with(Input::Released { skip: true })
        .check(cancelled(2), "+ cancel_requested assignment 2: enough")
        .check(
            assign(2),
            "
                + input_accepted 2
                + turn_started 2
                + turn_finished 2 cancelled: enough
                > report 2 to boss: cancelled
                > tell turn 2 cancelled
            ",
        );
}
