//! Deleting a tree in memory, with the meaning of the durable store. What frames name is looked for in all
//! of them: here there are few.

use crate::domain::{
    catalog::{Erasure, Hindrance, Status},
    frame::LogId,
    ids::SessionId,
};

use super::State;

/// How a frame's text says what its session goes on from.
const FORKED: &str = "\"type\":\"session_forked\",\"from\":{\"session\":\"";

fn goes_on_from(session: SessionId) -> String {
    format!("{FORKED}{session}\"")
}

impl State {
    pub(super) fn hinders(&self, erasure: &Erasure) -> Option<Hindrance> {
        let tree = self.rows.tree(erasure.root);
        for row in &tree {
            let busy = matches!(row.status, Status::Running | Status::Waiting);
            if busy && !erasure.off_stage.contains(&row.session) {
                return Some(Hindrance::AtWork { session: row.session });
            }
        }
        tree.iter().find_map(|row| {
            let session = row.session;
            let fork = self.names(&goes_on_from(session))?;
            Some(Hindrance::Forked { session, fork: SessionId(fork.id) })
        })
    }

    pub(super) fn erase(&mut self, erasure: &Erasure) -> Result<u64, Hindrance> {
        if let Some(hindrance) = self.hinders(erasure) {
            return Err(hindrance);
        }
        let tree = self.rows.tree(erasure.root);
        let mut named = Vec::new();
        for row in &tree {
            for log in [LogId::session(row.session), LogId::ledger(row.session)] {
                let gone = self.logs.remove(&log);
                named.extend(gone.into_iter().flat_map(|log| log.frames));
            }
            self.rows.erase(row);
            self.stale.remove(&row.session);
        }
        let mine = |sha256: &String| named.iter().any(|frame| frame.body.contains(sha256));
        let gone: Vec<String> = self.blobs.keys().filter(|sha256| mine(sha256)).cloned().collect();
        for sha256 in gone {
            if self.names(&format!("\"sha256\":\"{sha256}\"")).is_none() {
                self.blobs.remove(&sha256);
            }
        }
        Ok(tree.len() as u64)
    }

    /// Whether the session that a first frame goes on from is there.
    pub(super) fn base_is_there(&self, body: &str) -> bool {
        let is_of = |log: &LogId| body.contains(&goes_on_from(SessionId(log.id)));
        !body.contains(FORKED) || self.logs.keys().any(is_of)
    }

    /// A log with a frame that has this text.
    fn names(&self, text: &str) -> Option<LogId> {
        let has = |log: &super::Log| log.frames.iter().any(|frame| frame.body.contains(text));
        self.logs.iter().find(|(_, log)| has(log)).map(|(id, _)| *id)
    }
}
