//! How turns and children end. Each ends exactly once.

use serde::{Deserialize, Serialize};

use super::usage::Usage;

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TurnOutcome {
    /// The model said its last word.
    Completed {
        /// The text of its last message.
        text: String,
        /// Whether the output limit cut it.
        truncated: bool,
    },
    /// It could not go on.
    Failed {
        /// Why, for a person.
        reason: String,
    },
    /// Somebody cancelled it.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// A budget on its path ended.
    BudgetExhausted {
        /// Which and how.
        reason: String,
    },
}

/// How an assignment of a child ended, as its parent is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ChildOutcome {
    /// Its turn ended.
    Turn {
        /// How.
        outcome: TurnOutcome,
    },
    /// It panicked too often and waits for a person.
    Quarantined {
        /// Why.
        reason: String,
        /// Whether a cancel has gone through it to its end: nothing below it is at work, and what
        /// it was assigned begins no more, not even after its release.
        #[serde(default, skip_serializing_if = "is_false")]
        stopped: bool,
    },
}

/// For a field that is left out where it says nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl ChildOutcome {
    /// One word for it, as the model and the tree show it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Turn { outcome } => outcome.word(),
            Self::Quarantined { .. } => "quarantined",
        }
    }

    /// The text that goes with the word.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Turn { outcome } => outcome.text(),
            Self::Quarantined { reason, .. } => reason,
        }
    }

    /// Whether nothing of the assignment is at work any more, neither the child nor what it set to
    /// work. A quarantine alone ends only the child's own part.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Turn { .. } => true,
            Self::Quarantined { stopped, .. } => *stopped,
        }
    }
}

impl TurnOutcome {
    /// One word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
            Self::BudgetExhausted { .. } => "budget_exhausted",
        }
    }

    /// The text that goes with the word.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Completed { text, .. } => text,
            Self::Failed { reason }
            | Self::Cancelled { reason }
            | Self::BudgetExhausted { reason } => reason,
        }
    }
}

/// A child's report to its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildReport {
    /// How it ended.
    pub outcome: ChildOutcome,
    /// What the child itself used, over all its turns.
    pub usage: Usage,
}
