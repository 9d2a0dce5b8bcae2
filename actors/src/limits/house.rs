//! Bounds of the house as a whole: its wings, its pools, its looks around and its end.

/// Wing supervisors: 16 bound both fan-in (10k sessions are 625 a wing) and blast radius.
pub const WINGS: usize = 16;
/// Slots of a tool pool, unless configured.
pub const POOL_SLOTS: u32 = 32;
/// Tool calls waiting for a slot in one pool before new ones are refused.
pub const POOL_QUEUE: usize = 100_000;
/// Events a subscriber may lag behind before it is told that it missed some.
pub const BUS_EVENTS: usize = 4_096;
/// The same for whoever follows one session: a reply of 256 pieces that nobody reads while it comes.
pub const FOLLOWER_EVENTS: usize = 256;
/// Records that wait for the house log: a thousand answers of people while the disk is away.
pub const HOUSE_QUEUE: usize = 1_024;
/// Deletions that a slow listener may be behind: nobody deletes faster than it can be told four times a second.
pub const DELETION_NOTES: usize = 256;
/// Rows of a list, unless asked otherwise.
pub const LIST_ROWS: usize = 1_000;
/// How often a wing passes by its sessions, so that those with nothing to do may leave.
pub const TICK_MS: u64 = 5_000;
/// How often the root looks for sleepers whose time has come.
pub const WAKE_SCAN_MS: u64 = 500;
/// Sleepers read at once by a scan; it goes on until all are woken.
pub const WAKE_SCAN_MAX: usize = 256;
/// Every so many scans all sleepers with work in hand are woken: 60 scans are 30 s.
pub const FULL_SCAN_EVERY: u64 = 60;
/// Sessions that are cancelled at once where everything is stopped: each is one commit, and they share
/// the writer.
pub const HALT_CANCELS: usize = 64;
/// How long the ledger may take to answer a question asked by a task or a face.
pub const CALL_MS: u64 = 10_000;
/// A wait for a moment of the wall looks at it again at least this often, so that a clock set forward
/// by hand or by a machine that slept is seen. 10,000 waits are 10,000 looks a second, some 1 % of a core.
pub const WALL_LOOK_MS: u64 = 1_000;
/// How long shutdown may take before what is left is killed.
pub const SHUTDOWN_MS: u64 = 10_000;
/// How long an exporter of spans and metrics may think about a lot: a collector is near and answers
/// within milliseconds, and meanwhile a busy house makes some thousand spans, which wait.
pub const EXPORT_MS: u64 = 10_000;
/// How long the end of a program waits for the last lots. Half of what the house itself may take: nobody
/// ends a program for its collector.
pub const EXPORT_END_MS: u64 = SHUTDOWN_MS / 2;
