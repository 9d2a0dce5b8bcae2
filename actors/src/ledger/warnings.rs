//! Warnings that a tree's sessions may not have in their logs yet. A mark that was passed is durable
//! in the ledger's log with the settlement that passed it; telling it may fail, because the ledger
//! dies first, the session's inbox is full or its journal is away. So a warning stands here until its
//! session has it, is told again after a pause, and is found again when the tree is read.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{
    domain::{
        budget::{Dimension, Mark},
        event::Event,
        frame::LogId,
        ids::{SessionId, Timestamp},
    },
    limits,
    log::{self, Trouble},
    owned::Owned,
    policy::budget::{Tree, Warning},
    ports::Journal,
};

/// Tells a session that its budget passed a mark; `true` once its log says so, or never will.
pub(crate) type Teller = Arc<dyn Fn(Warning) -> BoxFuture<'static, bool> + Send + Sync>;

type Key = (SessionId, Dimension, Mark);

/// Warnings under way, at most one for each account, dimension and mark.
#[derive(Debug, Default)]
pub(super) struct Untold(BTreeMap<Key, Telling>);

#[derive(Debug)]
struct Telling {
    warning: Warning,
    /// Being told; nothing while it waits for the next time.
    task: Option<Owned>,
    due: Timestamp,
}

const fn key(warning: &Warning, mark: Mark) -> Key {
    (warning.account, warning.dimension, mark)
}

impl Untold {
    pub(super) fn add(&mut self, warning: Warning, now: Timestamp) {
        let new = Telling { warning, task: None, due: now };
        self.0.entry(key(&warning, warning.mark())).or_insert(new);
    }

    /// Begins to tell whatever is due.
    pub(super) fn tell_due(&mut self, now: Timestamp, tell: impl Fn(Warning) -> Owned) {
        for telling in self.0.values_mut() {
            if telling.task.is_none() && telling.due <= now {
                telling.task = Some(tell(telling.warning));
            }
        }
    }

    /// A warning was told, or is told again after a pause.
    pub(super) fn told(&mut self, warning: &Warning, heard: bool, now: Timestamp) {
        let key = key(warning, warning.mark());
        if heard {
            self.0.remove(&key);
        } else if let Some(telling) = self.0.get_mut(&key) {
            telling.task = None;
            telling.due = now.plus_ms(limits::WARN_RETRY_MS);
        }
    }

    /// When the next one is told.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.values().filter(|one| one.task.is_none()).map(|one| one.due).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The marks a tree has passed of which the logs of its sessions say nothing. Read rather than
/// asked: a tree that is only looked at should wake nobody.
pub(super) async fn untold(
    journal: &Arc<dyn Journal>,
    tree: &Tree,
) -> Result<Vec<Warning>, Trouble> {
    let mut passed: BTreeMap<SessionId, Vec<Warning>> = BTreeMap::new();
    for warning in tree.warned() {
        passed.entry(warning.account).or_default().push(*warning);
    }
    let mut untold = Vec::new();
    for (account, mut warnings) in passed {
        let log = LogId::session(account);
        let read = log::read::<Event>(journal, log, None, |frame| {
            frame.events.iter().for_each(|event| strike_out(&mut warnings, event));
            Ok(())
        });
        match read.await.map_err(Trouble::from) {
            Ok(_) => untold.extend(warnings),
            // It can be told nothing any more.
            Err(Trouble::Damaged(_)) => {}
            Err(other @ (Trouble::Fenced | Trouble::Unavailable(_) | Trouble::Poisoned(_))) => {
                return Err(other);
            }
        }
    }
    Ok(untold)
}

/// What its session's log says was told.
fn strike_out(warnings: &mut Vec<Warning>, event: &Event) {
    if let Event::BudgetWarned { account, percent, dimension } = event {
        warnings.retain(|warning| {
            let same = dimension.is_none_or(|of| of == warning.dimension)
                && *account == warning.account
                && Mark::of(*percent) == warning.mark();
            !same
        });
    }
}
