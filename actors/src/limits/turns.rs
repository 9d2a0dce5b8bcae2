//! Bounds of a turn and of what it starts: how long, how often, how deep; and what is assumed of
//! tokens.

use super::TIME_MAX_MS;

/// How deep agents may spawn agents: 8 levels of width 2 are already 256 agents.
pub const DEPTH: u32 = 4;
/// Children of one session alive at once.
pub const WIDTH: u32 = 64;
/// Agents alive at once below one root: three levels of 8 are 584, a runaway is stopped at twice that.
pub const TOTAL: u32 = 1_024;
/// Model calls in one turn: a long coding task takes some 50, so 4 times that.
pub const STEPS: u32 = 200;
/// Failed model calls made again, per step: 5 with doubling backoff ride out about 30 s of trouble.
pub const MODEL_RETRIES: u32 = 5;
/// First pause before a model call is made again.
pub const RETRY_MS: u64 = 500;
/// Longest such pause, unless the vendor asked for a longer one.
pub const RETRY_MAX_MS: u64 = 30_000;
/// Models that one agent falls back to: each may use up its retries, some minutes of trouble, before
/// the next is asked; four more are enough to leave any vendor.
pub const FALLBACKS: usize = 4;
/// A turn's whole time: `APPROVAL_MS` over a weekend and a day of work, else the turn would end while
/// a person may still answer.
pub const TURN_MS: u64 = 345_600_000;
/// A model call's whole time: 15 min covers the longest thinking seen.
pub const MODEL_MS: u64 = 900_000;
/// A tool call's whole time.
pub const TOOL_MS: u64 = 300_000;
/// How long a person has to answer an approval: three days, over a weekend.
pub const APPROVAL_MS: u64 = 259_200_000;
/// How long an aborted task may take to end before its call is closed without it.
pub const ABORT_GRACE_MS: u64 = 2_000;
/// How long a result that came in time may take to be put away once the call's time is up or it is
/// cancelled. With `ABORT_GRACE_MS` before it that is well within twice that, after which a call is
/// closed without its task: so what is known of a call that has ended is never given up.
pub const KEEP_MS: u64 = 1_000;
/// How long the outcome of a turn is waited for where the caller does not say: the longest turn that
/// can be declared, behind one that was as long as they usually may be.
pub const OUTCOME_MS: u64 = TIME_MAX_MS + TURN_MS;
/// Forks of forks: each is one more log to read on wake.
pub const FORK_DEPTH: u32 = 16;
/// Tokens a vendor may add per message and per tool around our text, for a true upper bound.
pub const WRAP_TOKENS: u64 = 64;
/// Output cap assumed when an agent names none.
pub const OUTPUT_TOKENS: u64 = 8_192;
