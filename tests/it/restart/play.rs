//! A piece, and a play of it: the runtime on a folder's store that one process has for one half of
//! a scene. What is asked of models and tools is noted in the folder before it is asked, so that a
//! later play knows all that an earlier one did, however it ended.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    Runtime,
    domain::{
        agent::AgentSpec,
        event::{Event, UserInput},
        ids::{SessionId, TenantId},
        outcome::TurnOutcome,
        tool::{Args, ToolOutcome, ToolSpec},
    },
    ports::{Probe, Tool, ToolCtx},
    testing::harness::{Harness, PATIENCE_MS, ended, events},
};
use uuid::Uuid;

use super::death::Death;
use crate::{
    props::{Numbering, Prop, Recorder, count, is_whole, logged, note, noted, seen},
    stage::{deps, file_in, open},
};

/// The session that every piece is about: the first that is opened.
pub const HERO: SessionId = SessionId(Uuid::from_u128(1));
/// The key of what it is first told.
pub const KEY: &str = "k";

/// What is played: who says what, in which house. Both processes build it anew.
pub struct Piece {
    /// The agent that is spoken to.
    pub agent: &'static str,
    pub script: String,
    /// Adds agents and settings.
    pub furnish: fn(Harness) -> Harness,
    /// Makes the one tool of the house.
    pub look: Box<dyn Fn() -> Prop + Send + Sync>,
}

/// What another hand does to the house between the two halves.
pub type Meanwhile = fn(&mut Harness);

/// One half of a piece.
pub struct Play {
    pub harness: Harness,
    pub runtime: Runtime,
    pub recorder: Recorder,
    pub look: Prop,
    /// Which death it comes after; none in the control.
    pub death: Option<Death>,
    agent: &'static str,
    folder: PathBuf,
}

impl Play {
    /// A runtime on the store of this folder, where somebody may have played before.
    pub async fn on(folder: &Path, piece: &Piece, meanwhile: Option<Meanwhile>) -> Self {
        let look = (piece.look)();
        let store = open(&file_in(folder));
        let mut harness = (piece.furnish)(Harness::scripted(deps(&store), &piece.script));
        harness = harness.tool(Witnessed { look: look.clone(), file: runs_in(folder) });
        harness.deps.clock = Arc::new(Numbering::default());
        let recorder = Recorder::in_file(&mut harness, folder.join("asked.jsonl"));
        if let Some(meanwhile) = meanwhile {
            meanwhile(&mut harness);
        }
        let runtime = harness.start().await;
        let (agent, folder) = (piece.agent, folder.to_owned());
        Self { harness, runtime, recorder, look, death: None, agent, folder }
    }

    /// Opens the session that the piece is about, before all others.
    pub async fn opens(&self) {
        let opened = self.runtime.open(&self.agent.into(), TenantId::from("test")).await;
        assert_eq!(opened.expect("open"), HERO, "it is the first");
    }

    /// Tells it what it is to do.
    pub async fn tells(&self) {
        let input = UserInput::text("what is up?");
        self.runtime.submit(HERO, KEY.into(), input).await.expect("submit");
    }

    /// The last turn: it shows the whole conversation to the model once more.
    pub async fn encore(&self) {
        let input = UserInput::text("encore");
        let said = self.runtime.run(HERO, "encore".into(), input, PATIENCE_MS).await;
        assert!(matches!(said, Ok(TurnOutcome::Completed { .. })), "{said:?}");
    }

    /// Ends the piece: the first turn ends, an encore is given, and the log is whole.
    pub async fn finishes(&self) {
        let outcome = ended(&self.runtime, HERO, KEY).await;
        assert!(matches!(outcome, TurnOutcome::Completed { .. }), "{outcome:?}");
        self.encore().await;
        is_whole(&self.events(HERO).await);
    }

    /// Everything in a session's log.
    pub async fn events(&self, session: SessionId) -> Vec<Event> {
        events(&self.runtime, session).await
    }

    /// The usual beginning.
    pub async fn begins(&self) {
        self.opens().await;
        self.tells().await;
    }

    /// Waits until this session has begun so many model calls and the last of them was asked.
    pub async fn asks(&self, session: SessionId, calls: usize) {
        logged(&self.runtime, session, "the model call is in the log", |events| {
            (count(events, "model_call_started") == calls).then_some(())
        })
        .await;
        seen("the model was asked", || self.recorder.sent(session).len() == calls).await;
    }

    /// The keys under which the session that it is about ran its tool, in all processes.
    pub fn runs(&self) -> Vec<String> {
        self.witnessed("run")
    }

    /// The keys for which the world was asked what had happened.
    pub fn probes(&self) -> Vec<String> {
        self.witnessed("probe")
    }

    fn witnessed(&self, what: &str) -> Vec<String> {
        let all: Vec<(String, SessionId, String)> = noted(&runs_in(&self.folder));
        let mine = all.into_iter().filter(|(did, session, _)| did == what && *session == HERO);
        mine.map(|(_, _, key)| key).collect()
    }
}

fn runs_in(folder: &Path) -> PathBuf {
    folder.join("runs.jsonl")
}

/// The same agents with other instructions, sampling and tools, as an editor leaves them.
pub fn edits(harness: &mut Harness) {
    for agent in &mut harness.agents {
        let AgentSpec { instructions, sampling, tools, .. } = agent;
        "Edited meanwhile.".clone_into(instructions);
        sampling.temperature_milli = Some(900);
        tools.clear();
    }
}

/// The tool of a house, noted in a file before it does anything.
struct Witnessed {
    look: Prop,
    file: PathBuf,
}

impl Tool for Witnessed {
    fn spec(&self) -> ToolSpec {
        self.look.spec()
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        note(&self.file, &("run", ctx.call.session, &ctx.idempotency_key));
        self.look.run(ctx, args)
    }

    fn probe(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, Probe> {
        note(&self.file, &("probe", ctx.call.session, &ctx.idempotency_key));
        self.look.probe(ctx, args)
    }
}
