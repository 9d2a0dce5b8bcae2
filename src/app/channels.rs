//! The one place that drives all channels: it asks each question that is open in the log through
//! each of them, hands the first answer to the session that asked, and tells the others that it is
//! closed.
//!
//! It keeps nothing. What is open is read from the store when it starts and whenever it missed
//! something, so a question asked before a `kill -9` is asked again after it. Whether an answer
//! counts is the session's decision, and it is in the log before anybody hears that it did: of two
//! answers the second finds the question closed. A channel's panic, error or silence is no answer; a
//! channel may break down without another one noticing.
//!
//! ```text
//!   the log ── opened ──▶ one task for each question ── ask ──▶ every channel at once
//!      ▲                     │      ▲                              │
//!      │                     │      └──────── first answer ────────┘
//!      └──── decide ─────────┘
//!      └──── closed, by anybody ──▶ what was asked is dropped ──▶ each channel hears how
//! ```

mod parent;
mod question;
mod settling;
mod ways;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use greenroom_actors::{
    Runtime,
    domain::{
        catalog::ApprovalRow,
        event::Event,
        ids::ApprovalId,
        permission::{Answer, Closed},
    },
    limits,
    owned::Owned,
    ports::Clock,
    runtime::{CallError, Frame, Heard, Note},
};
use tokio::sync::oneshot;

use crate::channels::Channel;

pub use ways::{Approvals, Hook};
pub(super) use ways::{hooks, roots};

use question::Asking;

/// Starts asking; dropping it asks no more, and leaves what is open to the next.
fn staff(runtime: &Runtime, clock: Arc<dyn Clock>, channels: Vec<Arc<dyn Channel>>) -> Owned {
    let desk = Desk {
        runtime: runtime.clone(),
        clock,
        channels: channels.into(),
        asked: BTreeMap::new(),
        closing: Vec::new(),
        settling: Vec::new(),
        is_full: false,
    };
    Owned::spawn(desk.run())
}

/// A question that is out.
struct Out {
    /// Says how it was closed.
    close: oneshot::Sender<String>,
    task: Owned,
}

struct Desk {
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    channels: Arc<[Arc<dyn Channel>]>,
    asked: BTreeMap<ApprovalId, Out>,
    /// Questions that are closed and whose channels are being told.
    closing: Vec<Owned>,
    /// Channels that are being cleared of what was closed unheard.
    settling: Vec<Owned>,
    /// Whether some wait in the store because too many are out.
    is_full: bool,
}

impl Desk {
    async fn run(mut self) {
        // It listens before it reads, so that nothing falls between.
        let mut listener = self.runtime.subscribe();
        let mut is_stale = true;
        loop {
            if is_stale {
                match self.read().await {
                    Ok(()) => is_stale = false,
                    Err(CallError::Ended { .. }) => return,
                    Err(error) => {
                        tracing::warn!(%error, "open questions cannot be read");
                        self.clock.after(limits::SUSPEND_MS).await;
                        continue;
                    }
                }
            }
            match listener.next().await {
                Some(Heard::Note(Note::Frame(frame))) => {
                    for event in frame.events.iter() {
                        self.happened(&frame, event);
                    }
                    is_stale = self.is_full && self.has_room();
                }
                Some(Heard::Note(Note::Delta { .. } | Note::Progress { .. })) => {}
                Some(Heard::Lagged { .. }) => is_stale = true,
                None => return,
            }
        }
    }

    fn happened(&mut self, frame: &Frame, event: &Event) {
        let id = |no| ApprovalId { session: frame.session, no };
        match event {
            Event::ApprovalRequested { no, ask } => self.ask(ApprovalRow {
                id: id(*no),
                tenant: frame.tenant.clone(),
                agent: frame.agent.clone(),
                asked_at: frame.at,
                ask: ask.as_ref().clone(),
            }),
            Event::ApprovalDecided { no, answer, by, .. } => {
                self.close(id(*no), format!("{} by {by}", verb(answer)));
            }
            Event::ApprovalClosed { no, why } => self.close(id(*no), closed(*why).to_owned()),
            _ => {}
        }
    }

    /// Asks what is open, and forgets what is not.
    async fn read(&mut self) -> Result<(), CallError> {
        let rows = self.runtime.approvals(None).await?;
        let open: BTreeSet<ApprovalId> = rows.iter().map(|row| row.id).collect();
        let gone: Vec<ApprovalId> =
            self.asked.keys().copied().filter(|id| !open.contains(id)).collect();
        for id in gone {
            self.close(id, "closed".to_owned());
        }
        // Apart from the rest: a disk that hangs holds up nobody's question.
        let settled =
            |channel| Owned::spawn(settling::settle(self.runtime.clone(), Arc::clone(channel)));
        self.settling = self.channels.iter().map(settled).collect();
        self.is_full = false;
        rows.into_iter().for_each(|row| self.ask(row));
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.asked.len() < limits::QUESTIONS_OUT
    }

    fn ask(&mut self, row: ApprovalRow) {
        if self.asked.contains_key(&row.id) {
            return;
        }
        if !self.has_room() {
            self.is_full = true;
            return;
        }
        let id = row.id;
        let (close, closed) = oneshot::channel();
        let asking = Asking {
            runtime: self.runtime.clone(),
            clock: Arc::clone(&self.clock),
            channels: Arc::clone(&self.channels),
            row: Arc::new(row),
        };
        self.asked.insert(id, Out { close, task: Owned::spawn(asking.run(closed)) });
    }

    fn close(&mut self, id: ApprovalId, how: String) {
        self.closing.retain(|task| !task.is_finished());
        let Some(Out { close, task }) = self.asked.remove(&id) else { return };
        // It may have found out by itself, and be telling its channels already.
        drop(close.send(how));
        // Telling may take a while where a server is away; the oldest have been told for longest.
        if self.closing.len() >= limits::QUESTIONS_OUT {
            drop(self.closing.remove(0));
        }
        self.closing.push(task);
    }
}

const fn verb(answer: &Answer) -> &'static str {
    if answer.approves() { "allowed" } else { "refused" }
}

const fn closed(why: Closed) -> &'static str {
    match why {
        Closed::Expired => "expired",
        Closed::Withdrawn => "withdrawn",
    }
}
