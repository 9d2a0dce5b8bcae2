//! What the driver and a runtime say to each other, a JSON line each, over the runtime's standard
//! input and output; and what the driver notes of it in the client's journal. The driver is an
//! outside client: it believes nothing but what it was told, and notes that before it goes on.

use greenroom_actors::domain::{
    ids::{AgentName, ApprovalId, InputKey, Position, SessionId, Token, ToolName, TurnId},
    outcome::TurnOutcome,
    permission::Answer,
    tool::ToolOutcome,
};
use serde::{Deserialize, Serialize};

/// A question to the runtime.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Comes back with the answer.
    pub(crate) no: u64,
    /// What is wanted.
    pub(crate) wish: Wish,
}

/// What is wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub(crate) enum Wish {
    /// A session.
    Open { agent: AgentName },
    /// An input.
    Submit { session: SessionId, key: InputKey, text: String },
    /// How its turn ended.
    Outcome { session: SessionId, key: InputKey },
    /// One tool, without a model.
    Invoke { session: SessionId, key: InputKey, tool: ToolName },
    /// The inbox.
    Approvals,
    /// An answer to a question in it.
    Decide { approval: ApprovalId, answer: Answer },
    /// An end to everything a session does.
    Cancel { session: SessionId },
    /// A session that goes on from where this one stands.
    Fork { session: SessionId },
    /// A session off the stage goes on.
    Release { session: SessionId },
    /// A session panics; done when its log says that it was started again.
    Strike { session: SessionId },
    /// Sessions that are not idle.
    Busy,
    /// Whether the ledger holds room for any call of this tree; reads the tree if need be.
    Reserved { root: SessionId },
    /// An orderly end.
    Shutdown,
}

/// What the runtime says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub(crate) enum Said {
    /// It serves.
    Ready,
    /// A frame is committed: as good as an acknowledgement, for whoever listens.
    Frame(Acked),
    /// An answer.
    Reply { no: u64, reply: Reply },
    /// It ended by itself, which it never should.
    Ended { why: String },
    /// It has shut down.
    Bye { order: Vec<String> },
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The session is open.
    Opened { session: SessionId },
    /// It is in the log.
    Done,
    /// The turn ended.
    Outcome { turn: TurnId, outcome: TurnOutcome },
    /// The tool's call closed.
    Invoked { outcome: ToolOutcome },
    /// The inbox.
    Approvals { rows: Vec<Open> },
    /// Sessions that are not idle, each with what it is doing.
    Busy { rows: Vec<(SessionId, String)> },
    /// Calls with room set aside; nothing while the tree is being read.
    Reserved { open: Option<usize> },
    /// The session is off the stage.
    Quarantined,
    /// It was refused.
    Refused { why: String },
}

/// An open question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    /// Which.
    pub(crate) approval: ApprovalId,
    /// Who asks.
    pub(crate) agent: AgentName,
    /// What for.
    pub(crate) tool: ToolName,
}

/// A committed frame, by the digest of its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acked {
    /// Whose.
    pub(crate) session: SessionId,
    /// Where.
    pub(crate) position: Position,
    /// By which owner.
    pub(crate) token: Token,
    /// SHA-256 of its body, lower-case hex.
    pub(crate) digest: String,
}

/// A line of the client's journal: what the runtime has promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum Promise {
    /// A session is open.
    Opened { session: SessionId },
    /// An input is accepted.
    Accepted { session: SessionId, key: InputKey },
    /// An answer is recorded.
    Decided { approval: ApprovalId, answer: Answer },
    /// A turn has ended like this.
    Ended { session: SessionId, key: InputKey, turn: TurnId, outcome: TurnOutcome },
    /// A call of the client's own has closed like this.
    Invoked { session: SessionId, key: InputKey, outcome: ToolOutcome },
    /// A frame is committed.
    Frame(Acked),
}
