//! A frame is the atom of a log: one or more records, durable together. Its envelope says whose
//! it is; its hash chain runs over the digest of the body, so a body can be erased later without
//! breaking the chain.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    ids::{Position, PrincipalId, SessionId, TenantId, Timestamp, Token},
    job::JobId,
};
use crate::limits;

/// The version of the stored form. Newer ones are refused, older ones are upgraded on read.
pub const SCHEMA_VERSION: u32 = 1;

/// Which kind of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    /// A session's events.
    Session,
    /// The ledger's grants of one tree, by its root session.
    Ledger,
    /// The house's own log; there is one, with the nil id.
    House,
    /// What became of one job.
    Job,
}

/// A log's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId {
    /// Which kind.
    pub kind: LogKind,
    /// Of what.
    pub id: Uuid,
}

impl LogId {
    /// The house log.
    pub const HOUSE: Self = Self { kind: LogKind::House, id: Uuid::nil() };

    /// A session's log.
    #[must_use]
    pub const fn session(id: SessionId) -> Self {
        Self { kind: LogKind::Session, id: id.0 }
    }

    /// A job's log.
    #[must_use]
    pub const fn job(id: JobId) -> Self {
        Self { kind: LogKind::Job, id: id.0 }
    }

    /// The ledger's log for the tree under `root`.
    #[must_use]
    pub const fn ledger(root: SessionId) -> Self {
        Self { kind: LogKind::Ledger, id: root.0 }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            LogKind::Session => write!(f, "session {}", self.id),
            LogKind::Ledger => write!(f, "ledger {}", self.id),
            LogKind::House => f.write_str("house"),
            LogKind::Job => write!(f, "job {}", self.id),
        }
    }
}

/// Everything about a frame but its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of the stored form.
    pub version: u32,
    /// The log it belongs to.
    pub log: LogId,
    /// Its place there.
    pub position: Position,
    /// The owner that wrote it.
    pub token: Token,
    /// Whose data it is.
    pub tenant: TenantId,
    /// On whose behalf it was written.
    pub principal: PrincipalId,
    /// What made it happen, such as an input key or a call.
    pub caused_by: Option<String>,
    /// W3C trace context of what made it happen.
    pub trace: Option<String>,
    /// Wall time.
    pub at: Timestamp,
}

/// A frame as it is stored: envelope, body text, digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFrame {
    /// The envelope.
    pub envelope: Envelope,
    /// The records as a JSON array.
    pub body: String,
    /// Hash of the previous chain value, the envelope and the body's digest.
    pub chain: Chain,
}

/// A link of the hash chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// Before the first frame.
    pub const START: Self = Self([0; 32]);

    /// The link after `self` for this envelope and body.
    #[must_use]
    pub fn next(self, envelope: &Envelope, body: &str) -> Self {
        self.over(envelope, &Sha256::digest(body.as_bytes()).into())
    }

    /// The same, for whoever has the body's digest already.
    #[must_use]
    pub fn over(self, envelope: &Envelope, digest: &[u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        let head = serde_json::to_vec(envelope).unwrap_or_default();
        hash.update((head.len() as u64).to_be_bytes());
        hash.update(&head);
        hash.update(digest);
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    halves.map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

/// Records that cannot become a frame.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Nothing to write.
    #[error("encode a frame: it has no records")]
    Empty,
    /// A record over the cap.
    #[error("encode {name}: {bytes} bytes, at most {max} fit in one event")]
    EventTooLarge {
        /// Which record.
        name: String,
        /// Its size.
        bytes: usize,
        /// The cap.
        max: usize,
    },
    /// The frame over the cap.
    #[error("encode a frame: {bytes} bytes, at most {max} fit")]
    FrameTooLarge {
        /// Its size.
        bytes: usize,
        /// The cap.
        max: usize,
    },
    /// Serialisation failed.
    #[error("encode a frame")]
    Json {
        /// What the serialiser said.
        #[source]
        source: serde_json::Error,
    },
}

/// Encodes records as a frame's body.
///
/// # Errors
/// When there are none or when they are larger than the caps.
pub fn encode<E: Serialize>(events: &[E]) -> Result<String, EncodeError> {
    if events.is_empty() {
        return Err(EncodeError::Empty);
    }
    let mut body = String::from("[");
    for (at, event) in events.iter().enumerate() {
        let text = serde_json::to_string(event).map_err(|source| EncodeError::Json { source })?;
        if text.len() > limits::EVENT_BYTES {
            let name = text.chars().take(40).collect();
            return Err(EncodeError::EventTooLarge {
                name,
                bytes: text.len(),
                max: limits::EVENT_BYTES,
            });
        }
        if at > 0 {
            body.push(',');
        }
        body.push_str(&text);
    }
    body.push(']');
    if body.len() > limits::FRAME_BYTES {
        return Err(EncodeError::FrameTooLarge { bytes: body.len(), max: limits::FRAME_BYTES });
    }
    Ok(body)
}

/// A stored frame that must not be read as if it were whole.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer program.
    #[error(
        "read frame {position} of {log}: it has form {found}, this program knows up to {known}; use a newer program"
    )]
    TooNew {
        /// The log.
        log: LogId,
        /// The frame.
        position: Position,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The bytes are not what was written.
    #[error("read frame {position} of {log}: its hash does not match; the row was damaged")]
    Chain {
        /// The log.
        log: LogId,
        /// The frame.
        position: Position,
    },
    /// A gap or a wrong order.
    #[error("read frame {expected} of {log}: found {found} in its place; a row is missing")]
    Gap {
        /// The log.
        log: LogId,
        /// The position that should have come.
        expected: Position,
        /// The one that did.
        found: Position,
    },
    /// The body is not a list of known records.
    #[error("read frame {position} of {log}: its body is not a list of known events")]
    Body {
        /// The log.
        log: LogId,
        /// The frame.
        position: Position,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The records are known but impossible after what came before.
    #[error("read frame {position} of {log}: {why}")]
    Impossible {
        /// The log.
        log: LogId,
        /// The frame.
        position: Position,
        /// What is wrong.
        why: String,
    },
}

/// Checks frames as they are read: version, order and chain.
#[derive(Clone, Copy, Debug)]
pub struct Verifier {
    log: LogId,
    position: Position,
    chain: Chain,
}

impl Verifier {
    /// At the start of a log.
    #[must_use]
    pub const fn new(log: LogId) -> Self {
        Self { log, position: Position(0), chain: Chain::START }
    }

    /// Behind a frame that is taken as it is stored.
    #[must_use]
    pub const fn behind(frame: &StoredFrame) -> Self {
        Self { log: frame.envelope.log, position: frame.envelope.position, chain: frame.chain }
    }

    /// The last frame that passed.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The chain up to there.
    #[must_use]
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// Checks the next frame and decodes its records.
    ///
    /// # Errors
    /// When the frame is newer, out of place, damaged or not understood.
    pub fn decode<E: DeserializeOwned>(
        &mut self,
        frame: &StoredFrame,
    ) -> Result<Vec<E>, DecodeError> {
        let (log, position) = (self.log, frame.envelope.position);
        if frame.envelope.version > SCHEMA_VERSION {
            let (found, known) = (frame.envelope.version, SCHEMA_VERSION);
            return Err(DecodeError::TooNew { log, position, found, known });
        }
        if position != self.position.next() || frame.envelope.log != log {
            let expected = self.position.next();
            return Err(DecodeError::Gap { log, expected, found: position });
        }
        let chain = self.chain.next(&frame.envelope, &frame.body);
        if chain != frame.chain {
            return Err(DecodeError::Chain { log, position });
        }
        let events = serde_json::from_str(&frame.body).map_err(|source| DecodeError::Body {
            log,
            position,
            source,
        })?;
        self.position = position;
        self.chain = chain;
        Ok(events)
    }
}
