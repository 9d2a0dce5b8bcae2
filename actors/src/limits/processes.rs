//! Bounds of the processes that tools start.

use super::BLOB_BYTES;

/// Orders for processes that wait for the host of tools: as many as a pool of the default size
/// starts in 30 rounds; the host takes one within a millisecond.
pub const TOOL_ORDERS: usize = 1_024;
/// Orders that run at once in one runtime: 32 pools of the default size, and a table of 16 KiB for who
/// tells them from orphans.
pub const TOOL_AT_ONCE: usize = 1_024;
/// How long a tool's processes have between being asked to end and being ended: what a program takes
/// to write its last words. Within `ABORT_GRACE_MS`, so that a cancel still has their output.
pub const TOOL_GRACE_MS: u64 = 1_500;
/// How long the pipes are read after the program has ended: what it wrote is in them already.
pub const TOOL_PIPE_MS: u64 = 1_000;
/// How long it may take until everybody is dead and reaped who was ended: the kernel needs this long
/// only for who hangs in a dead disk.
pub const TOOL_REAP_MS: u64 = 1_000;
/// How long before the call's own deadline its processes are asked to end: the three before, with
/// which the output still comes out as an answer.
pub const TOOL_END_MS: u64 = TOOL_GRACE_MS + TOOL_PIPE_MS + TOOL_REAP_MS;
/// How long a program runs where the model does not say.
pub const TOOL_RUN_MS: u64 = 120_000;
/// What is kept of the beginning and of the end of each pipe: 64 KiB are a thousand lines, and four
/// of them what one call holds in memory, whatever the tool writes.
pub const TOOL_OUTPUT_BYTES: usize = 64 * 1024;
/// What is kept of each pipe beside that, for a person who wants the whole: both of them and what is
/// said about them fit into one blob.
pub const TOOL_KEPT_BYTES: u64 = BLOB_BYTES as u64 / 2 - (1 << 20);
/// Seconds of one processor for a process: an hour's build is the largest everyday work.
pub const TOOL_CPU_S: u64 = 3_600;
/// Memory that a process may write: what a linker of a large program takes.
pub const TOOL_MEMORY_BYTES: u64 = 4 << 30;
/// Addresses of a process: engines of scripts reserve tens of GiB that they never touch, so this
/// only stops what has no bound at all.
pub const TOOL_SPACE_BYTES: u64 = 256 << 30;
/// The largest file that a process may write.
pub const TOOL_FILE_BYTES: u64 = 4 << 30;
/// Descriptors of a process: the usual soft limit.
pub const TOOL_DESCRIPTORS: u64 = 1_024;
/// Processes and threads of one order: a parallel build on 64 cores, with room.
pub const TOOL_PROCESSES: u64 = 256;
/// Processors that processes leave to everybody else after `TOOL_NEW_MS`: on one that is free, who
/// wakes runs at once.
pub const TOOL_SPARED_PROCESSORS: u64 = 1;
/// How long a process runs wherever it likes, but beside a crowd: most commands take less.
pub const TOOL_NEW_MS: u64 = 100;
/// How long who has run for `TOOL_NEW_MS` computes at a stretch when others want to: longer than the few
/// milliseconds that kernels give to everybody, so that whoever wakes comes first, and short enough for
/// tools among themselves.
pub const TOOL_STRETCH_MS: u64 = 10;
/// How many for each processor want to run where there is a crowd, such as one who forks without end.
pub const TOOL_CROWDED: u32 = 8;
/// How long who begins beside a crowd keeps to the processors that are spared: most commands take less.
pub const TOOL_HELD_MS: u64 = 10;
/// After which who had to be moved is looked at once more: nobody forks for that long.
pub const TOOL_AGAIN_MS: u64 = 1_000;
/// What fits into a tool's own `/tmp`: it is memory.
pub const TOOL_SCRATCH_BYTES: u64 = 256 << 20;
/// Files that fit there: each costs the kernel a KiB, so these are 64 MiB.
pub const TOOL_SCRATCH_FILES: u64 = 65_536;
/// Files and folders that are covered for one call: each is a mount of its own and takes the kernel some
/// 20 µs, so these take 20 ms.
pub const TOOL_COVERS: usize = 1_024;
/// Folders, with all below them, that the processes of one call may use beside the system's.
pub const TOOL_TREES: usize = 32;
/// Words in a command, and bytes of them all: below what the kernel takes, 128 KiB for one word.
pub const TOOL_ARGV: usize = 4_096;
