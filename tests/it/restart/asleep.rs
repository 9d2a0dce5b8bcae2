//! Sessions that leave memory because they have nothing to do: with their process while they
//! sleep, and by a death right after they woke.

use futures_util::FutureExt as _;
use greenroom_actors::{domain::event::UserInput, testing::harness::ended};

use super::{
    death::{Death, causes},
    models::{looking, once, solo},
    play::{HERO, KEY, Piece, Play, edits},
    scene::Scene,
};
use crate::props::seen;

pub fn scenes() -> Vec<Scene> {
    vec![asleep(), barely_awake()]
}

fn sleepy(encore: &str) -> Piece {
    let mut piece = solo("", "", once);
    piece.script = piece.script.replace("when encore\n", &format!("when encore\n  {encore}\n"));
    piece.furnish = |harness| {
        let mut harness = looking(harness);
        harness.options.idle_ms = 5;
        harness
    };
    piece
}

async fn until_it_sleeps(play: &Play) {
    play.begins().await;
    ended(&play.runtime, HERO, KEY).await;
    seen("it sleeps", || play.runtime.awake() == 0).await;
}

/// A session that sleeps has nothing in memory that could panic: to fall asleep is its own way to
/// leave it.
fn asleep() -> Scene {
    Scene {
        deaths: &[Death::Sleep, Death::Kill],
        cut_off: 0,
        shows: |play| {
            async {
                let causes = causes(&play.events(HERO).await);
                assert_eq!(causes, [], "{:?}: nothing was in hand", play.death);
            }
            .boxed()
        },
        ..Scene::new("asleep", sleepy(""), solo("", "", once), |play| until_it_sleeps(play).boxed())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_slept_wakes_with_the_same_prompt() {
    asleep().plays().await;
}

fn barely_awake() -> Scene {
    Scene {
        twice: Some(2),
        ..Scene::new("barely awake", sleepy("until call 4 hang"), solo("", "", once), |play| {
            async {
                until_it_sleeps(play).await;
                // Its agent is edited while it sleeps, and not only while it is dead.
                let mut house = play.harness.clone();
                edits(&mut house);
                play.runtime.add_agents(house.agents).expect("edited agents");
                let input = UserInput::text("encore");
                play.runtime.submit(HERO, "encore".into(), input).await.expect("submit");
                play.asks(HERO, 3).await;
            }
            .boxed()
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_right_after_it_woke_it_asks_the_same_once_more() {
    barely_awake().plays().await;
}
