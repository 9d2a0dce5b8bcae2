//! Time, chance and the calendar: what a pure decision is given and never looks up.

use futures_util::future::BoxFuture;

use crate::domain::ids::{SessionId, Timestamp};

/// Time, randomness and fresh ids: everything a pure decision must not make up.
pub trait Clock: Send + Sync + 'static {
    /// Now, by the wall: what logs say and people were promised. It may be set, forwards and back.
    fn now(&self) -> Timestamp;

    /// Returns once `now()` has reached `at`. The wall is looked at again at least every
    /// `limits::WALL_LOOK_MS`, so a jump forwards is seen within that; one back lengthens the wait.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;

    /// How long this clock has run, counted from a beginning of its own. It neither jumps nor goes
    /// back. For what is kept in memory alone: it is never written, and never compared with `now()`.
    fn running(&self) -> Timestamp;

    /// Returns when this clock has run for so long, wherever the wall's hands were put meanwhile.
    fn after(&self, ms: u64) -> BoxFuture<'static, ()>;

    /// A random number.
    fn random(&self) -> u64;

    /// A fresh session id.
    fn new_session(&self) -> SessionId;
}

/// When what recurs is due. It reads no clock and gives the same answer to the same question.
pub trait Calendar: Send + Sync + 'static {
    /// The first moment after `after` that a cron expression means in a time zone.
    ///
    /// # Errors
    /// When one of them cannot be read, or there is no such moment.
    fn next(&self, expression: &str, zone: &str, after: Timestamp) -> Result<Timestamp, String>;
}
