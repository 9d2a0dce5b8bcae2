//! Named points where a test may strike: the kill driver aborts the process at one, a unit test
//! panics at one. Without the feature `testing` a point compiles to nothing.
//!
//! Every point is listed in `POINTS`, so that a driver can prove each one was reached.

/// All points, in the order a turn passes them.
pub const POINTS: [&str; 25] = [
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
    "wing.before_start",
    "wake.claimed",
    "wake.folded",
    "store.in_group",
    "store.before_commit",
    "store.committed",
    "store.migrating",
    "store.before_copy_back",
    "store.copied_back",
    "shutdown.begun",
    "shutdown.sessions_gone",
];

#[cfg(feature = "testing")]
mod armed {
    use std::sync::OnceLock;

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
}

#[cfg(feature = "testing")]
pub use armed::{Strike, arm, point};

/// Passes a point.
#[cfg(not(feature = "testing"))]
#[inline]
pub const fn point(_name: &'static str) {}
