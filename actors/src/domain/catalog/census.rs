//! Sessions counted: by what they do and wait for, in the catalog and in memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{super::ids::AgentName, Status};

/// For what a session with work in hand waits, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// For a person's answer.
    Approval,
    /// For a model.
    Model,
    /// For a tool.
    Tool,
    /// For agents that it set to work.
    Children,
    /// To be let back on the stage.
    Release,
    /// For the end of what is being cancelled.
    Cancel,
    /// For a place at a gate, which no log knows.
    Gate,
    /// For anything else.
    Other,
}

impl Wait {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::Approval,
        Self::Model,
        Self::Tool,
        Self::Children,
        Self::Release,
        Self::Cancel,
        Self::Gate,
        Self::Other,
    ];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Children => "children",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Gate => "gate",
            Self::Other => "other",
        }
    }

    /// What the words mean that people are told.
    #[must_use]
    pub fn of(words: &str) -> Self {
        let mut apart = words.split(' ');
        match (apart.next().unwrap_or_default(), apart.next().unwrap_or_default()) {
            ("approval", _) => Self::Approval,
            ("model", _) => Self::Model,
            ("tool", _) => Self::Tool,
            ("gate", _) => Self::Gate,
            ("release:", _) => Self::Release,
            (_, "child" | "children") => Self::Children,
            ("the", "end") => Self::Cancel,
            _ => Self::Other,
        }
    }
}

/// How many sessions of an agent are in one state and wait for the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Whose agent.
    pub agent: AgentName,
    /// In which state.
    pub status: Status,
    /// For what they wait, where they have work in hand.
    pub waits: Option<Wait>,
    /// How many.
    pub sessions: u64,
    /// How often they were started again with work in hand.
    pub restarts: u64,
}

/// Those in memory, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwakeFigures {
    /// All of them.
    pub all: usize,
    /// Those that have a frame, by what they do after their last.
    pub doing: BTreeMap<Status, usize>,
    /// Messages in all mailboxes.
    pub inbox_sum: usize,
    /// Messages in the fullest.
    pub inbox_max: usize,
}
