//! What a model is asked, and what it streams back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    agent::Sampling,
    conversation::{Message, Reply},
    ids::{AgentName, CallId, ModelName, Timestamp, TurnId},
    tool::ToolSpec,
};

/// A request to a model: everything that it depends on, and nothing else.
#[derive(Clone, Debug, Serialize)]
pub struct ModelRequest {
    /// Which call it is; sent as an idempotency key, not part of the prompt.
    #[serde(skip)]
    pub call: CallId,
    /// Which agent asks; for scripts and traces, not part of the prompt.
    #[serde(skip)]
    pub agent: AgentName,
    /// In which turn; for scripts and traces, not part of the prompt.
    #[serde(skip)]
    pub turn: TurnId,
    /// The whole call must end by then.
    #[serde(skip)]
    pub deadline: Timestamp,
    /// The model.
    pub model: ModelName,
    /// What the agent is told first.
    pub instructions: String,
    /// Its tools.
    pub tools: Arc<Vec<ToolSpec>>,
    /// The conversation.
    pub messages: Vec<Arc<Message>>,
    /// How to sample.
    pub sampling: Sampling,
}

impl ModelRequest {
    /// The prompt's bytes: identical for the same log, whatever happened to the actor meanwhile.
    #[must_use]
    pub fn prompt_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What a model streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ModelEvent {
    /// A piece of text.
    Text {
        /// The piece.
        delta: String,
    },
    /// A piece of thinking.
    Thinking {
        /// The piece.
        delta: String,
    },
    /// The whole answer; the last event of a stream that worked.
    Finished {
        /// The answer.
        reply: Box<Reply>,
    },
}
