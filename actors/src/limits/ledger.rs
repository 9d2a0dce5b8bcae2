//! Bounds of budgets and of who keeps them.

/// How often a session asks the ledger or a pool again when an answer may have been lost.
pub const LEDGER_RETRY_MS: u64 = 1_000;
/// How long a reservation waits for room that others hold.
pub const RESERVE_WAIT_MS: u64 = 600_000;
/// Ledger records in one frame: a grant with a path of 5 accounts is some 1.4 KB, so 256 stay below
/// `FRAME_BYTES`; and it is one group commit's worth.
pub const LEDGER_BATCH: usize = 256;
/// Reservations of one tree in the ledger's memory, waiting or being written: 4 for each agent of
/// a tree of `TOTAL`. What comes above that is dropped; its session asks again.
pub const LEDGER_QUEUE: usize = 4_096;
/// Closed calls of one tree whose figures may still be replaced: calls that broke off and stand at
/// their bound. With a path of 5 accounts one takes some 600 bytes, so this is 40 MB; and as each is
/// booked at 8,192 output tokens or more, half a billion tokens were spent on broken calls before. At
/// that a tree is granted no more until figures come; its sessions ask again until their turns end.
/// Calls closed for good are spans of numbers: 16 bytes for each session, and for each number that
/// never had a grant.
pub const LEDGER_UNSETTLED: usize = 65_536;
/// How long the ledger pauses before it tells a session again that its budget passed a mark: a full
/// inbox has room after a commit or two, and nobody's work waits for the warning.
pub const WARN_RETRY_MS: u64 = 1_000;
/// A budget warns at this share, in percent.
pub const WARN_PERCENT: u64 = 80;
