//! What has begun and not ended, so that its length is known when it does. What a crash took never
//! ends under its own name; it is forgotten when its session is started again, and the whole is
//! bounded, so that a lost end costs a length and no memory.

use std::collections::BTreeMap;

use greenroom_actors::domain::ids::{SessionId, Timestamp};

/// Things open at once: 10,000 sessions with a turn, a model call and two tools each, twice over.
const OPEN: usize = 80_000;

/// Things of one kind that are open.
#[derive(Debug)]
pub(super) struct Open<N, W> {
    since: BTreeMap<(SessionId, N), (Timestamp, W)>,
}

impl<N: Ord + Copy, W> Default for Open<N, W> {
    fn default() -> Self {
        Self { since: BTreeMap::new() }
    }
}

impl<N: Ord + Copy, W> Open<N, W> {
    /// Something began.
    pub(super) fn begin(&mut self, session: SessionId, no: N, at: Timestamp, what: W) {
        if self.since.len() < OPEN {
            self.since.insert((session, no), (at, what));
        }
    }

    /// It ended: what it was and how many seconds it took, if its beginning was heard.
    pub(super) fn end(&mut self, session: SessionId, no: N, at: Timestamp) -> Option<(W, f64)> {
        let (since, what) = self.since.remove(&(session, no))?;
        // A clock set back makes no negative length.
        let ms = at.0.saturating_sub(since.0);
        let seconds = ms as f64 / 1_000.0;
        Some((what, seconds))
    }
}
