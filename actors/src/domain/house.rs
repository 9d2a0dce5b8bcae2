//! The house log: what concerns the runtime as a whole and what a damaged session cannot record.

use serde::{Deserialize, Serialize};

use super::{
    ids::{Position, PrincipalId, SessionId},
    permission::Rule,
    usage::DatedPrice,
};

/// What the house records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum HouseEvent {
    /// A runtime started on this store.
    Booted {
        /// Version of the program.
        version: String,
        /// Its process id, to name the holder of a store.
        pid: u32,
        /// What holds the processes of its tools, where it has any that start some.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        custody: Option<String>,
    },
    /// Prices in force from now on.
    PricesSet {
        /// All of them.
        prices: Vec<DatedPrice>,
    },
    /// Somebody answered "always" or "never": a rule that stands for every session.
    RuleStanding {
        /// The rule.
        rule: Rule,
        /// Who said so.
        by: PrincipalId,
    },
    /// A session was taken off the stage.
    Quarantined {
        /// Which.
        session: SessionId,
        /// Why, with the step where it happened.
        reason: String,
    },
    /// A quarantined session was let back.
    Released {
        /// Which.
        session: SessionId,
        /// Whether the step that failed was skipped.
        skip: bool,
        /// Who said so.
        by: PrincipalId,
    },
    /// A tree of sessions is about to be deleted.
    Deleting {
        /// Its root.
        root: SessionId,
        /// How many sessions are in it.
        sessions: u64,
        /// Who wants it gone.
        by: PrincipalId,
    },
    /// It is gone.
    Deleted {
        /// Its root.
        root: SessionId,
    },
    /// It was not deleted after all.
    Kept {
        /// Its root.
        root: SessionId,
        /// What kept it.
        why: String,
    },
    /// Everything was stopped: nothing begins until somebody lifts it.
    Halted {
        /// Why.
        reason: String,
        /// Who said so.
        by: PrincipalId,
    },
    /// New work may begin again.
    Unhalted {
        /// Who said so.
        by: PrincipalId,
    },
}

/// Everything is stopped, and nothing begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: PrincipalId,
}

/// A release that skips the step that failed, of a session that the house had taken off the stage:
/// the session carries it out when it next wakes, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readmission {
    /// Where the house's log says so.
    pub at: Position,
    /// Why the session was off the stage.
    pub reason: String,
    /// Who let it back.
    pub by: PrincipalId,
}

impl HouseEvent {
    /// The session that it concerns, if it concerns one.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Quarantined { session, .. }
            | Self::Released { session, .. }
            | Self::Deleting { root: session, .. }
            | Self::Deleted { root: session }
            | Self::Kept { root: session, .. } => Some(*session),
            Self::Booted { .. }
            | Self::PricesSet { .. }
            | Self::RuleStanding { .. }
            | Self::Halted { .. }
            | Self::Unhalted { .. } => None,
        }
    }

    /// What it says of everything at once: why that is stopped, or that it may go on.
    pub(crate) fn halt(&self) -> Option<Option<Halt>> {
        match self {
            Self::Halted { reason, by } => {
                Some(Some(Halt { reason: reason.clone(), by: by.clone() }))
            }
            Self::Unhalted { .. } => Some(None),
            Self::Booted { .. }
            | Self::PricesSet { .. }
            | Self::RuleStanding { .. }
            | Self::Quarantined { .. }
            | Self::Released { .. }
            | Self::Deleting { .. }
            | Self::Deleted { .. }
            | Self::Kept { .. } => None,
        }
    }
}
