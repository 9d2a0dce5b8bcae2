//! The trace of a session: a file of JSON lines that holds every frame of its log, in order, from the
//! first one on, for whoever wants the run without the store.
//!
//! The first line is a header (`Header`), each line after it a frame (`Line`). A line ends with a link
//! of a hash chain over its own bytes and the link before, so that a line that was changed, left out or
//! moved is found when the trace is read. The chain is no signature: who writes a new file can make new
//! links. That the run is one that the machine would have made is another question, and replay asks it.
//!
//! There are two levels. `Full` has everything that the log has. `Redacted` has the structure alone:
//! `content` decides what that is, and it names what stays, not what goes. A file is of one level from
//! its first line to its last, so each level has a file name of its own. What is known as a secret is
//! masked in both.

mod content;
mod file;
mod read;
#[cfg(test)]
mod tests;

use greenroom_actors::domain::{
    event::{Event, ForkPoint},
    frame::{Envelope, hex},
    ids::{AgentName, Position, PrincipalId, SessionId, TenantId, Timestamp, Token},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::telemetry::redact::Secrets;

pub use file::{End, FileError, Folder};
pub use read::{Told, Trace, TraceError};

/// The name of the form.
pub const SCHEMA: &str = "greenroom.trace";
/// Its version. A reader refuses a newer one.
pub const VERSION: u32 = 1;

/// How much of a run a trace says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The structure: what happened when, to whom, with what it cost, and how long each content was.
    #[default]
    Redacted,
    /// Everything.
    Full,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// `greenroom.trace`.
    pub schema: String,
    /// The version of the form.
    pub version: u32,
    /// Whose run.
    pub session: SessionId,
    /// Its agent.
    pub agent: AgentName,
    /// How much is said.
    pub level: Level,
    /// What it goes on from, for a fork: the frames up to there are in that session's trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<ForkPoint>,
}

/// A frame of the log, as whoever writes a trace has it.
#[derive(Clone, Debug)]
pub struct Moment<'f> {
    /// Its place.
    pub position: Position,
    /// When.
    pub at: Timestamp,
    /// The owner that wrote it.
    pub token: Token,
    /// Whose data.
    pub tenant: &'f TenantId,
    /// On whose behalf.
    pub principal: &'f PrincipalId,
    /// What happened.
    pub events: &'f [Event],
}

impl<'f> Moment<'f> {
    /// A frame that was read.
    #[must_use]
    pub const fn read(envelope: &'f Envelope, events: &'f [Event]) -> Self {
        let Envelope { position, at, token, tenant, principal, .. } = envelope;
        Self { position: *position, at: *at, token: *token, tenant, principal, events }
    }
}

/// A line after the first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    position: Position,
    at: Timestamp,
    token: Token,
    tenant: TenantId,
    principal: PrincipalId,
    events: Vec<serde_json::Value>,
}

/// A link of the chain, as it stands in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link(String);

/// What stands between a line's content and its link.
const LINK: &str = ",\"chain\":\"";

impl Link {
    /// The link behind this one for a line, and the line with it.
    fn close(&self, line: &str) -> (Self, String) {
        let body = line.strip_suffix('}').unwrap_or(line);
        let next = self.next(body);
        let line = format!("{body}{LINK}{}\"}}\n", next.0);
        (next, line)
    }

    fn next(&self, body: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0.as_bytes());
        hash.update([b'\n']);
        hash.update(body.as_bytes());
        let mut digits = hex(&hash.finalize());
        digits.truncate(32);
        Self(digits)
    }

    /// A line's content and its link.
    fn open(line: &str) -> Option<(&str, Self)> {
        let (body, rest) = line.rsplit_once(LINK)?;
        Some((body, Self(rest.strip_suffix("\"}")?.to_owned())))
    }
}

/// Makes a session's lines.
#[derive(Clone, Debug)]
pub struct Scribe {
    level: Level,
    secrets: Secrets,
}

impl Scribe {
    /// At this level, and without these secrets.
    #[must_use]
    pub const fn new(level: Level, secrets: Secrets) -> Self {
        Self { level, secrets }
    }

    /// The first line of the trace of a session whose first frame this is.
    ///
    /// # Errors
    /// When something does not become JSON.
    pub fn header(
        &self,
        session: SessionId,
        first: &[Event],
    ) -> Result<(Link, String), serde_json::Error> {
        let opened = first.iter().find_map(|event| {
            let Event::SessionOpened { rendered, fork, .. } = event else { return None };
            Some((rendered.agent.name.as_str(), *fork))
        });
        let (agent, fork) = opened.unwrap_or_default();
        let header = Header {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            session,
            agent: AgentName::from(self.secrets.clean(agent).as_ref()),
            level: self.level,
            fork,
        };
        Ok(Link::default().close(&serde_json::to_string(&header)?))
    }

    /// A frame's line, behind the line that ends with this link.
    ///
    /// # Errors
    /// When something does not become JSON.
    pub fn line(
        &self,
        before: &Link,
        moment: &Moment<'_>,
    ) -> Result<(Link, String), serde_json::Error> {
        let value = |event| -> Result<_, serde_json::Error> {
            // Masked first, so that nothing that stands for a content depends on a secret in it.
            let value = content::masked(serde_json::to_value(event)?, &self.secrets);
            Ok(match self.level {
                Level::Full => value,
                Level::Redacted => content::redacted(value),
            })
        };
        let line = Line {
            position: moment.position,
            at: moment.at,
            token: moment.token,
            tenant: self.secrets.clean(moment.tenant.as_str()).as_ref().into(),
            principal: self.secrets.clean(moment.principal.as_str()).as_ref().into(),
            events: moment.events.iter().map(value).collect::<Result<_, _>>()?,
        };
        Ok(before.close(&serde_json::to_string(&line)?))
    }
}
