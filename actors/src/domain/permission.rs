//! Rules, modes, verdicts, approvals and the answers to them. The grammar's meaning is in
//! `policy::rules`; here is what the log and the configuration carry.

mod words;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    budget::Budget,
    ids::{Timestamp, ToolCallNo, ToolName},
    tool::Args,
};

pub use words::{AnswerLacks, AnswerWord, BadAnswer};

/// What a rule or a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Go ahead.
    Allow,
    /// A person must answer.
    Ask,
    /// No.
    Deny,
}

/// A decision with its reasons, for people and for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What was decided.
    pub decision: Decision,
    /// Why: the rules that matched, with their layer.
    pub reasons: Vec<String>,
    /// A rule that would make this allowed next time, offered with every ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<String>,
}

/// `Tool` or `Tool(spec)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RulePattern(pub String);

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it says.
    pub decision: Decision,
    /// What it matches.
    pub pattern: RulePattern,
}

/// The three lists of a layer. Deny is read first, then ask, then allow; order within a list and
/// how specific a rule is do not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// Never.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<RulePattern>,
    /// A person answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<RulePattern>,
    /// Without a question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<RulePattern>,
}

impl RuleSet {
    /// Adds one rule to the list it belongs to.
    pub fn push(&mut self, rule: Rule) {
        let list = match rule.decision {
            Decision::Allow => &mut self.allow,
            Decision::Ask => &mut self.ask,
            Decision::Deny => &mut self.deny,
        };
        if !list.contains(&rule.pattern) {
            list.push(rule.pattern);
        }
    }
}

/// How an undecided or asking request is treated. A mode never turns a deny.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only tools that change nothing may run.
    Plan,
    /// Ask becomes deny.
    DontAsk,
    /// Rules decide; what no rule decides is asked.
    #[default]
    Default,
    /// As default, and edits of files within the roots are allowed.
    AcceptEdits,
    /// Ask becomes allow.
    BypassPermissions,
}

/// Folders that files may be used in. A relative one begins at the folder that calls work in, one with
/// `~/` in front at the home.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// A fence: where there are any, no file outside of them is used, whatever a rule allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<String>,
    /// Folders outside the roots that may be read, such as those of the system's programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readable: Vec<String>,
}

impl Bounds {
    /// Whether they say nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.readable.is_empty()
    }
}

/// The folders that processes of a call are held to, as absolute paths: what all fences leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trees {
    /// Where they may write; `None` where no fence has roots.
    pub write: Option<Vec<String>>,
    /// Where they may read.
    pub read: Vec<String>,
}

/// One link of a session's authority: the rules and the mode of an ancestor or of itself. A child
/// may do what every link allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Rules of that link.
    #[serde(default)]
    pub rules: RuleSet,
    /// Mode of that link.
    #[serde(default)]
    pub mode: Mode,
    /// The folders that it keeps to.
    #[serde(default, skip_serializing_if = "Bounds::is_empty")]
    pub bounds: Bounds,
}

/// A tool whose calls are asked about for a while, whatever the rules say, because it failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raised {
    /// Which.
    pub tool: ToolName,
    /// So many of its last runs failed.
    pub failed: u32,
    /// Of so many.
    pub of: u32,
    /// Until when, unless it works again before.
    pub until: Timestamp,
}

/// SHA-256 over a canonical request, lower-case hex: what an approval is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestDigest(pub String);

/// A request to run a tool, as permission sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The tool.
    pub tool: ToolName,
    /// Its arguments.
    pub args: Args,
    /// Working directory of the call, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

impl Request {
    /// The digest of this request in canonical form. Each part is preceded by its length, so that
    /// no two requests share the hashed bytes.
    #[must_use]
    pub fn digest(&self) -> RequestDigest {
        self.digest_with(&[])
    }

    /// The same with the files that it would run, as they were found.
    #[must_use]
    pub fn digest_with(&self, scripts: &[ScriptSeen]) -> RequestDigest {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        };
        let args = self.args.canonical();
        for part in [self.tool.as_str(), args.as_str(), self.cwd.as_deref().unwrap_or("\0none")] {
            add(part);
        }
        for script in scripts {
            add(&script.path);
            add(script.sha256.as_deref().unwrap_or("\0none"));
        }
        RequestDigest(super::frame::hex(&hash.finalize()))
    }
}

/// A file that a command would run, as it was when somebody looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptSeen {
    /// Where it is.
    pub path: String,
    /// SHA-256 of its content, lower-case hex; none where there was nothing to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What an approval is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Subject {
    /// A tool call.
    ToolCall {
        /// The call.
        call: ToolCallNo,
        /// The exact request.
        request: Request,
    },
    /// A plan.
    Plan {
        /// Its text.
        text: String,
    },
    /// More budget.
    Budget {
        /// What is asked for.
        budget: Budget,
    },
    /// A question of the agent to a person.
    Question {
        /// The question.
        text: String,
    },
}

/// What a person may answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Yes, this call.
    Once,
    /// Yes, and everything that would be asked until the turn ends.
    Turn,
    /// Yes, and calls like it for the rest of this session.
    Session,
    /// Yes, and calls like it in every session from now on.
    Always,
    /// Yes, and everything that would be asked in this session.
    All,
    /// Yes, with these arguments instead.
    Edit {
        /// The arguments.
        args: Args,
    },
    /// No.
    Reject,
    /// No, and never calls like it in this session.
    Never,
    /// No, and the model should read this.
    Comment {
        /// The text.
        text: String,
    },
    /// Not like this: the model should try again with this in mind.
    Revise {
        /// The text.
        feedback: String,
    },
}

impl Answer {
    /// Whether the call may go ahead.
    #[must_use]
    pub const fn approves(&self) -> bool {
        match self {
            Self::Once
            | Self::Turn
            | Self::Session
            | Self::Always
            | Self::All
            | Self::Edit { .. } => true,
            Self::Reject | Self::Never | Self::Comment { .. } | Self::Revise { .. } => false,
        }
    }
}

/// Why an approval closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// Its time ran out.
    Expired,
    /// What it was about is gone.
    Withdrawn,
}

/// On what ground a tool was started: every start has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Basis {
    /// Rules allowed it.
    Rules {
        /// Which.
        reasons: Vec<String>,
    },
    /// An approval, used up by this start.
    Approval {
        /// Which.
        no: super::ids::ApprovalNo,
    },
    /// One of the runtime's own tools, which touch nothing outside.
    BuiltIn,
}

/// A request for an answer, as the inbox shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// What about.
    pub subject: Subject,
    /// Digest of the exact request and of what it would run.
    pub digest: RequestDigest,
    /// The files that it would run, as they were when it was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<ScriptSeen>,
    /// Why it is asked.
    pub reasons: Vec<String>,
    /// A rule that would answer it next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<String>,
    /// Until when an answer counts.
    pub expires_at: Timestamp,
}
