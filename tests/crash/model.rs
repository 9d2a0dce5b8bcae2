//! A vendor of models that outlives the runtime: its own process, its own journal. What it notes
//! is what the ledger is checked against, so it notes before it lets the client go on:
//!
//! ```text
//! client   request ──►            ──► (reads to the end) ack ──►         ◄── noted: goes on
//! vendor          notes arrived ──► events …                  notes delivered ──►
//! ```
//!
//! A call whose end was not acknowledged is noted as broken, with what it cost until then.
//! Everything a call depends on is in its prompt, which travels as the text that was hashed.

use std::{collections::BTreeSet, io, panic::AssertUnwindSafe, path::Path, sync::Arc};

use futures_util::{FutureExt, StreamExt};
use greenroom_actors::{
    domain::{
        agent::Sampling,
        conversation::Message,
        event::ModelFailure,
        ids::{AgentName, CallId, ModelName, Timestamp, TurnId},
        tool::ToolSpec,
        usage::Usage,
    },
    owned::panic_text,
    ports::{ModelEvent, ModelProvider, ModelRequest},
    scripted::ScriptedModel,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinSet};

use super::wire::{self, LineJournal, WallClock, Wire};

/// A model call on its way to the vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireRequest {
    /// Which call.
    pub(crate) call: CallId,
    /// Which agent asks.
    pub(crate) agent: AgentName,
    /// In which turn.
    pub(crate) turn: TurnId,
    /// When it is over.
    pub(crate) deadline: Timestamp,
    /// The prompt's bytes: model, instructions, tools, messages and sampling.
    pub(crate) prompt: String,
}

/// What a prompt holds: the fields of `ModelRequest` that it serialises.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompt {
    model: ModelName,
    instructions: String,
    tools: Vec<ToolSpec>,
    messages: Vec<Arc<Message>>,
    sampling: Sampling,
}

impl WireRequest {
    /// The call as it travels.
    pub(crate) fn of(request: &ModelRequest) -> Self {
        Self {
            call: request.call,
            agent: request.agent.clone(),
            turn: request.turn,
            deadline: request.deadline,
            prompt: String::from_utf8_lossy(&request.prompt_bytes()).into_owned(),
        }
    }

    /// The call as the model reads it.
    pub(crate) fn request(&self) -> Result<ModelRequest, serde_json::Error> {
        let prompt: Prompt = serde_json::from_str(&self.prompt)?;
        Ok(ModelRequest {
            call: self.call,
            agent: self.agent.clone(),
            turn: self.turn,
            deadline: self.deadline,
            model: prompt.model,
            instructions: prompt.instructions,
            tools: Arc::new(prompt.tools),
            messages: prompt.messages,
            sampling: prompt.sampling,
            images: std::collections::BTreeMap::new(),
        })
    }
}

/// What the vendor answers, a line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireAnswer {
    Event(ModelEvent),
    Failed(ModelFailure),
    /// The script ends the stream without its end.
    EndedEarly,
    /// The script panics; the client does it in its place.
    Panicked(String),
    /// The acknowledged end is in the journal.
    Noted,
}

/// The client's word that it has read the end.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireAck {
    Ack,
}

/// A line of the vendor's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum ModelRecord {
    /// A call came in.
    Arrived {
        /// Which; a call id comes once, or the runtime has made a call twice.
        call: CallId,
        /// Whose.
        agent: AgentName,
        /// In which turn.
        turn: TurnId,
        /// Of which model.
        model: ModelName,
        /// SHA-256 of the prompt, lower-case hex.
        sha256: String,
        /// The prompt.
        prompt: String,
    },
    /// The whole answer was read by the client.
    Delivered {
        /// Which.
        call: CallId,
        /// What was reported to it.
        usage: Option<Usage>,
    },
    /// A failure was read by the client.
    Failed {
        /// Which.
        call: CallId,
        /// The failure.
        failure: ModelFailure,
        /// What it cost the vendor; nothing when the failure says so.
        usage: Usage,
    },
    /// The client left before it had read the end, or the script gave it none.
    Broken {
        /// Which.
        call: CallId,
        /// What it cost the vendor until then.
        usage: Usage,
        /// Whether the end had been sent.
        finished: bool,
    },
}

impl ModelRecord {
    /// The call it is about.
    pub(crate) const fn call(&self) -> CallId {
        match self {
            Self::Arrived { call, .. }
            | Self::Delivered { call, .. }
            | Self::Failed { call, .. }
            | Self::Broken { call, .. } => *call,
        }
    }
}

/// The vendor's journal, in order.
pub(crate) fn read_journal(path: &Path) -> io::Result<Vec<ModelRecord>> {
    wire::read_journal(path)
}

/// Calls that came in and have not ended. Once the runtime is dead this becomes empty by itself;
/// the driver compares nothing before it has.
pub(crate) fn open_calls(records: &[ModelRecord]) -> BTreeSet<CallId> {
    let mut open = BTreeSet::new();
    for record in records {
        match record {
            ModelRecord::Arrived { call, .. } => open.insert(*call),
            ModelRecord::Delivered { call, .. }
            | ModelRecord::Failed { call, .. }
            | ModelRecord::Broken { call, .. } => open.remove(call),
        };
    }
    open
}

/// The role: says `listening PORT` and serves until it is killed.
pub(crate) async fn serve(script: &str, journal_path: &Path) -> io::Result<()> {
    serve_on(wire::listen().await?, script, journal_path).await
}

/// Serves on this listener until dropped.
pub(crate) async fn serve_on(
    listener: TcpListener,
    script: &str,
    journal_path: &Path,
) -> io::Result<()> {
    let model = ScriptedModel::parse(script)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let vendor = Arc::new(Vendor {
        model: model.with_clock(Arc::new(WallClock)),
        journal: LineJournal::open(journal_path)?,
    });
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _peer) = accepted?;
                calls.spawn(Arc::clone(&vendor).answer(Wire::over(socket)));
            }
            Some(ended) = calls.join_next() => match ended {
                // A journal that cannot be written proves nothing any more.
                Ok(noted) => noted?,
                Err(panicked) => return Err(io::Error::other(panicked)),
            },
        }
    }
}

struct Vendor {
    model: ScriptedModel,
    journal: LineJournal,
}

/// How far a call has come.
#[derive(Default)]
struct Progress {
    output_bytes: usize,
    usage: Option<Usage>,
    finished: bool,
    failed: Option<ModelFailure>,
}

impl Vendor {
    /// One call, from its request to the note of its end. Errors are those of the journal; a
    /// connection that breaks is an end like any other.
    async fn answer(self: Arc<Self>, mut wire: Wire) -> io::Result<()> {
        // Killed clients leave half a line or none; no call has arrived then.
        let Ok(Some(asked)) = wire.read::<WireRequest>().await else {
            return Ok(());
        };
        let request = asked.request()?;
        let sha256 = hex(&Sha256::digest(asked.prompt.as_bytes()));
        let input = tokens(asked.prompt.len());
        let call = asked.call;
        self.journal.note(&ModelRecord::Arrived {
            call,
            agent: asked.agent,
            turn: asked.turn,
            model: request.model.clone(),
            sha256,
            prompt: asked.prompt,
        })?;
        let mut progress = Progress::default();
        let acknowledged = self.stream(&mut wire, request, &mut progress).await;
        let output = tokens(progress.output_bytes);
        let spent = progress.usage.unwrap_or(Usage { input, output, ..Usage::default() });
        self.journal.note(&match (acknowledged, progress.failed) {
            (true, Some(failure)) => {
                let usage = if failure.unbilled { Usage::default() } else { spent };
                ModelRecord::Failed { call, failure, usage }
            }
            (true, None) if progress.finished => {
                ModelRecord::Delivered { call, usage: progress.usage }
            }
            (_, Some(failure)) if failure.unbilled => {
                ModelRecord::Broken { call, usage: Usage::default(), finished: false }
            }
            (_, _) => ModelRecord::Broken { call, usage: spent, finished: progress.finished },
        })?;
        // Whoever is gone by now needs no note: the record stands either way.
        drop(wire.write(&WireAnswer::Noted).await);
        Ok(())
    }

    /// Streams the answer; whether its end was acknowledged.
    async fn stream(&self, wire: &mut Wire, request: ModelRequest, to: &mut Progress) -> bool {
        let mut events = self.model.call(request);
        loop {
            let next = tokio::select! {
                biased;
                () = wire.peer_left() => return false,
                next = AssertUnwindSafe(events.next()).catch_unwind() => next,
            };
            let (answer, last) = match next {
                Ok(Some(Ok(event))) => {
                    let last = to.count(&event);
                    (WireAnswer::Event(event), last)
                }
                Ok(Some(Err(failure))) => {
                    to.failed = Some(failure.clone());
                    (WireAnswer::Failed(failure), true)
                }
                Ok(None) => (WireAnswer::EndedEarly, true),
                Err(panic) => (WireAnswer::Panicked(panic_text(panic.as_ref())), true),
            };
            if wire.write(&answer).await.is_err() {
                return false;
            }
            if last {
                return matches!(wire.read::<WireAck>().await, Ok(Some(WireAck::Ack)));
            }
        }
    }
}

impl Progress {
    /// Counts an event; whether it is the end.
    fn count(&mut self, event: &ModelEvent) -> bool {
        match event {
            ModelEvent::Text { delta } | ModelEvent::Thinking { delta } => {
                self.output_bytes += delta.len();
                false
            }
            ModelEvent::Limits { .. } => false,
            ModelEvent::Finished { reply } => {
                self.usage = reply.usage;
                self.finished = true;
                true
            }
        }
    }
}

/// As the scripted model derives them: four bytes a token, rounded up.
fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
