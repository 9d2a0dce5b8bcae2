//! Named points where a test may strike: the kill driver aborts the process at one, a unit test
//! panics at one. Without the feature `testing` a point compiles to nothing.
//!
//! Every point is listed in `POINTS`, so that a driver can prove each one was reached. A process can
//! be armed once; a single session can be struck at points of its own, listed in `OF_SESSIONS`, while
//! all others pass unharmed.

use crate::domain::ids::SessionId;

/// All points, in the order a turn passes them.
pub const POINTS: [&str; 28] = [
    "input.before_append",
    "append.before_send",
    "append.acknowledged",
    "effects.before_perform",
    "effects.after_perform",
    "model.before_call",
    "model.answered",
    "tool.before_run",
    "tool.ran",
    "child.before_assign",
    "child.before_report",
    "ledger.before_append",
    "ledger.granted",
    "ledger.before_answer",
    "house.before_append",
    "house.recorded",
    "wing.before_start",
    "wake.claimed",
    "wake.folded",
    "catalog.replaced",
    "store.in_group",
    "store.before_commit",
    "store.committed",
    "store.migrating",
    "store.before_copy_back",
    "store.copied_back",
    "shutdown.begun",
    "shutdown.sessions_gone",
];

/// Points of one session: before anything of it exists, at any message, when its state is let go.
pub const OF_SESSIONS: [&str; 3] = ["session.loading", "session.handling", "session.let_go"];

/// Points of jobs: before each record is written, once it is, and around what goes out.
pub const OF_JOBS: [&str; 28] = [
    "job.before_enqueued",
    "job.enqueued",
    "job.before_attempt_started",
    "job.attempt_started",
    "job.before_progressed",
    "job.progressed",
    "job.before_attempt_failed",
    "job.attempt_failed",
    "job.before_stop_requested",
    "job.stop_requested",
    "job.before_paused",
    "job.paused",
    "job.before_resumed",
    "job.resumed",
    "job.before_ended",
    "job.ended",
    "job.before_requeued",
    "job.requeued",
    "job.before_followed",
    "job.followed",
    "job.before_end_told",
    "job.end_told",
    "job.before_end_not_told",
    "job.end_not_told",
    "job.before_run",
    "job.ran",
    "job.before_tell",
    "job.told",
];

#[cfg(feature = "testing")]
mod armed {
    use std::{
        collections::BTreeMap,
        sync::{
            Mutex, OnceLock, PoisonError,
            atomic::{AtomicBool, Ordering},
        },
    };

    use super::SessionId;

    /// What to do at a point.
    pub type Strike = Box<dyn Fn(&'static str) + Send + Sync>;

    static STRIKE: OnceLock<Strike> = OnceLock::new();

    /// Arms the process; the first call counts.
    pub fn arm(strike: Strike) {
        STRIKE.get_or_init(|| strike);
    }

    /// Passes a point.
    #[inline]
    pub fn point(name: &'static str) {
        if let Some(strike) = STRIKE.get() {
            strike(name);
        }
    }

    /// Whether any session is to be struck: as long as none is, a point costs no lock, so that a
    /// bench of a build with this feature measures the house.
    static ANY: AtomicBool = AtomicBool::new(false);
    static STRUCK: Mutex<BTreeMap<(&'static str, SessionId), u32>> = Mutex::new(BTreeMap::new());

    /// From now on a session is struck so many times when it passes a point of `OF_SESSIONS`.
    ///
    /// # Panics
    /// When there is no such point: that is the test's mistake.
    pub fn strike(name: &'static str, session: SessionId, times: u32) {
        assert!(super::OF_SESSIONS.contains(&name), "no point {name}");
        STRUCK.lock().unwrap_or_else(PoisonError::into_inner).insert((name, session), times);
        ANY.store(true, Ordering::Release);
    }

    /// Whether a session that passes a point is struck there.
    #[must_use]
    pub fn struck(name: &'static str, session: SessionId) -> bool {
        if !ANY.load(Ordering::Acquire) {
            return false;
        }
        let mut all = STRUCK.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = all.get_mut(&(name, session)) else { return false };
        let hit = *left > 0;
        *left = left.saturating_sub(1);
        hit
    }
}

#[cfg(feature = "testing")]
pub use armed::{Strike, arm, point, strike, struck};

/// Passes a point.
#[cfg(not(feature = "testing"))]
#[inline]
pub const fn point(_name: &'static str) {}

/// Whether a session that passes a point is struck there.
#[cfg(not(feature = "testing"))]
#[inline]
#[must_use]
pub const fn struck(_name: &'static str, _session: SessionId) -> bool {
    false
}
