//! Reading a session's log in a task of its own: claim, fold, verify. A log that cannot be read
//! whole is not read at all.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    domain::{
        catalog::Change,
        event::{Event, ForkPoint},
        frame::{DecodeError, LogId, Verifier},
        ids::{Position, PrincipalId, SessionId, TenantId, Token},
    },
    fault, limits,
    log::{self, ReadError, Writer},
    owned::Ended,
    policy::{
        catalog,
        turn::{self, State},
    },
    ports::{Journal, JournalError},
    protocol::session::{LoadFailed, LoadResult, Loaded},
};

use super::house::House;

/// Claims and folds a session's log, within its deadline.
pub(super) async fn load(
    house: Arc<House>,
    session: SessionId,
    may_create: bool,
    base: Option<ForkPoint>,
) -> LoadResult {
    let late = house.clock.after(limits::LOAD_MS);
    tokio::select! {
        biased;
        result = claim_and_fold(&house, session, may_create, base) => result,
        () = late => {
            Err(LoadFailed::Unavailable("reading the log took too long".to_owned()))
        }
    }
}

/// How the task ended, as a result.
pub(super) fn result(ended: Ended<LoadResult>) -> LoadResult {
    match ended {
        Ended::Value(result) => result,
        // A log that makes the fold panic is as unreadable as one with a damaged row.
        Ended::Panicked(text) => Err(LoadFailed::Damaged(format!("folding it panicked: {text}"))),
        Ended::Aborted => Err(LoadFailed::Unavailable("reading the log was broken off".to_owned())),
    }
}

async fn claim_and_fold(
    house: &House,
    session: SessionId,
    may_create: bool,
    base: Option<ForkPoint>,
) -> LoadResult {
    let log = LogId::session(session);
    let journal = &house.journal;
    let (tail, token) = journal.tail(log).await.map_err(store)?;
    if tail == Position(0) && !may_create {
        return Err(LoadFailed::Missing);
    }
    // There is nothing to take from anybody: the first frame is the claim, and saves a synced commit.
    if token == Token(0) {
        let Folded { mut state, tenant, principal, .. } = Folded::nothing(session);
        if let Some(point) = base {
            state = shared(journal, session, point).await?;
        }
        let writer = Writer::unborn(log, tenant, principal);
        return Ok(Loaded { state: Box::new(state), writer });
    }
    let claim = journal.claim(log).await.map_err(store)?;
    fault::point("wake.claimed");
    // A claim says where the log ends: of one that has no frames yet there is nothing to read.
    let mut folded = match claim.tail {
        Position(0) => Folded::nothing(session),
        tail => fold(journal, session, Some(tail), 0).await.map_err(read)?,
    };
    if let (Position(0), Some(point)) = (claim.tail, base) {
        folded.state = shared(journal, session, point).await?;
    }
    if folded.verifier.chain() != claim.chain {
        return Err(LoadFailed::Damaged("its last frame is not the one its owner saw".to_owned()));
    }
    fault::point("wake.folded");
    let writer = Writer::new(log, claim, folded.tenant, folded.principal);
    Ok(Loaded { state: Box::new(folded.state), writer })
}

/// The state that a fork goes on from, as its own.
async fn shared(
    journal: &Arc<dyn Journal>,
    session: SessionId,
    point: ForkPoint,
) -> Result<State, LoadFailed> {
    let base = LogId::session(point.session);
    let folded = fold(journal, point.session, Some(point.at), 1).await;
    let folded = folded.map_err(|error| match error {
        ReadError::Short { log, found: Position(0), .. } if log == base => {
            LoadFailed::BaseGone(point.session)
        }
        error @ (ReadError::Journal(_)
        | ReadError::Decode(_)
        | ReadError::TooManyForks { .. }
        | ReadError::Short { .. }) => read(error),
    })?;
    let mut state = folded.state;
    state.session = session;
    Ok(state)
}

struct Folded {
    state: State,
    tenant: TenantId,
    principal: PrincipalId,
    verifier: Verifier,
}

impl Folded {
    /// A log before its first frame.
    fn nothing(session: SessionId) -> Self {
        Self {
            state: State::new(session),
            tenant: TenantId::from(""),
            principal: PrincipalId::from(""),
            verifier: Verifier::new(LogId::session(session)),
        }
    }
}

/// Folds a log up to a frame; a fork's log begins with the frames it was cut from.
fn fold(
    journal: &Arc<dyn Journal>,
    session: SessionId,
    upto: Option<Position>,
    depth: u32,
) -> BoxFuture<'_, Result<Folded, ReadError>> {
    Box::pin(async move {
        let log = LogId::session(session);
        let mut state = match base(journal, log).await? {
            Some(_) if depth >= limits::FORK_DEPTH => {
                return Err(ReadError::TooManyForks { log, max: limits::FORK_DEPTH });
            }
            Some(point) => fold(journal, point.session, Some(point.at), depth + 1).await?.state,
            None => State::new(session),
        };
        state.session = session;
        let Folded { mut tenant, mut principal, .. } = Folded::nothing(session);
        let verifier = log::read::<Event>(journal, log, upto, |frame| {
            let (position, at) = (frame.envelope.position, frame.envelope.at);
            if position == Position(1) {
                tenant = frame.envelope.tenant;
                principal = frame.envelope.principal;
            }
            turn::fold(&mut state, &frame.events, at).map_err(|impossible| {
                DecodeError::Impossible { log, position, why: impossible.to_string() }
            })
        })
        .await?;
        Ok(Folded { state, tenant, principal, verifier })
    })
}

/// The state of a session as of a frame, without owning it: for forks and for readers.
pub(crate) async fn state_at(
    journal: &Arc<dyn Journal>,
    session: SessionId,
    upto: Option<Position>,
) -> Result<State, ReadError> {
    fold(journal, session, upto, 0).await.map(|folded| folded.state)
}

/// The state a fork would go on from, and whose data it is: the log's word, for the catalog may have
/// fallen behind. Refused where the fork itself could not be read again.
pub(crate) async fn fork_base(
    journal: &Arc<dyn Journal>,
    point: ForkPoint,
) -> Result<(State, TenantId), ReadError> {
    let folded = fold(journal, point.session, Some(point.at), 1).await?;
    Ok((folded.state, folded.tenant))
}

/// What a session's whole log does to the catalog, and up to where it was read.
pub(crate) async fn changes(
    journal: &Arc<dyn Journal>,
    session: SessionId,
) -> Result<(Position, Vec<Change>), ReadError> {
    let log = LogId::session(session);
    let mut state = match base(journal, log).await? {
        Some(point) => fold(journal, point.session, Some(point.at), 1).await?.state,
        None => State::new(session),
    };
    state.session = session;
    let mut all = Vec::new();
    let verifier = log::read::<Event>(journal, log, None, |frame| {
        let (position, at) = (frame.envelope.position, frame.envelope.at);
        turn::fold(&mut state, &frame.events, at).map_err(|impossible| {
            DecodeError::Impossible { log, position, why: impossible.to_string() }
        })?;
        all.extend(catalog::changes(&state, &frame.envelope.tenant, position, &frame.events));
        Ok(())
    })
    .await?;
    Ok((verifier.position(), all))
}

async fn base(journal: &Arc<dyn Journal>, log: LogId) -> Result<Option<ForkPoint>, ReadError> {
    let first = journal.read(log, Position(0), 1).await?;
    let Some(first) = first.first() else { return Ok(None) };
    let events = Verifier::new(log).decode::<Event>(first)?;
    Ok(events
        .iter()
        .find_map(|event| if let Event::SessionOpened { fork, .. } = event { *fork } else { None }))
}

fn store(error: JournalError) -> LoadFailed {
    match error {
        JournalError::Unavailable { why } => LoadFailed::Unavailable(why),
        JournalError::Poisoned { why } => LoadFailed::Poisoned(why),
        JournalError::Damaged { .. } => LoadFailed::Damaged(error.to_string()),
    }
}

fn read(error: ReadError) -> LoadFailed {
    match error {
        ReadError::Journal(error) => store(error),
        ReadError::Decode(_) | ReadError::Short { .. } | ReadError::TooManyForks { .. } => {
            LoadFailed::Damaged(error.to_string())
        }
    }
}
