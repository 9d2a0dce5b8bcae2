//! Sessions that die around a tool call: waiting for a slot, asking a person, while the tool runs,
//! by its effect class, and with a tool that the next host does not have.

use futures_util::FutureExt as _;
use greenroom_actors::{
    domain::{
        event::Event,
        ids::ApprovalId,
        permission::Answer,
        tool::{EffectClass, Output, ToolOutcome},
    },
    ports::Probe,
    testing::harness::say,
};

use super::{
    death::Death,
    models::{looking, once, solo},
    play::{HERO, Play},
    scene::Scene,
};
use crate::props::{Prop, asked, closures, count, logged, seen};

pub fn scenes() -> Vec<Scene> {
    let mut scenes = vec![waits_for_a_slot(), asks_a_person(), cut_off_once(), its_tool_is_gone()];
    scenes.extend(run_again());
    scenes.extend(worlds());
    scenes
}

fn waits_for_a_slot() -> Scene {
    // A neighbour has the only slot; whoever comes back runs the tool again, so it is pure.
    let look = || Prop::new("look", EffectClass::Pure);
    let mut piece = solo("", "", move || look().hold());
    piece.furnish = |harness| {
        let mut harness = looking(harness);
        harness.options.pools.insert("props".into(), 1);
        harness
    };
    Scene {
        then: cued,
        cut_off: 0,
        ..Scene::new("waits for a slot", piece, solo("", "", look), |play| {
            until_it_waits_for_a_slot(play).boxed()
        })
    }
}

async fn until_it_waits_for_a_slot(play: &Play) {
    play.opens().await;
    say(&play.runtime, "solo", "k", "go").await;
    seen("the slot is taken", || play.look.at_work() == 1).await;
    play.tells().await;
    logged(&play.runtime, HERO, "a tool is wanted", |events| {
        (count(events, "tool_requested") == 1).then_some(())
    })
    .await;
    assert_eq!(count(&play.events(HERO).await, "tool_started"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_between_the_answer_and_its_tool_the_tool_runs_once_afterwards() {
    waits_for_a_slot().plays().await;
}

fn asks_a_person() -> Scene {
    let mut piece = solo("", "", once);
    piece.furnish = |harness| {
        let mut harness = looking(harness);
        harness.options.layers.user.allow.clear();
        harness
    };
    Scene {
        then: |play| answered_once(play).boxed(),
        cut_off: 0,
        ..Scene::new("asks a person", piece, solo("", "", once), |play| {
            async {
                play.begins().await;
                asked(&play.runtime, 1).await;
            }
            .boxed()
        })
    }
}

async fn answered_once(play: &Play) {
    let open = asked(&play.runtime, 1).await;
    let events = play.events(HERO).await;
    let before = events.iter().find_map(|event| match event {
        Event::ApprovalRequested { no, .. } => Some(ApprovalId { session: HERO, no: *no }),
        _ => None,
    });
    assert_eq!(open.first().copied(), before, "the question of before");
    play.runtime.decide(open[0], Answer::Once).await.expect("the answer");
    // The same answer again is the same answer; another one comes too late.
    play.runtime.decide(open[0], Answer::Once).await.expect("the same answer");
    let other = play.runtime.decide(open[0], Answer::Reject).await;
    assert!(other.is_err(), "{:?}: an answer counts once", play.death);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_to_a_person_outlives_the_session_and_its_answer_counts_once() {
    asks_a_person().plays().await;
}

/// Dies while its tool runs. In the control the tool itself says what a session is to hear of it.
fn cut_off(
    name: &'static str,
    look: impl Fn() -> Prop + Send + Sync + 'static,
    told: impl Fn() -> Prop + Send + Sync + 'static,
) -> Scene {
    let piece = solo("", "", move || look().hold());
    Scene {
        then: cued,
        shows: |play| async { assert_eq!(closures(&play.events(HERO).await).len(), 1) }.boxed(),
        ..Scene::new(name, piece, solo("", "", told), |play| until_the_tool_runs(play).boxed())
    }
}

async fn until_the_tool_runs(play: &Play) {
    play.begins().await;
    seen("the tool runs", || play.look.at_work() == 1).await;
}

/// Lets tools that are held go on.
pub fn cued(play: &Play) -> futures_util::future::BoxFuture<'_, ()> {
    play.look.cue();
    super::scene::nothing(play)
}

/// A tool that fails with the words of another outcome.
fn fails_as(effect: EffectClass, output: Output) -> impl Fn() -> Prop + Send + Sync {
    let outcome = ToolOutcome::Failed { output };
    move || Prop::with("look", effect, outcome.clone(), Probe::Unknown)
}

/// What a session hears of a call whose outcome nobody knows.
fn unknown() -> Output {
    ToolOutcome::OutcomeUnknown.told().0
}

fn cut_off_once() -> Scene {
    cut_off("cut off, once", once, fails_as(EffectClass::Once, unknown()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_once_tool_cut_off_is_never_run_again_and_its_outcome_is_said_to_be_unknown() {
    cut_off_once().plays().await;
}

fn run_again() -> [Scene; 2] {
    let classes =
        [("cut off, pure", EffectClass::Pure), ("cut off, idempotent", EffectClass::Idempotent)];
    classes.map(|(name, effect)| {
        let look = move || Prop::new("look", effect);
        Scene { runs: Some((2, 0)), ..cut_off(name, look, look) }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pure_or_idempotent_tool_cut_off_is_run_again_under_the_same_key() {
    for scene in run_again() {
        scene.plays().await;
    }
}

fn worlds() -> [Scene; 3] {
    let effect = EffectClass::Verifiable;
    let done = ToolOutcome::Done { output: Output::text("look done") };
    let lost = ToolOutcome::Failed { output: unknown() };
    let worlds = [
        ("cut off, it happened", Probe::Happened(done.clone()), done.clone(), 1),
        ("cut off, it did not happen", Probe::DidNot, done.clone(), 2),
        ("cut off, nobody knows", Probe::Unknown, lost, 1),
    ];
    worlds.map(|(name, world, told, runs)| {
        let (done, same) = (done.clone(), world.clone());
        let look = move || Prop::with("look", effect, done.clone(), world.clone());
        let told = move || Prop::with("look", effect, told.clone(), same.clone());
        Scene { runs: Some((runs, 1)), ..cut_off(name, look, told) }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_a_verifiable_tool_cut_off_the_world_is_asked_first() {
    for scene in worlds() {
        scene.plays().await;
    }
}

/// The next host has neither the tool nor any other of its kind. A process that lives on cannot
/// lose a tool, so this is about its death alone.
fn its_tool_is_gone() -> Scene {
    let effect = EffectClass::Pure;
    let told = Output::text("tool look is not registered in this runtime");
    let look = move || Prop::new("look", effect);
    let scene = cut_off("its tool is gone", look, fails_as(effect, told));
    Scene {
        deaths: &[Death::Kill],
        meanwhile: |harness| {
            harness.tools.clear();
            harness.agents.clear();
        },
        ..scene
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_started_call_whose_tool_is_gone_closes_instead_of_hanging() {
    its_tool_is_gone().plays().await;
}
