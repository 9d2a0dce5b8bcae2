//! Who writes the traces of a house: one task that hears its frames. What it has not heard it reads
//! from the log, so it is never in the way of a session, however slow its disk is, and what is in a
//! trace is the log, without a gap and without a double.
//!
//! ```text
//!   start ──▶ read what the files lack ──▶ hear a frame ──▶ is it the next? ─ yes ─▶ add it
//!                     ▲                      ▲     │                └ no ─▶ read what the file lacks
//!                     │ missed some          ╰─────│──────────────────────────────╯
//!                     ╰────────────────────────────╯
//! ```
//!
//! A disk that does not take them is told once, and once more when it does; what was lost meanwhile is
//! read from the log then.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use greenroom_actors::{
    Runtime,
    domain::{
        catalog::SessionFilter,
        ids::{Position, SessionId},
    },
    limits,
    owned::Owned,
    ports::Clock,
    runtime::{CallError, Frame, Heard, Listener, Note, Reading},
};
use tokio::sync::oneshot;

use crate::telemetry::{
    chain,
    redact::Secrets,
    trace::{End, FileError, Folder, Link, Moment, Scribe},
};

/// Sessions whose end is remembered; of others it is read again from their files. That many are awake
/// at once, eight times over.
const KNOWN: usize = 80_000;

/// The task, until it is told to end.
#[derive(Debug)]
pub(super) struct Tracing {
    _task: Owned,
    done: oneshot::Receiver<()>,
}

impl Tracing {
    /// Starts writing.
    pub(super) fn staff(runtime: &Runtime, folder: Folder, secrets: Secrets) -> Self {
        // It listens before it reads, so that nothing falls between.
        let listener = runtime.subscribe_to_frames();
        let tracer = Tracer {
            reading: runtime.reading(),
            scribe: Scribe::new(folder.level(), secrets),
            folder: Arc::new(folder),
            known: HashMap::new(),
            refused: BTreeSet::new(),
            is_hindered: false,
        };
        let (over, done) = oneshot::channel();
        let task = Owned::spawn(async move {
            tracer.run(listener).await;
            // Whoever waited may have given up.
            over.send(()).ok();
        });
        Self { _task: task, done }
    }

    /// Waits until everything is written that the house said, behind its end. `false` when that took
    /// too long: the next start goes on where the files end.
    pub(super) async fn ended(self, clock: &Arc<dyn Clock>) -> bool {
        tokio::select! {
            biased;
            done = self.done => done.is_ok(),
            () = clock.after(limits::SHUTDOWN_MS) => false,
        }
    }
}

/// Why a trace was not written.
#[derive(Debug, thiserror::Error)]
enum Hindrance {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Read(#[from] CallError),
    #[error("write a trace as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the task that writes was broken off")]
    Lost(#[from] tokio::task::JoinError),
}

struct Tracer {
    reading: Reading,
    folder: Arc<Folder>,
    scribe: Scribe,
    /// Where each trace ends.
    known: HashMap<SessionId, (Position, Link)>,
    /// Sessions whose file is somebody else's, or whose log cannot be read.
    refused: BTreeSet<SessionId>,
    is_hindered: bool,
}

impl Tracer {
    async fn run(mut self, mut listener: Listener) {
        self.sweep().await;
        while let Some(heard) = listener.next().await {
            let was_hindered = self.is_hindered;
            match heard {
                Heard::Note(Note::Frame(frame)) => self.hear(&frame).await,
                Heard::Note(Note::Delta { .. } | Note::Progress { .. }) => {}
                Heard::Lagged { .. } => self.sweep().await,
            }
            if was_hindered && !self.is_hindered {
                // Others may have lost lines meanwhile.
                self.sweep().await;
            }
        }
        self.sweep().await;
    }

    /// Writes what is missing of every session in the store.
    async fn sweep(&mut self) {
        let filter = SessionFilter { archived: true, ..SessionFilter::default() };
        let rows = match self.reading.all_sessions(filter).await {
            Ok(rows) => rows,
            Err(error) => return self.hindered(&error.into()),
        };
        for row in rows {
            let known = self.known.get(&row.session);
            if known.is_none_or(|(position, _)| *position < row.position) {
                self.catch_up(row.session).await;
            }
        }
    }

    async fn hear(&mut self, frame: &Frame) {
        match self.known.get(&frame.session) {
            Some((position, _)) if frame.position <= *position => {}
            Some((position, link)) if frame.position == position.next() => {
                let moment = Moment {
                    position: frame.position,
                    at: frame.at,
                    token: frame.token,
                    tenant: &frame.tenant,
                    principal: &frame.principal,
                    events: &frame.events,
                };
                let added = match self.scribe.line(link, &moment) {
                    Ok((link, line)) => self.add(frame.session, (frame.position, link), line).await,
                    Err(error) => Err(error.into()),
                };
                self.note(frame.session, added);
            }
            Some(_) | None => self.catch_up(frame.session).await,
        }
    }

    async fn catch_up(&mut self, session: SessionId) {
        if self.refused.contains(&session) {
            return;
        }
        let caught_up = self.read_on(session).await;
        self.note(session, caught_up);
    }

    /// Adds everything that the log has behind the end of the trace.
    async fn read_on(&mut self, session: SessionId) -> Result<(), Hindrance> {
        let (mut at, mut link) = match self.known.get(&session).cloned() {
            Some((position, link)) => (position, Some(link)),
            None => {
                let folder = Arc::clone(&self.folder);
                let end = tokio::task::spawn_blocking(move || folder.end(session)).await??;
                let End { position, link } = end;
                (position, link)
            }
        };
        loop {
            let frames = self.reading.page(session, at, limits::READ_FRAMES).await?;
            let Some(first) = frames.first() else {
                // Nothing is missing.
                if let Some(link) = link {
                    self.known.insert(session, (at, link));
                }
                return Ok(());
            };
            let mut text = String::new();
            let mut before = match link {
                Some(link) => link,
                None => {
                    let (link, header) = self.scribe.header(session, &first.events)?;
                    text.push_str(&header);
                    link
                }
            };
            for frame in &frames {
                let moment = Moment::read(&frame.envelope, &frame.events);
                let (next, line) = self.scribe.line(&before, &moment)?;
                text.push_str(&line);
                (before, at) = (next, moment.position);
            }
            self.add(session, (at, before.clone()), text).await?;
            link = Some(before);
        }
    }

    async fn add(
        &mut self,
        session: SessionId,
        end: (Position, Link),
        lines: String,
    ) -> Result<(), Hindrance> {
        let folder = Arc::clone(&self.folder);
        tokio::task::spawn_blocking(move || folder.add(session, &lines)).await??;
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(session, end);
        Ok(())
    }

    /// What came of a session's lines.
    fn note(&mut self, session: SessionId, done: Result<(), Hindrance>) {
        let error = match done {
            Ok(()) => {
                if std::mem::take(&mut self.is_hindered) {
                    tracing::info!("traces are written again");
                }
                return;
            }
            Err(error) => error,
        };
        // Where its file ends is not known any more.
        self.known.remove(&session);
        let is_lost = match &error {
            Hindrance::File(FileError::NotOurs { .. }) => true,
            Hindrance::Read(error) => error.damage().is_some(),
            Hindrance::File(FileError::Io { .. }) | Hindrance::Json(_) | Hindrance::Lost(_) => {
                false
            }
        };
        if is_lost {
            tracing::warn!(%session, error = chain(&error), "no trace of this session");
            self.refused.insert(session);
        } else {
            self.hindered(&error);
        }
    }

    fn hindered(&mut self, error: &Hindrance) {
        if !std::mem::replace(&mut self.is_hindered, true) {
            tracing::error!(error = chain(error), "traces are not written for now");
        }
    }
}
