//! How a session leaves memory between the two halves of a scene: by a panic of its own in a
//! process that lives on, with its process by a real SIGKILL, or because it has nothing to do. In
//! each case its house is changed meanwhile.

use std::{env, path::Path};

use greenroom_actors::domain::{
    event::{Event, RestartCause},
    ids::SessionId,
};

use super::{
    play::{HERO, Play},
    scene::{self, Scene},
};
use crate::{
    killed::{self, is_ready},
    parts,
    props::{count, logged, seen},
};

/// The part of the process that is killed.
pub const PART: &str = "plays a scene and is killed";
const FOLDER: &str = "GREENROOM_RESTART_FOLDER";
const SCENE: &str = "GREENROOM_RESTART_SCENE";

/// How a session leaves memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It panics; its process lives on.
    Panic,
    /// Its process is killed.
    Kill,
    /// It falls asleep; its process lives on.
    Sleep,
}

impl Death {
    /// Plays the first half of a scene, lets this happen to it, and begins the second half.
    pub async fn comes_to(self, scene: &Scene, folder: &Path) -> Play {
        let mut play = match self {
            Self::Kill => {
                plays_and_is_killed(scene.name, folder);
                Play::on(folder, &scene.piece, Some(scene.meanwhile)).await
            }
            Self::Panic | Self::Sleep => {
                let mut play = Play::on(folder, &scene.piece, None).await;
                (scene.until)(&play).await;
                (scene.meanwhile)(&mut play.harness);
                play.runtime.add_agents(play.harness.agents.clone()).expect("changed agents");
                if self == Self::Panic {
                    for session in (scene.who)(&play.events(HERO).await) {
                        panics(&play, session).await;
                    }
                }
                play
            }
        };
        play.death = Some(self);
        play
    }
}

/// Lets a session panic and waits until its log says what became of it: started again, or taken
/// off the stage.
pub async fn panics(play: &Play, session: SessionId) {
    let before = count(&play.events(session).await, "session_restarted");
    seen("the session is awake", || play.runtime.panic_session(session, "struck")).await;
    logged(&play.runtime, session, "it was started again", |events| {
        let now = count(events, "session_restarted");
        let off = count(events, "session_quarantined") > count(events, "session_released");
        (now > before || off).then_some(())
    })
    .await;
}

/// What the log says of restarts.
pub fn causes(events: &[Event]) -> Vec<RestartCause> {
    let restarted = events.iter().filter_map(|event| match event {
        Event::SessionRestarted { cause } => Some(cause.clone()),
        _ => None,
    });
    restarted.collect()
}

/// Plays the first half of a scene in a process of its own and kills that when it is ready.
fn plays_and_is_killed(name: &str, folder: &Path) {
    let mut process = parts::process(PART);
    process.env(FOLDER, folder).env(SCENE, name);
    killed::kills_when_ready(process, name, folder);
}

/// What the process does that is killed.
pub fn play() {
    let folder = env::var_os(FOLDER).expect("a folder to play in");
    let scene = scene::called(&env::var(SCENE).expect("a scene to play"));
    parts::on_two_threads(async {
        let play = Play::on(Path::new(&folder), &scene.piece, None).await;
        (scene.until)(&play).await;
        is_ready().await;
    });
}
