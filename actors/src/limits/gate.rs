//! Bounds of the gates before vendors: how many call at once, in which turn, and how they come back
//! after an outage.

use super::{MODEL_RETRIES, OUTPUT_TOKENS};

/// Model calls at once per credential, unless configured. Those in flight when a vendor begins to
/// refuse are all refused: with the looks at it during three minutes, at most 50 calls in vain, which
/// is a tenth for 500 sessions.
pub const GATE_CALLS: u32 = 40;
/// Model calls that wait at one gate.
pub const GATE_QUEUE: usize = 100_000;
/// After a pause of a gate its grants are spread over this share of the pause, in percent: the
/// vendor asked for a wait, and everybody at once when it ends is how the next one begins.
pub const GATE_SPREAD_PERCENT: u64 = 20;
/// The least such spread, so that a pause of "1 s" or "0" is spread too.
pub const GATE_SPREAD_MIN_MS: u64 = 200;
/// The longest such spread: behind a pause of a day nobody else comes back for hours either.
pub const GATE_SPREAD_MAX_MS: u64 = 60_000;
/// A round of a fair queue in what its items weigh; at the gate these are tokens, and no call weighs
/// less: a tiny one takes a place as well. It is `OUTPUT_TOKENS`, which most calls reserve.
pub const FAIR_ROUND: u64 = OUTPUT_TOKENS;
/// The most that a model call weighs: 16 rounds, so that one absurd cap does not send its session to
/// the back for an hour.
pub const GATE_WEIGHT_MAX: u64 = 16 * FAIR_ROUND;
/// Of what is granted while both wait, the share of agents below a root, in percent. People wait for
/// roots; but a root may wait for its agents.
pub const GATE_BEHIND_PERCENT: u64 = 25;
/// Below this share of a vendor's limit, in percent, what is left is spread over the time until it is
/// whole again: a burst and then a wall serve nobody.
pub const GATE_LITTLE_PERCENT: u64 = 20;
/// No figure that a vendor states beside an answer holds a gate longer: five minutes, the longest
/// window seen but for daily ones. Who has used up a day hears so in a refusal, and that holds.
pub const GATE_LEARNT_MAX_MS: u64 = 300_000;
/// Calls made again, in percent of those made for the first time.
pub const GATE_AGAIN_PERCENT: u64 = 10;
/// Calls made again that are always allowed, before any budget is earned.
pub const GATE_AGAIN_FLOOR: u64 = 10;
/// How long the floor takes to regain one: in an outage that answers now and then, nobody waits for
/// ever, and a minute adds 60 calls.
pub const GATE_AGAIN_MS: u64 = 1_000;
/// The most that is earned: that of 500 calls beside the floor.
pub const GATE_AGAIN_MAX: u64 = GATE_AGAIN_FLOOR + 50;
/// So many answers in a row and the vendor is well: what failed before is made again freely. At half
/// of all calls failing that is one time in 32.
pub const GATE_WELL: u32 = 5;
/// So many failures in a row, without an answer between them, and nobody calls but a probe: more than
/// one turn has tries, so one unlucky request is no outage.
pub const GATE_FAILURES: u32 = MODEL_RETRIES + 3;
/// First pause before a probe; it doubles with every probe that fails: 1, 2, 4, 8, 16, 30 s.
pub const GATE_PROBE_MS: u64 = 1_000;
/// The longest such pause: 9 probes in three minutes, and at most 36 s lost when the vendor is back.
pub const GATE_PROBE_MAX_MS: u64 = 30_000;
/// How long those who waited for a probe are spread over.
pub const GATE_BACK_MS: u64 = 1_000;
/// Longest pause of a credential that a vendor may ask for: a day covers every daily quota.
pub const GATE_PAUSE_MAX_MS: u64 = 86_400_000;
