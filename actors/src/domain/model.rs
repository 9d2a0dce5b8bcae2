//! What a model is asked, and what it streams back.

use std::{collections::BTreeMap, sync::Arc};

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
    /// Which call it is; sent as an idempotency key, not part of the prompt. A call that is made
    /// again is another call, with another key: what a vendor makes of one key it makes once.
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
    /// The bytes of the conversation's images, by their SHA-256; the messages name them.
    #[serde(skip)]
    pub images: BTreeMap<String, Arc<[u8]>>,
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
    /// What the vendor said about its limits; before anything else, also before an error.
    Limits {
        /// The limits.
        limits: Box<RateLimits>,
    },
    /// The whole answer; the last event of a stream that worked.
    Finished {
        /// The answer.
        reply: Box<Reply>,
    },
}

/// What a vendor says is left of a credential's rate, each kind where it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Allowance>,
    /// Tokens of input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Allowance>,
    /// Tokens of input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<Allowance>,
    /// Tokens of output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<Allowance>,
}

/// One kind of limit as it stood when the vendor answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// How much a whole window holds.
    pub limit: u64,
    /// How much of it is left.
    pub remaining: u64,
    /// How long until it is whole again.
    pub reset_ms: u64,
}
