//! What passes between the runtime and the vendor of models beside the calls themselves, and the
//! vendor's journal, which the ledger is checked against. How calls are served is in `vendor`.
//!
//! Everything a call depends on is in its prompt, which travels as the text that was hashed; what
//! the adapter makes of it is the body of the request, kept beside it.

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use greenroom_actors::{
    domain::{
        agent::Sampling,
        conversation::Message,
        event::ModelFailure,
        ids::{AgentName, CallId, ModelName, Timestamp, TurnId},
        tool::ToolSpec,
        usage::Usage,
    },
    ports::ModelRequest,
};
use serde::{Deserialize, Serialize};

use super::wire;

/// What the vendor is told of a call before the call: a vendor's format has no place for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announced {
    /// From which process it comes.
    pub(crate) process: u32,
    /// Which call.
    pub(crate) call: CallId,
    /// Which agent asks.
    pub(crate) agent: AgentName,
    /// In which turn.
    pub(crate) turn: TurnId,
    /// When it is over.
    pub(crate) deadline: Timestamp,
    /// The prompt's bytes: model, instructions, tools, messages and sampling.
    pub(crate) prompt: String,
}

/// What a prompt holds: the fields of `ModelRequest` that it serialises.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompt {
    model: ModelName,
    instructions: String,
    tools: Vec<ToolSpec>,
    messages: Vec<Arc<Message>>,
    sampling: Sampling,
}

impl Announced {
    /// A call of this process.
    pub(crate) fn of(request: &ModelRequest) -> Self {
        Self {
            process: std::process::id(),
            call: request.call,
            agent: request.agent.clone(),
            turn: request.turn,
            deadline: request.deadline,
            prompt: String::from_utf8_lossy(&request.prompt_bytes()).into_owned(),
        }
    }

    /// The call as the script reads it.
    pub(crate) fn request(&self) -> Result<ModelRequest, serde_json::Error> {
        let prompt: Prompt = serde_json::from_str(&self.prompt)?;
        Ok(ModelRequest {
            call: self.call,
            agent: self.agent.clone(),
            turn: self.turn,
            deadline: self.deadline,
            model: prompt.model,
            instructions: prompt.instructions,
            tools: Arc::new(prompt.tools),
            messages: prompt.messages,
            sampling: prompt.sampling,
            images: std::collections::BTreeMap::new(),
        })
    }
}

/// The vendor's answer to an acknowledgement: the end is in its journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    /// The script panics here; the client does it in its place.
    pub(crate) panic: Option<String>,
}

/// A line of the vendor's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum ModelRecord {
    /// A call came in.
    Arrived {
        /// Which; a call id comes once, or the runtime has made a call twice.
        call: CallId,
        /// From which process.
        process: u32,
        /// Whose.
        agent: AgentName,
        /// In which turn.
        turn: TurnId,
        /// Of which model.
        model: ModelName,
        /// SHA-256 of the prompt, lower-case hex.
        sha256: String,
        /// The prompt.
        prompt: String,
        /// What the adapter sent.
        body: String,
    },
    /// The whole answer was read by the client.
    Delivered {
        /// Which.
        call: CallId,
        /// What was reported to it.
        usage: Option<Usage>,
    },
    /// A failure was read by the client.
    Failed {
        /// Which.
        call: CallId,
        /// The failure.
        failure: ModelFailure,
        /// How many pieces of the answer had been sent before.
        pieces: u64,
        /// What it cost the vendor; nothing when the failure says so.
        usage: Usage,
    },
    /// The client left before it had acknowledged the end, or the script gave it none.
    Broken {
        /// Which.
        call: CallId,
        /// What it cost the vendor until then.
        usage: Usage,
        /// How many pieces of the answer had been sent.
        pieces: u64,
        /// Whether the end had been sent.
        finished: bool,
    },
}

impl ModelRecord {
    /// The call it is about.
    pub(crate) const fn call(&self) -> CallId {
        match self {
            Self::Arrived { call, .. }
            | Self::Delivered { call, .. }
            | Self::Failed { call, .. }
            | Self::Broken { call, .. } => *call,
        }
    }
}

/// The vendor's journal, in order.
pub(crate) fn read_journal(path: &Path) -> io::Result<Vec<ModelRecord>> {
    wire::read_journal(path)
}

/// Calls that came in and have not ended. Once the runtime is dead this becomes empty by itself;
/// the driver compares nothing before it has.
pub(crate) fn open_calls(records: &[ModelRecord]) -> BTreeSet<CallId> {
    let mut open = BTreeSet::new();
    for record in records {
        match record {
            ModelRecord::Arrived { call, .. } => open.insert(*call),
            ModelRecord::Delivered { call, .. }
            | ModelRecord::Failed { call, .. }
            | ModelRecord::Broken { call, .. } => open.remove(call),
        };
    }
    open
}
