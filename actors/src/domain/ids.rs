//! Names of things. Each id is its own type; a bare string or number never crosses a function.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares a newtype over a string with the usual conversions.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Declares a counter-like newtype.
macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

text_id!(
    /// Name of an agent in the table of agents.
    AgentName
);
text_id!(
    /// Name of a tool as the model calls it.
    ToolName
);
text_id!(
    /// A pool of tool slots: one per kind of work.
    PoolKind
);
text_id!(
    /// Canonical name of a model.
    ModelName
);
text_id!(
    /// Name of a configured model provider.
    ProviderName
);
text_id!(
    /// The credential whose rate limits are shared.
    CredentialName
);
text_id!(
    /// Which engine runs a session's turns.
    EngineId
);
text_id!(
    /// Whose data a session is.
    TenantId
);
text_id!(
    /// On whose behalf something was asked.
    PrincipalId
);
text_id!(
    /// Idempotency key of an input: the same key again is the same input.
    InputKey
);
text_id!(
    /// Name of a checkpoint within a session.
    CheckpointName
);
text_id!(
    /// Name of a queue of jobs within a tenant.
    QueueName
);
text_id!(
    /// Name of a webhook that the ends of jobs are told to.
    HookName
);

number_id!(
    /// Number of a turn within its session, from 1.
    TurnId(u32)
);
number_id!(
    /// Number of a model call within its session, from 1.
    ModelCallNo(u32)
);
number_id!(
    /// Number of a tool call within its session, from 1. Counted apart from model calls, so that
    /// a model call made again after a crash does not change what the model reads.
    ToolCallNo(u32)
);
number_id!(
    /// Number of an approval within its session, from 1.
    ApprovalNo(u32)
);
number_id!(
    /// How often a child has been addressed by its parent, from 1.
    Assignment(u32)
);
number_id!(
    /// Number of a frame within its log, from 1; 0 is the empty log.
    Position(u64)
);
number_id!(
    /// Fencing token of a log's owner: grows by one with every claim.
    Token(u64)
);

/// Milliseconds since the Unix epoch, by the wall clock. What is kept in memory alone counts from
/// the beginning of its clock instead, by `Clock::running`, and is never mixed with the others.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus `ms` milliseconds, saturating.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        let ms = if ms > i64::MAX as u64 { i64::MAX } else { ms as i64 };
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; 0 when the clock went backwards.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> u64 {
        let ms = self.0.saturating_sub(earlier.0);
        if ms < 0 { 0 } else { ms as u64 }
    }
}

impl Timestamp {
    /// As `2026-11-21 10:20:30.123`, in UTC.
    #[must_use]
    pub fn utc(self) -> String {
        let (days, ms) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        // Days to a date of the Gregorian calendar, counted in eras of 400 years from a 1st of March.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        let (second, milli) = (ms / 1_000 % 60, ms % 1_000);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

/// A session: one agent's conversation and everything it did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl SessionId {
    /// The id of the child that `parent` spawns with its tool call `call`: derived, so that
    /// creating it twice creates it once.
    #[must_use]
    pub fn child_of(parent: Self, call: ToolCallNo) -> Self {
        Self(Uuid::new_v5(&parent.0, format!("child/{}", call.0).as_bytes()))
    }

    /// The session that a caller opens under a key of its own: the same key again is the same session,
    /// also after a crash that took the first answer.
    #[must_use]
    pub fn keyed(tenant: &TenantId, key: &InputKey) -> Self {
        let (tenant, key) = (tenant.as_str(), key.as_str());
        let name = format!("opened/{}/{tenant}/{key}", tenant.len());
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
    }

    /// The id of the session in which an agent's model is asked about a question of one below it:
    /// derived, so that it is asked once.
    #[must_use]
    pub fn consulted(about: ApprovalId) -> Self {
        Self(Uuid::new_v5(&about.session.0, format!("consulted/{}", about.no.0).as_bytes()))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a session id.
#[derive(Debug, thiserror::Error)]
#[error("read session id {text:?}: expected a UUID such as 0192f0c1-2b3c-7d4e-8f90-123456789abc")]
pub struct BadSessionId {
    text: String,
    #[source]
    source: uuid::Error,
}

impl FromStr for SessionId {
    type Err = BadSessionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Uuid::parse_str(text) {
            Ok(id) => Ok(Self(id)),
            Err(source) => Err(BadSessionId { text: text.to_owned(), source }),
        }
    }
}

/// One call of a session, to a model or to a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallNo {
    /// A call to a model.
    Model(ModelCallNo),
    /// A call to a tool.
    Tool(ToolCallNo),
}

impl fmt::Display for CallNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(no) => write!(f, "m{no}"),
            Self::Tool(no) => write!(f, "t{no}"),
        }
    }
}

/// A call named across sessions: what the ledger, the idempotency keys and the vendors see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// The session that makes the call.
    pub session: SessionId,
    /// Its number there.
    pub no: CallNo,
}

impl CallId {
    /// A model call of `session`.
    #[must_use]
    pub const fn model(session: SessionId, no: ModelCallNo) -> Self {
        Self { session, no: CallNo::Model(no) }
    }

    /// A tool call of `session`.
    #[must_use]
    pub const fn tool(session: SessionId, no: ToolCallNo) -> Self {
        Self { session, no: CallNo::Tool(no) }
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.session, self.no)
    }
}

/// An approval named across sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApprovalId {
    /// The session that asks.
    pub session: SessionId,
    /// Its number there.
    pub no: ApprovalNo,
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/a{}", self.session, self.no)
    }
}

/// A text that is not an approval id.
#[derive(Debug, thiserror::Error)]
#[error("read approval id {text:?}: expected SESSION/aN, as `approvals` prints it")]
pub struct BadApprovalId {
    text: String,
}

impl FromStr for ApprovalId {
    type Err = BadApprovalId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (session, no) = text.split_once("/a")?;
            Some(Self { session: session.parse().ok()?, no: ApprovalNo(no.parse().ok()?) })
        };
        parse().ok_or_else(|| BadApprovalId { text: text.to_owned() })
    }
}
