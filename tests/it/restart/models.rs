//! Sessions that die around a model call: before the answer, in the middle of it, and between two
//! attempts. The piece of one agent that most scenes play stands here.

use futures_util::FutureExt as _;
use greenroom_actors::{
    bus::{Heard, Note},
    domain::{catalog::TotalsOf, event::Event, tool::EffectClass},
    testing::harness::{Harness, bounded},
};

use super::{
    play::{HERO, Piece, Play},
    scene::Scene,
};
use crate::props::{Prop, agent, allow, logged};

/// The answer to the last turn of every piece.
pub const ENCORE: &str = "\nagent * when encore\n  say As I said.\n";

/// One agent that looks something up and tells it; `first` and `second` stand in its two steps.
pub fn solo(first: &str, second: &str, look: impl Fn() -> Prop + Send + Sync + 'static) -> Piece {
    let script = format!(
        "{ENCORE}
agent solo
    think Where to look?
    {first}
    call look {{\"at\": \"the sky\"}}
  then
    say The result:
    | {{last}}
    {second}
"
    );
    Piece { agent: "solo", script, furnish: looking, look: Box::new(look) }
}

pub fn looking(harness: Harness) -> Harness {
    let mut solo = agent("solo", &["look"], &[]);
    solo.instructions = "Look before you speak.".to_owned();
    allow(harness.agent(solo), &["look"])
}

/// The tool that answers at once and runs at most once.
pub fn once() -> Prop {
    Prop::new("look", EffectClass::Once)
}

pub fn scenes() -> Vec<Scene> {
    vec![before_the_answer(), amid_the_answer(), between_attempts()]
}

fn before_the_answer() -> Scene {
    let piece = solo("until call 2 hang", "", once);
    Scene {
        twice: Some(0),
        ..Scene::new("before the answer", piece, solo("", "", once), |play| {
            async {
                play.begins().await;
                play.asks(HERO, 1).await;
            }
            .boxed()
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_before_the_model_answers_it_asks_the_same_under_a_new_call_id() {
    before_the_answer().plays().await;
}

fn amid_the_answer() -> Scene {
    let piece = solo("", "until call 3 hang", once);
    Scene {
        twice: Some(1),
        shows: |play| booked_at_no_less_than_it_delivered(play).boxed(),
        ..Scene::new("amid the answer", piece, solo("", "", once), |play| {
            until_a_piece_of_the_second_call(play).boxed()
        })
    }
}

async fn until_a_piece_of_the_second_call(play: &Play) {
    let mut heard = play.runtime.subscribe();
    play.begins().await;
    bounded("a piece of the second call", async {
        while let Some(Heard::Note(note)) = heard.next().await {
            if matches!(note, Note::Delta { call, .. } if call.to_string().contains("m2")) {
                return;
            }
        }
        panic!("the runtime went away");
    })
    .await;
}

async fn booked_at_no_less_than_it_delivered(play: &Play) {
    let totals = play.runtime.totals(TotalsOf::Session(HERO)).await.expect("totals");
    assert_eq!(totals.unsettled_calls, 1, "{:?}", play.death);
    // Four bytes a token: the script's own measure of what had been delivered.
    let prompt = play.recorder.sent(HERO)[1].prompt.len() as u64 / 4;
    let delivered = prompt + "The result:".len() as u64 / 4;
    assert!(totals.unsettled_tokens_max >= delivered, "{:?}: {totals:?}", play.death);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_in_the_middle_of_a_stream_the_lost_call_is_booked_at_no_less_than_it_delivered() {
    amid_the_answer().plays().await;
}

fn between_attempts() -> Scene {
    let fail = "until call 2 fail overloaded after 1s unbilled: come back later";
    Scene {
        twice: Some(0),
        cut_off: 0,
        shows: |play| kept_the_pause(play).boxed(),
        ..Scene::new("between attempts", solo(fail, "", once), solo("", "", once), |play| {
            async {
                play.begins().await;
                logged(&play.runtime, HERO, "it pauses", |events| {
                    events.iter().any(|event| matches!(event, Event::TimerSet { .. })).then_some(())
                })
                .await;
            }
            .boxed()
        })
    }
}

async fn kept_the_pause(play: &Play) {
    let frames = play.runtime.read(HERO, Default::default()).await.expect("its log");
    let (mut due, mut called) = (None, None);
    for frame in &frames {
        for event in &frame.events {
            match event {
                Event::TimerSet { at, .. } => due = Some(*at),
                Event::ModelCallStarted { .. } if due.is_some() && called.is_none() => {
                    called = Some(frame.envelope.at);
                }
                _ => {}
            }
        }
    }
    let (due, called) = (due.expect("a pause"), called.expect("another attempt"));
    assert!(called >= due, "{:?}: due {due}, made {called}", play.death);
    let totals = play.runtime.totals(TotalsOf::Session(HERO)).await.expect("totals");
    assert_eq!(totals.unsettled_calls, 0, "{:?}: nothing was in flight", play.death);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_during_a_pause_between_two_attempts_it_makes_the_next_one() {
    between_attempts().plays().await;
}
