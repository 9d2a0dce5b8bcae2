//! A run taken again from its frames, without model or tool: what `policy::turn::audit` says of each,
//! and what the run came to by them. Frames come from a store or from a trace; of a trace that was
//! redacted only that each frame can follow is asked, for what was decided on is not in it.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use crate::{
    domain::{
        event::{Event, ForkPoint},
        ids::{ModelCallNo, Position, SessionId, Timestamp},
        usage::{NanoUsd, Settlement, Usage},
    },
    limits,
    policy::turn::{
        State,
        audit::{audit, legal},
    },
};

use super::{CallError, Reading};

/// Where a run is not what the machine would have made of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame {position} of {session}, event {event}: {why}")]
pub struct Altered {
    /// Whose.
    pub session: SessionId,
    /// The first frame that differs.
    pub position: Position,
    /// Which of its events, from 1.
    pub event: usize,
    /// In what.
    pub why: String,
}

/// Why a stored session was not taken again to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read, or its hashes do not fit.
    #[error(transparent)]
    Read(#[from] CallError),
    /// It differs.
    #[error(transparent)]
    Altered(#[from] Altered),
    /// A fork of a fork of a fork …
    #[error("replay {session}: more than {} forks of forks", limits::FORK_DEPTH)]
    TooManyForks {
        /// Whose.
        session: SessionId,
    },
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sums {
    /// Frames taken again.
    pub frames: u64,
    /// Events in them.
    pub events: u64,
    /// Turns that ended.
    pub turns: u64,
    /// Model calls that were begun.
    pub model_calls: u64,
    /// Tools that were started.
    pub tool_calls: u64,
    /// Tokens as vendors reported them.
    pub usage: Usage,
    /// Tokens of calls that broke off, at most.
    pub unsettled_tokens_max: u64,
    /// Money, as it was booked.
    pub cost: NanoUsd,
}

/// A run that is being taken again.
#[derive(Clone, Debug)]
pub struct Replay {
    state: State,
    position: Position,
    /// Whether each step is taken again, or only asked whether it can follow.
    whole: bool,
    sums: Sums,
    booked: BTreeMap<ModelCallNo, Settlement>,
}

impl Replay {
    /// Of a session from its first frame.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self {
            state: State::new(session),
            position: Position(0),
            whole: true,
            sums: Sums::default(),
            booked: BTreeMap::new(),
        }
    }

    /// Only whether each frame can follow: for frames whose content was taken out.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.whole = false;
        self
    }

    /// Of a fork, behind the frames it shares with what it was cut from.
    #[must_use]
    pub fn fork(self, session: SessionId) -> Self {
        let mut fork = Self::new(session);
        fork.state = self.state;
        fork.state.session = session;
        fork.whole = self.whole;
        fork
    }

    /// The next frame.
    ///
    /// # Errors
    /// When it is out of place, cannot follow, or is not what the machine would have written.
    pub fn frame(
        &mut self,
        position: Position,
        events: &[Event],
        at: Timestamp,
    ) -> Result<(), Altered> {
        let session = self.state.session;
        let expected = self.position.next();
        if position != expected {
            let why = format!("found frame {position} in its place");
            return Err(Altered { session, position: expected, event: 1, why });
        }
        let taken = if self.whole {
            audit(&mut self.state, events, at)
        } else {
            legal(&mut self.state, events, at)
        };
        taken.map_err(|differs| {
            let (event, why) = (differs.event, differs.why);
            Altered { session, position, event, why }
        })?;
        self.position = position;
        self.count(events);
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is counted")]
    fn count(&mut self, events: &[Event]) {
        self.sums.frames += 1;
        self.sums.events += events.len() as u64;
        for event in events {
            match event {
                Event::TurnFinished { .. } => self.sums.turns += 1,
                Event::ModelCallStarted { .. } => self.sums.model_calls += 1,
                Event::ToolStarted { .. } => self.sums.tool_calls += 1,
                Event::UsageSettled { call, settlement, .. } => {
                    self.booked.insert(*call, *settlement);
                }
                _ => {}
            }
        }
    }

    /// The last frame taken again.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// What the run came to so far.
    #[must_use]
    pub fn sums(&self) -> Sums {
        let mut sums = self.sums;
        for settlement in self.booked.values() {
            sums.cost = NanoUsd(sums.cost.0.saturating_add(settlement.cost().0));
            match settlement {
                Settlement::Exact { usage, .. } => sums.usage += *usage,
                Settlement::Unsettled { tokens_max, .. } => {
                    sums.unsettled_tokens_max =
                        sums.unsettled_tokens_max.saturating_add(*tokens_max);
                }
                Settlement::Free => {}
            }
        }
        sums
    }
}

impl Reading {
    /// Takes a stored session again from its first frame, behind what it was forked from.
    ///
    /// # Errors
    /// When it cannot be read or a frame differs.
    pub async fn replay(&self, session: SessionId) -> Result<Replay, ReplayError> {
        self.replayed(session, None, 0).await
    }

    fn replayed(
        &self,
        session: SessionId,
        upto: Option<Position>,
        depth: u32,
    ) -> BoxFuture<'_, Result<Replay, ReplayError>> {
        Box::pin(async move {
            if depth > limits::FORK_DEPTH {
                return Err(ReplayError::TooManyForks { session });
            }
            let frames = self.read(session, Position(0)).await?;
            let base = frames.first().and_then(|frame| fork_of(&frame.events));
            let mut replay = match base {
                Some(point) => {
                    let base = self.replayed(point.session, Some(point.at), depth + 1).await?;
                    base.fork(session)
                }
                None => Replay::new(session),
            };
            for frame in frames {
                let position = frame.envelope.position;
                if upto.is_some_and(|upto| position > upto) {
                    break;
                }
                replay.frame(position, &frame.events, frame.envelope.at)?;
            }
            Ok(replay)
        })
    }
}

/// What a log's first frame says it was cut from.
#[must_use]
pub fn fork_of(events: &[Event]) -> Option<ForkPoint> {
    events.iter().find_map(
        |event| {
            if let Event::SessionOpened { fork, .. } = event { *fork } else { None }
        },
    )
}
