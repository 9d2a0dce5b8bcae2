//! A vendor of models that outlives the runtime: its own process, its own journal. It speaks Chat
//! Completions over HTTP and streams what the script says. What it notes is what the ledger is
//! checked against, so it notes before it lets the client go on:
//!
//! ```text
//! runtime's wrapper   POST /expect ──►                             POST /ack ──►    ◄── noted
//! runtime's adapter            POST /v1/chat/completions ──► reads to the end
//! vendor                          notes arrived ──► chunks …       notes delivered ──►
//! ```
//!
//! Announcement and acknowledgement share a connection, which says more than the adapter's does:
//! when it closes the client has given the call up or is dead, whatever the adapter still reads or
//! keeps in its pool. A call whose end was not acknowledged is noted as broken, with what it cost
//! until then.

use std::{
    collections::HashMap,
    io,
    panic::AssertUnwindSafe,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{FutureExt, StreamExt};
use greenroom_actors::{
    domain::{event::ModelFailure, usage::Usage},
    owned::panic_text,
    ports::{ModelEvent, ModelProvider, ModelRequest},
    scripted::ScriptedModel,
};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    chunks::{self, Fault},
    http::{Http, Message},
    model::{Announced, ModelRecord, Noted},
    wire::{self, LineJournal, WallClock},
};

/// Where a call is announced.
pub(crate) const EXPECT: &str = "/expect";
/// Where its end is acknowledged, on the same connection.
pub(crate) const ACK: &str = "/ack";
/// Where the adapter's paths begin.
pub(crate) const BASE: &str = "/v1";
/// Where calls are made.
const CHAT: &str = "/v1/chat/completions";
/// In which header the adapter says which call it is.
const CALL: &str = "idempotency-key";
/// Between two pieces of one event: enough that a kill can fall there.
const PIECE_MS: u64 = 2;

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
        calls: Mutex::default(),
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _peer) = accepted?;
                connections.spawn(Arc::clone(&vendor).converse(Http::over(socket)));
            }
            Some(ended) = connections.join_next() => match ended {
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
    /// By the word for them in the adapter's header. It is held while the journal is written, so
    /// that no end is noted before its beginning.
    calls: Mutex<HashMap<String, Call>>,
}

/// A call, from its announcement on.
struct Call {
    announced: Announced,
    arrived: bool,
    closed: bool,
    progress: Progress,
}

/// How far a call has come.
#[derive(Default)]
struct Progress {
    output_bytes: usize,
    pieces: u64,
    usage: Option<Usage>,
    finished: bool,
    failed: Option<ModelFailure>,
    panic: Option<String>,
}

/// What becomes of a connection behind an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It serves again.
    Serves,
    /// It is closed.
    Closes,
}

impl Vendor {
    fn calls(&self) -> MutexGuard<'_, HashMap<String, Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection, request by request. Errors are those of the journal; a connection that
    /// breaks is an end like any other.
    async fn converse(self: Arc<Self>, mut http: Http) -> io::Result<()> {
        // Killed clients leave half a request or none; no call has arrived then.
        while let Ok(Some(message)) = http.read().await {
            let then = match message.about() {
                EXPECT => return self.attend(http, &message).await,
                CHAT => self.chat(&mut http, &message).await?,
                _ => said(http.answer(404, "", b"{}").await),
            };
            if then == Then::Closes {
                break;
            }
        }
        Ok(())
    }

    /// One call, from its announcement to the note of its end.
    async fn attend(&self, mut http: Http, message: &Message) -> io::Result<()> {
        let announced: Announced = serde_json::from_slice(&message.body)?;
        let key = announced.call.to_string();
        let progress = Progress::default();
        let call = Call { announced, arrived: false, closed: false, progress };
        self.calls().insert(key.clone(), call);
        let acknowledged = http.answer(200, "", b"{}").await.is_ok()
            && matches!(http.read().await, Ok(Some(ack)) if ack.about() == ACK);
        let noted = self.close(&key, acknowledged)?;
        // Whoever is gone by now needs no note: the record stands either way.
        drop(http.answer(200, "", &serde_json::to_vec(&noted)?).await);
        Ok(())
    }

    /// Notes how a call ended, if it ever came.
    fn close(&self, key: &str, acknowledged: bool) -> io::Result<Noted> {
        let mut calls = self.calls();
        let Some(call) = calls.get_mut(key) else { return Ok(Noted::default()) };
        call.closed = true;
        if call.arrived {
            self.journal.note(&call.end(acknowledged))?;
        }
        // Only its place is kept: a call that comes once more is noted once more.
        call.announced.prompt = String::new();
        Ok(Noted { panic: call.progress.panic.take() })
    }

    /// One call as it comes: noted, then answered.
    async fn chat(&self, http: &mut Http, message: &Message) -> io::Result<Then> {
        let key = message.header(CALL).unwrap_or_default();
        let Some(request) = self.arrive(key, message)? else {
            // Nobody waits for it: its client died while it was on its way.
            return Ok(said(http.answer(409, "", b"{}").await));
        };
        Ok(self.stream(http, key, request).await)
    }

    fn arrive(&self, key: &str, message: &Message) -> io::Result<Option<ModelRequest>> {
        let mut calls = self.calls();
        let Some(call) = calls.get_mut(key) else { return Ok(None) };
        if call.closed && !call.arrived {
            return Ok(None);
        }
        call.arrived = true;
        let Announced { call: id, process, agent, turn, prompt, .. } = call.announced.clone();
        let request = (!call.closed).then(|| call.announced.request()).transpose()?;
        let model = request.as_ref().map_or_else(|| "".into(), |request| request.model.clone());
        let sha256 = hex(&Sha256::digest(prompt.as_bytes()));
        let body = String::from_utf8_lossy(&message.body).into_owned();
        self.journal.note(&ModelRecord::Arrived {
            call: id,
            process,
            agent,
            turn,
            model,
            sha256,
            prompt,
            body,
        })?;
        Ok(request)
    }

    /// Streams the answer to its end.
    async fn stream(&self, http: &mut Http, key: &str, request: ModelRequest) -> Then {
        let model = request.model.clone();
        let mut events = self.model.call(request);
        let mut begun = false;
        loop {
            let next = tokio::select! {
                biased;
                () = http.peer_left() => return Then::Closes,
                next = AssertUnwindSafe(events.next()).catch_unwind() => next,
            };
            let fault = match next {
                Ok(Some(Ok(event))) => {
                    if !begun && http.begin_events().await.is_err() {
                        return Then::Closes;
                    }
                    begun = true;
                    let is_last = matches!(event, ModelEvent::Finished { .. });
                    if !self.send(http, key, (model.as_str(), event)).await {
                        return Then::Closes;
                    }
                    if is_last {
                        return said(http.end().await);
                    }
                    continue;
                }
                Ok(Some(Err(failure))) => {
                    let fault = chunks::fault(&failure, begun);
                    self.progress(key, |progress| progress.failed = Some(failure));
                    fault
                }
                Ok(None) => Fault::EndsEarly,
                Err(panic) => {
                    let text = panic_text(panic.as_ref());
                    self.progress(key, |progress| progress.panic = Some(text));
                    Fault::Cut
                }
            };
            return break_off(http, fault, begun).await;
        }
    }

    /// One event, piece by piece; whether the client is still there. What a piece costs is counted
    /// before it is sent.
    async fn send(&self, http: &mut Http, key: &str, (model, event): (&str, ModelEvent)) -> bool {
        let pieces = chunks::pieces(model, &event);
        let last = pieces.len().saturating_sub(1);
        let usage = match &event {
            ModelEvent::Finished { reply } => Some(reply.usage),
            ModelEvent::Text { .. } | ModelEvent::Thinking { .. } | ModelEvent::Limits { .. } => {
                None
            }
        };
        for (at, piece) in pieces.iter().enumerate() {
            if at > 0 {
                tokio::select! {
                    biased;
                    () = http.peer_left() => return false,
                    () = wire::pause_ms(PIECE_MS) => {}
                }
            }
            self.progress(key, |progress| {
                progress.output_bytes += piece.output_bytes;
                if let Some(usage) = usage.filter(|_| at == last) {
                    (progress.usage, progress.finished) = (usage, true);
                }
            });
            if http.event(&piece.data).await.is_err() {
                return false;
            }
            self.progress(key, |progress| progress.pieces += 1);
        }
        true
    }

    /// Sets something down about a call that is not over.
    fn progress(&self, key: &str, set: impl FnOnce(&mut Progress)) {
        if let Some(call) = self.calls().get_mut(key).filter(|call| !call.closed) {
            set(&mut call.progress);
        }
    }
}

impl Call {
    /// The record of its end.
    fn end(&mut self, acknowledged: bool) -> ModelRecord {
        let (call, progress) = (self.announced.call, &mut self.progress);
        let input = tokens(self.announced.prompt.len());
        let output = tokens(progress.output_bytes);
        let spent = progress.usage.unwrap_or(Usage { input, output, ..Usage::default() });
        let (pieces, finished) = (progress.pieces, progress.finished);
        match (acknowledged, progress.failed.take()) {
            (true, Some(failure)) => {
                let usage = if failure.unbilled { Usage::default() } else { spent };
                ModelRecord::Failed { call, failure, pieces, usage }
            }
            (true, None) if finished => ModelRecord::Delivered { call, usage: progress.usage },
            (_, Some(failure)) if failure.unbilled => {
                ModelRecord::Broken { call, usage: Usage::default(), pieces, finished: false }
            }
            (_, _) => ModelRecord::Broken { call, usage: spent, pieces, finished },
        }
    }
}

/// Says a failure.
async fn break_off(http: &mut Http, fault: Fault, begun: bool) -> Then {
    if let Fault::Status { status, headers, body } = fault {
        return said(http.answer(status, &headers, body.as_bytes()).await);
    }
    if !begun && http.begin_events().await.is_err() {
        return Then::Closes;
    }
    match fault {
        Fault::Chunk(data) if http.event(&data).await.is_ok() => said(http.end().await),
        Fault::EndsEarly => said(http.end().await),
        // Half an event, as a broken connection leaves it.
        Fault::Cut => {
            drop(http.chunk(b"data: {\"choices\":[{\"ind").await);
            Then::Closes
        }
        Fault::Chunk(_) | Fault::Status { .. } => Then::Closes,
    }
}

fn said(written: io::Result<()>) -> Then {
    if written.is_ok() { Then::Serves } else { Then::Closes }
}

/// As the scripted model derives them: four bytes a token, rounded up.
fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
