//! Reading and writing logs through the journal port, for every owner of a log: sessions, the
//! ledger, the house. Frames are verified as they are read: version, order, hash chain.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    domain::{
        catalog::Change,
        frame::{
            self, DecodeError, EncodeError, Envelope, LogId, SCHEMA_VERSION, StoredFrame, Verifier,
        },
        ids::{Position, PrincipalId, TenantId, Timestamp, Token},
    },
    limits,
    ports::{Append, AppendError, Claim, Journal, JournalError},
};

/// Trouble with a log, as the messages of the actor that owns it carry it: what it means for the
/// owner, without the store's own types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// Somebody else owns it now.
    #[error("another owner has the log now")]
    Fenced,
    /// Not now.
    #[error("the journal is unavailable: {0}")]
    Unavailable(String),
    /// Nothing is certain any more.
    #[error("the journal is poisoned: {0}")]
    Poisoned(String),
    /// It cannot be read at all.
    #[error("the log is damaged: {0}")]
    Damaged(String),
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Unavailable { why } => Self::Unavailable(why),
            JournalError::Poisoned { why } => Self::Poisoned(why),
            JournalError::Damaged { log, why } => Self::Damaged(format!("{log}: {why}")),
        }
    }
}

impl From<AppendError> for Trouble {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Fenced { .. } => Self::Fenced,
            AppendError::Journal(error) => error.into(),
        }
    }
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Journal(error) => error.into(),
            ReadError::Decode(_) | ReadError::Short { .. } | ReadError::TooManyForks { .. } => {
                Self::Damaged(error.to_string())
            }
        }
    }
}

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A frame that must not be trusted.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A fork of a fork of a fork …
    #[error("read {log}: more than {max} forks of forks; fork from an earlier one")]
    TooManyForks {
        /// The log.
        log: LogId,
        /// The cap.
        max: u32,
    },
    /// The claim named a tail that the frames do not reach.
    #[error("read {log}: its frames end at {found}, its owner was promised {expected}")]
    Short {
        /// The log.
        log: LogId,
        /// The tail the claim returned.
        expected: Position,
        /// The last frame found.
        found: Position,
    },
}

/// A decoded frame.
#[derive(Clone, Debug)]
pub struct Decoded<E> {
    /// Its envelope.
    pub envelope: Envelope,
    /// Its records.
    pub events: Vec<E>,
}

/// Reads a log from its start to `upto`, or to its end, and hands each frame to `each` in order.
///
/// # Errors
/// When the store fails or a frame does not verify.
pub async fn read<E: DeserializeOwned>(
    journal: &Arc<dyn Journal>,
    log: LogId,
    upto: Option<Position>,
    mut each: impl FnMut(Decoded<E>) -> Result<(), DecodeError>,
) -> Result<Verifier, ReadError> {
    let mut verifier = Verifier::new(log);
    loop {
        let frames = journal.read(log, verifier.position(), limits::READ_FRAMES).await?;
        // A page may be short because its frames are large: only an empty one says that this is all.
        if frames.is_empty() {
            break;
        }
        for stored in frames {
            if upto.is_some_and(|upto| stored.envelope.position > upto) {
                return Ok(verifier);
            }
            let events = verifier.decode(&stored)?;
            each(Decoded { envelope: stored.envelope, events })?;
        }
        if upto == Some(verifier.position()) {
            break;
        }
    }
    match upto {
        Some(expected) if verifier.position() < expected => {
            Err(ReadError::Short { log, expected, found: verifier.position() })
        }
        _ => Ok(verifier),
    }
}

/// Reads a log and returns all its frames.
///
/// # Errors
/// As `read`.
pub async fn read_all<E: DeserializeOwned>(
    journal: &Arc<dyn Journal>,
    log: LogId,
) -> Result<Vec<Decoded<E>>, ReadError> {
    let mut all = Vec::new();
    read(journal, log, None, |frame| {
        all.push(frame);
        Ok(())
    })
    .await?;
    Ok(all)
}

/// Some frames of a log after a position, decoded: what a reader with a cursor needs, whatever the
/// log's length. Each is verified against the frame before it, so what is read is one unbroken piece;
/// that the piece hangs together with the log's start is for whoever owns the log.
///
/// # Errors
/// As `read`.
pub async fn page<E: DeserializeOwned>(
    journal: &Arc<dyn Journal>,
    log: LogId,
    after: Position,
    rows: usize,
) -> Result<Vec<Decoded<E>>, ReadError> {
    let Some(before) = after.0.checked_sub(1) else {
        return decoded(Verifier::new(log), journal.read(log, after, rows).await?);
    };
    let mut frames = journal.read(log, Position(before), rows.saturating_add(1)).await?;
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let held = frames.remove(0);
    if frames.is_empty() {
        // It may have been too large to leave room for another.
        frames = journal.read(log, after, rows).await?;
    }
    decoded(Verifier::behind(&held), frames)
}

fn decoded<E: DeserializeOwned>(
    mut verifier: Verifier,
    frames: Vec<StoredFrame>,
) -> Result<Vec<Decoded<E>>, ReadError> {
    let mut decoded = Vec::with_capacity(frames.len());
    for stored in frames {
        let events = verifier.decode(&stored)?;
        decoded.push(Decoded { envelope: stored.envelope, events });
    }
    Ok(decoded)
}

/// The first frame of a log, if it has one; reads no other.
///
/// # Errors
/// As `read`.
pub async fn first<E: DeserializeOwned>(
    journal: &Arc<dyn Journal>,
    log: LogId,
) -> Result<Option<Decoded<E>>, ReadError> {
    let frames = journal.read(log, Position(0), 1).await?;
    let Some(stored) = frames.into_iter().next() else { return Ok(None) };
    let events = Verifier::new(log).decode(&stored)?;
    Ok(Some(Decoded { envelope: stored.envelope, events }))
}

/// The last of some records of a log; keeps nothing else of it.
///
/// # Errors
/// As `read`.
pub async fn last<E: DeserializeOwned, T>(
    journal: &Arc<dyn Journal>,
    log: LogId,
    wanted: impl Fn(E) -> Option<T>,
) -> Result<Option<T>, ReadError> {
    let mut last = None;
    read::<E>(journal, log, None, |frame| {
        last = frame.events.into_iter().filter_map(&wanted).last().or(last.take());
        Ok(())
    })
    .await?;
    Ok(last)
}

/// The writing end of a claimed log: knows whose it is and where it ends.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The log.
    pub log: LogId,
    /// Its owner.
    pub token: Token,
    /// Its last frame.
    pub tail: Position,
    /// Whose data it is.
    pub tenant: TenantId,
    /// On whose behalf it is written, unless a frame says otherwise.
    pub principal: PrincipalId,
    /// Whether there is no such log yet: its first frame claims it.
    pub begins: bool,
}

impl Writer {
    /// The writer of a log just claimed.
    #[must_use]
    pub const fn new(log: LogId, claim: Claim, tenant: TenantId, principal: PrincipalId) -> Self {
        let (token, tail) = (claim.token, claim.tail);
        Self { log, token, tail, tenant, principal, begins: false }
    }

    /// The writer of a log that does not exist: it is claimed by its first frame, in the same commit.
    #[must_use]
    pub const fn unborn(log: LogId, tenant: TenantId, principal: PrincipalId) -> Self {
        let (token, tail) = (Token(1), Position(0));
        Self { log, token, tail, tenant, principal, begins: true }
    }

    /// The last frame that was asked for is in the log.
    pub const fn committed(&mut self, at: Position) {
        self.tail = at;
        self.begins = false;
    }

    /// The next frame with these records. The tail moves when the caller says it was committed.
    ///
    /// # Errors
    /// When the records do not fit.
    pub fn frame<E: Serialize>(
        &self,
        events: &[E],
        changes: Vec<Change>,
        caused_by: Option<String>,
        at: Timestamp,
    ) -> Result<Append, EncodeError> {
        let body = frame::encode(events)?;
        let envelope = Envelope {
            version: SCHEMA_VERSION,
            log: self.log,
            position: self.tail.next(),
            token: self.token,
            tenant: self.tenant.clone(),
            principal: self.principal.clone(),
            caused_by,
            trace: None,
            at,
        };
        Ok(Append { envelope, body, changes, begins: self.begins })
    }
}
