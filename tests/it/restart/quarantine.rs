//! Sessions that panic again and again: taken off the stage, released, and counted over the death
//! of their process.

use futures_util::FutureExt as _;
use greenroom_actors::{
    domain::{
        catalog::SessionFilter,
        event::{Event, RestartCause, UserInput},
        ids::SessionId,
        outcome::{ChildOutcome, TurnOutcome},
        tool::EffectClass,
    },
    runtime::CallError,
    testing::harness::{Harness, ended},
};

use super::{
    death::{Death, causes, panics},
    models::{ENCORE, once, solo},
    play::{HERO, KEY, Piece, Play},
    scene::{Act, Scene},
};
use crate::props::{Prop, agent, children, count, is_whole, logged, seen};

pub fn scenes() -> Vec<Scene> {
    vec![off_the_stage(), released(), skipped(), counted()]
}

/// A lead whose agent panics in its first calls.
fn shaky(calls: u32) -> Piece {
    let script = format!(
        "{ENCORE}
agent lead
    call spawn_agent {{\"agent\": \"shaky\", \"task\": \"a\"}}
  then
    call await_agents {{}}
  then
    say {{last}}
agent shaky
    until call {} panic out of tune
    say Shaky did {{input}}.
",
        calls + 1
    );
    let furnish = |harness: Harness| {
        harness.agent(agent("lead", &[], &["shaky"])).agent(agent("shaky", &[], &[]))
    };
    Piece { agent: "lead", script, furnish, look: Box::new(once) }
}

/// The lead dies when its agent is off the stage and it was told. The control is the same without
/// that death.
fn after_three_panics(name: &'static str, calls: u32, then: Act, shows: Act) -> Scene {
    let piece = shaky(calls);
    Scene {
        control: None,
        cut_off: 0,
        runs: Some((0, 0)),
        then,
        shows,
        ..Scene::new(name, piece, shaky(calls), |play| until_its_agent_is_off(play).boxed())
    }
}

async fn until_its_agent_is_off(play: &Play) {
    play.begins().await;
    let outcome = ended(&play.runtime, HERO, KEY).await;
    assert!(outcome.text().contains("quarantined"), "{outcome:?}");
    let child = the_child(play).await;
    let log = play.events(child).await;
    let reason = log.iter().find_map(|event| match event {
        Event::SessionQuarantined { reason } => Some(reason.clone()),
        _ => None,
    });
    let reason = reason.expect("off the stage");
    assert!(reason.contains("3 panics") && reason.contains("model"), "the step: {reason}");
}

async fn the_child(play: &Play) -> SessionId {
    children(&play.events(HERO).await)[0]
}

fn off_the_stage() -> Scene {
    after_three_panics(
        "off the stage",
        3,
        |play| stays_off(play).boxed(),
        |play| told_once(play).boxed(),
    )
}

/// Nobody's death brings it back.
async fn stays_off(play: &Play) {
    let child = the_child(play).await;
    let rows = play.runtime.sessions(SessionFilter { rows: 10, ..Default::default() }).await;
    let row = rows.expect("rows").into_iter().find(|row| row.session == child).expect("its row");
    assert_eq!(row.status.word(), "quarantined");
    let refused = play.runtime.submit(child, "x".into(), UserInput::text("still there?")).await;
    assert!(matches!(refused, Err(CallError::Rejected(_))), "{refused:?}");
}

async fn told_once(play: &Play) {
    let child = the_child(play).await;
    let told: Vec<ChildOutcome> = play
        .events(HERO)
        .await
        .iter()
        .filter_map(|event| match event {
            Event::ChildFinished { child: who, report, .. } if *who == child => {
                Some(report.outcome.clone())
            }
            _ => None,
        })
        .collect();
    assert!(matches!(told.as_slice(), [ChildOutcome::Quarantined { .. }]), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_panics_take_a_session_off_the_stage_and_its_parent_is_told_once() {
    off_the_stage().plays().await;
}

/// Releases the agent; how its turn ended.
async fn releases(play: &Play, skip: bool) -> TurnOutcome {
    let child = the_child(play).await;
    play.runtime.release(child, skip).await.expect("release");
    let done = logged(&play.runtime, child, "its turn ended", |events| {
        events.iter().find_map(|event| match event {
            Event::TurnFinished { outcome, .. } => Some(outcome.clone()),
            _ => None,
        })
    })
    .await;
    is_whole(&play.events(child).await);
    play.runtime.release(child, skip).await.expect("the same release again");
    let other = play.runtime.release(child, !skip).await;
    assert!(matches!(other, Err(CallError::Rejected(_))), "{other:?}");
    done
}

fn released() -> Scene {
    after_three_panics(
        "released",
        3,
        |play| async { assert_eq!(releases(play, false).await.text(), "Shaky did a.") }.boxed(),
        // It was told of the quarantine, before the release.
        |play| told_once(play).boxed(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_session_makes_its_step_again() {
    released().plays().await;
}

fn skipped() -> Scene {
    after_three_panics(
        "skipped",
        9,
        |play| {
            async {
                let done = releases(play, true).await;
                let skipped = |reason: &str| reason.contains("skipped");
                assert!(
                    matches!(&done, TurnOutcome::Failed { reason } if skipped(reason)),
                    "{done:?}"
                );
            }
            .boxed()
        },
        |play| told_once(play).boxed(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_skips_closes_the_failed_step_instead() {
    skipped().plays().await;
}

/// Two panics without progress, then the death: one more panic, or that of the process.
fn counted() -> Scene {
    let look = || Prop::new("look", EffectClass::Pure);
    let piece = solo("", "", move || look().hold());
    Scene {
        then: |play| off_by_the_third_panic(play).boxed(),
        runs: None,
        ..Scene::new("counted", piece, solo("", "", look), |play| {
            async {
                play.begins().await;
                for run in 1..=2 {
                    runs_again(play, run).await;
                    panics(play, HERO).await;
                }
                runs_again(play, 3).await;
            }
            .boxed()
        })
    }
}

async fn runs_again(play: &Play, run: usize) {
    seen("the tool runs", || play.runs().len() == run && play.look.at_work() == 1).await;
}

async fn off_by_the_third_panic(play: &Play) {
    let killed = play.death == Some(Death::Kill);
    if killed {
        runs_again(play, 4).await;
        let log = play.events(HERO).await;
        assert_eq!(causes(&log).last(), Some(&RestartCause::Process));
        assert_eq!(count(&log, "session_quarantined"), 0, "the process's death is not its own");
        panics(play, HERO).await;
    }
    let log = play.events(HERO).await;
    assert_eq!(count(&log, "session_quarantined"), 1, "{log:#?}");
    play.look.cue();
    play.runtime.release(HERO, false).await.expect("release");
    ended(&play.runtime, HERO, KEY).await;
    let keys = play.runs();
    assert_eq!(keys.len(), if killed { 5 } else { 4 });
    assert!(keys.iter().all(|key| *key == keys[0]), "one call has one key: {keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_count_of_panics_outlives_the_process() {
    counted().plays().await;
}
