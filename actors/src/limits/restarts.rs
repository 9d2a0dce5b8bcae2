//! Bounds of what is started again: whose panics count, how long who died waits, and when many deaths
//! are one cause.

/// A session's own panics without progress within the window before quarantine.
pub const PANICS_MAX: u32 = 3;
/// The window of the restart budget.
pub const PANIC_WINDOW_MS: u64 = 60_000;
/// First backoff of a restart; 0.2, 0.4, 0.8 … s.
pub const BACKOFF_MS: u64 = 200;
/// Longest backoff of a restart.
pub const BACKOFF_MAX_MS: u64 = 10_000;
/// Restarts per second in the whole runtime, and as many at once: never more than 50 within any
/// second, and 500 sessions that fail at once are back within 20 s.
pub const RESTARTS_PER_SECOND: u32 = 25;
/// Sessions that may die within `BREAKER_WINDOW_MS` before it counts as one common cause: what the
/// house restarts in a second. Restarts that all die again are 50 in the window, so it opens again.
pub const BREAKER_DEATHS: usize = 25;
/// The window in which deaths of different sessions count as together.
pub const BREAKER_WINDOW_MS: u64 = 2_000;
/// Sessions that are started to see whether the common cause has passed: one could be lucky, and each
/// failed look costs as many panics.
pub const BREAKER_PROBES: usize = 3;
/// First pause before that is looked at; it doubles with every failed look: 1, 2, 4, 8, 10 s.
pub const BREAKER_PAUSE_MS: u64 = 1_000;
/// Longest such pause: with `BREAKER_ASK_MS` and `BREAKER_LIVES_MS` some 20 s after the cause has
/// passed the first are back, and 500 by 20 s later: within the minute.
pub const BREAKER_PAUSE_MAX_MS: u64 = 10_000;
/// A probe lives when it has come a step further, or is at work for so long: a cause that strikes
/// when the model answers needs the seconds that an answer takes.
pub const BREAKER_LIVES_MS: u64 = 5_000;
/// How often one who waits asks again, and up to twice that: 10,000 who wait are 7,000 questions a
/// second, each the time of a map's look-up.
pub const BREAKER_ASK_MS: u64 = 1_000;
/// One who has not asked for so long waits no more, and a probe of whom nothing is heard is none:
/// five times the longest pause between two questions.
pub const BREAKER_LOST_MS: u64 = 10_000;
/// Deaths of one of the house's own actors within the window before the runtime ends.
pub const SEAT_DEATHS_MAX: u32 = 5;
/// First backoff of such an actor: everybody leans on it, so it is short.
pub const SEAT_BACKOFF_MS: u64 = 10;
/// How long a caller pauses before it asks a session again that died with its question.
pub const ASK_AGAIN_MS: u64 = 10;
