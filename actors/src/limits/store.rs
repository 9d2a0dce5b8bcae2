//! Bounds of the journal and of the file beneath it.

/// Frames in one group commit.
pub const COMMIT_FRAMES: usize = 256;
/// Requests queued to the journal's writer: 16 full groups.
pub const JOURNAL_QUEUE: usize = 4_096;
/// Frames read at once when a session wakes.
pub const READ_FRAMES: usize = 512;
/// Bytes of frames read at once, whatever their number: 16 of the largest. Each reader of a store
/// and each waking session holds one page, where 512 frames of `FRAME_BYTES` would be 256 MiB.
pub const READ_BYTES: usize = 8 * 1024 * 1024;
/// Reading connections of a store: two cores' worth of replay beside as much waiting on the disk.
pub const STORE_READERS: usize = 4;
/// Reads queued to them before callers wait: 256 sessions waking behind each reader.
pub const STORE_READS: usize = 1_024;
/// Write-ahead log in pages of 4 KiB before it is copied back: 32 MiB; smaller halves the rate.
pub const STORE_WAL_PAGES: u64 = 8_000;
/// Pages that the store's writer keeps in memory, in KiB. A frame touches 6 pages, the same ones again
/// for the session's next: 4,096 pages are what some 700 sessions at work touch. Readers keep
/// SQLite's own 2 MiB.
pub const STORE_CACHE_KIB: i64 = 16 * 1024;
/// Pages that a long reader may hold back before the store warns: 64 MiB.
pub const STORE_WAL_ALARM_PAGES: u64 = 16_384;
/// Quiet time after which the write-ahead log is copied back although it is short.
pub const STORE_IDLE_MS: u64 = 1_000;
/// A store that is written anew behind a deletion, at most: it takes as much memory, and a second or two.
pub const STORE_REWRITE_BYTES: i64 = 256 * 1024 * 1024;
/// How long a deletion waits for short reads, to empty the write-ahead log behind itself at once.
pub const STORE_FORGET_MS: u64 = 20;
/// How long a write waits for another program that holds the file.
pub const STORE_BUSY_MS: u64 = 5_000;
/// The same while opening, where a refusal is due within a second.
pub const STORE_OPEN_BUSY_MS: u64 = 500;
/// A booked figure as the store sums it, at most: 2^53, so that 1,024 absurd ones still fit.
pub const STORE_BOOKED_MAX: u64 = 1 << 53;
/// How long a journal append may take before the session counts it as unavailable.
pub const APPEND_MS: u64 = 30_000;
