//! The world that tools change, outside the runtime: a process that counts effects by their key
//! and notes each one before it answers, and the tools that reach it.
//!
//! A killed client's request may still lie unread in a socket when its successor asks whether the
//! effect happened. As a careful vendor would, the sink fences: once it has said no to a question,
//! what was sent before that question is refused and noted as fenced.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        ids::ToolName,
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
    },
    ports::{Probe, Tool, ToolCtx},
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, task::JoinSet};

use super::wire::{self, LineJournal, Wire};

/// The pool the tools run in.
pub(crate) const POOL: &str = "sink";

/// A request to the sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum SinkRequest {
    /// Make an effect.
    Effect {
        /// Its idempotency key.
        key: String,
        /// What running it twice would do.
        class: EffectClass,
        /// What it is about.
        payload: String,
        /// How long the sink takes: half before the effect, half after.
        delay_ms: u64,
        /// When it was sent, in nanoseconds by the machine's clock.
        sent_ns: u64,
    },
    /// Say whether an effect happened.
    Ask {
        /// Its key.
        key: String,
        /// When it was asked.
        sent_ns: u64,
    },
}

/// The sink's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SinkAnswer {
    /// The effect happened, so many times by now.
    Count(u64),
    /// It did not happen and will not: somebody was told so.
    Fenced,
}

/// A line of the sink's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum SinkRecord {
    /// An effect happened.
    Seen {
        /// Its key.
        key: String,
        /// Its class.
        class: EffectClass,
        /// What it was about.
        payload: String,
        /// How often it has happened, this time included.
        count: u64,
    },
    /// Somebody asked.
    Asked {
        /// For which key.
        key: String,
        /// How often it had happened.
        count: u64,
    },
    /// An effect came too late.
    Fenced {
        /// Its key.
        key: String,
    },
}

/// The sink's journal, in order.
pub(crate) fn read_journal(path: &Path) -> io::Result<Vec<SinkRecord>> {
    wire::read_journal(path)
}

/// How often each key was seen, with its class.
pub(crate) fn counts(records: &[SinkRecord]) -> BTreeMap<String, (EffectClass, u64)> {
    let mut counts = BTreeMap::new();
    for record in records {
        match record {
            SinkRecord::Seen { key, class, .. } => {
                counts.entry(key.clone()).or_insert((*class, 0)).1 += 1;
            }
            SinkRecord::Asked { .. } | SinkRecord::Fenced { .. } => {}
        }
    }
    counts
}

/// The role: says `listening PORT` and serves until it is killed.
pub(crate) async fn serve(journal_path: &Path) -> io::Result<()> {
    serve_on(wire::listen().await?, journal_path).await
}

/// Serves on this listener until dropped.
pub(crate) async fn serve_on(listener: TcpListener, journal_path: &Path) -> io::Result<()> {
    let journal = LineJournal::open(journal_path)?;
    let sink = Arc::new(Sink { journal, keys: Mutex::default() });
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _peer) = accepted?;
                requests.spawn(Arc::clone(&sink).answer(Wire::over(socket)));
            }
            Some(ended) = requests.join_next() => match ended {
                Ok(noted) => noted?,
                Err(panicked) => return Err(io::Error::other(panicked)),
            },
        }
    }
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    count: u64,
    /// What was sent before this is refused.
    fence_ns: u64,
}

struct Sink {
    journal: LineJournal,
    keys: Mutex<BTreeMap<String, Key>>,
}

impl Sink {
    /// One request. Errors are those of the journal.
    async fn answer(self: Arc<Self>, mut wire: Wire) -> io::Result<()> {
        let Ok(Some(request)) = wire.read::<SinkRequest>().await else {
            return Ok(());
        };
        let answer = match request {
            SinkRequest::Ask { key, sent_ns } => self.ask(key, sent_ns)?,
            SinkRequest::Effect { key, class, payload, delay_ms, sent_ns } => {
                let before = delay_ms / 2;
                tokio::select! {
                    biased;
                    // Who hangs up before the effect has asked for none.
                    () = wire.peer_left() => return Ok(()),
                    () = wire::pause_ms(before) => {}
                }
                let answer = self.effect(key, class, payload, sent_ns)?;
                wire::pause_ms(delay_ms - before).await;
                answer
            }
        };
        // The effect stands whether or not anybody hears of it.
        drop(wire.write(&answer).await);
        Ok(())
    }

    /// The effect and its note are one: the lock is held over both.
    fn effect(
        &self,
        key: String,
        class: EffectClass,
        payload: String,
        sent_ns: u64,
    ) -> io::Result<SinkAnswer> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let known = keys.entry(key.clone()).or_default();
        if sent_ns < known.fence_ns {
            self.journal.note(&SinkRecord::Fenced { key })?;
            return Ok(SinkAnswer::Fenced);
        }
        known.count += 1;
        let count = known.count;
        self.journal.note(&SinkRecord::Seen { key, class, payload, count })?;
        Ok(SinkAnswer::Count(count))
    }

    fn ask(&self, key: String, sent_ns: u64) -> io::Result<SinkAnswer> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let known = keys.entry(key.clone()).or_default();
        let count = known.count;
        if count == 0 {
            known.fence_ns = known.fence_ns.max(sent_ns);
        }
        self.journal.note(&SinkRecord::Asked { key, count })?;
        Ok(SinkAnswer::Count(count))
    }
}

/// Sends one request to the sink.
pub(crate) async fn send(addr: SocketAddr, request: &SinkRequest) -> io::Result<SinkAnswer> {
    let mut wire = Wire::connect(addr).await?;
    wire.write(request).await?;
    let closed = || io::Error::new(io::ErrorKind::UnexpectedEof, "the sink closed unanswered");
    wire.read().await?.ok_or_else(closed)
}

/// The four tools: `sink_pure`, `sink_idempotent`, `sink_verifiable` and `sink_once`.
pub(crate) fn tools(addr: SocketAddr) -> Vec<Arc<dyn Tool>> {
    [EffectClass::Pure, EffectClass::Idempotent, EffectClass::Verifiable, EffectClass::Once]
        .into_iter()
        .map(|class| Arc::new(SinkTool { addr, class }) as Arc<dyn Tool>)
        .collect()
}

/// A tool whose effect is a line in the sink's journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SinkTool {
    addr: SocketAddr,
    class: EffectClass,
}

/// What the tools take.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinkArgs {
    note: String,
    #[serde(default)]
    delay_ms: u64,
}

const SCHEMA: &str = r#"{"type":"object","properties":{"note":{"type":"string"},"delay_ms":{"type":"integer","minimum":0}},"required":["note"],"additionalProperties":false}"#;

impl SinkTool {
    /// Its name.
    pub(crate) fn name(self) -> ToolName {
        match self.class {
            EffectClass::Pure => "sink_pure",
            EffectClass::Idempotent => "sink_idempotent",
            EffectClass::Verifiable => "sink_verifiable",
            EffectClass::Once => "sink_once",
        }
        .into()
    }

    async fn effect(self, key: String, args: Args) -> ToolOutcome {
        let args: SinkArgs = match serde_json::from_str(&args.0) {
            Ok(args) => args,
            Err(error) => return failed(format!("read the arguments: {error}")),
        };
        let request = SinkRequest::Effect {
            key,
            class: self.class,
            payload: args.note.clone(),
            delay_ms: args.delay_ms,
            sent_ns: wire::wall_ns(),
        };
        match send(self.addr, &request).await {
            Ok(SinkAnswer::Count(_)) => done(&args.note),
            Ok(SinkAnswer::Fenced) => failed("the sink had told another that it did not happen"),
            Err(error) => failed(format!("reach the sink: {error}")),
        }
    }
}

/// The same words however often it ran and whoever tells, so that runs with and without a crash
/// give the same conversation.
fn done(note: &str) -> ToolOutcome {
    ToolOutcome::Done { output: Output::text(format!("noted: {note}")) }
}

fn failed(why: impl Into<String>) -> ToolOutcome {
    ToolOutcome::Failed { output: Output::text(why) }
}

impl Tool for SinkTool {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name(),
            description: "Notes something in the world outside.".to_owned(),
            schema: SCHEMA.to_owned(),
            effect: self.class,
            pool: POOL.into(),
        }
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        let tool = *self;
        let mut cancel = ctx.cancel;
        let key = ctx.idempotency_key;
        Box::pin(async move {
            tokio::select! {
                biased;
                outcome = tool.effect(key, args) => outcome,
                () = cancel.requested() => ToolOutcome::Cancelled { effect_unknown: true },
            }
        })
    }

    fn probe(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, Probe> {
        let addr = self.addr;
        Box::pin(async move {
            let ask = SinkRequest::Ask { key: ctx.idempotency_key, sent_ns: wire::wall_ns() };
            let note = serde_json::from_str::<SinkArgs>(&args.0).map(|args| args.note);
            match (send(addr, &ask).await, note) {
                (Ok(SinkAnswer::Count(0)), _) => Probe::DidNot,
                (Ok(SinkAnswer::Count(_)), Ok(note)) => Probe::Happened(done(&note)),
                (Ok(SinkAnswer::Count(_)), Err(_)) | (Ok(SinkAnswer::Fenced) | Err(_), _) => {
                    Probe::Unknown
                }
            }
        })
    }
}
