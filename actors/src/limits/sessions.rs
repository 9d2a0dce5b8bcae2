//! Bounds of one session: what waits at its door, what it keeps in memory of what is over, and how
//! long it waits before it asks again.

use super::WIDTH;

/// Inputs a session holds before a producer hears `Busy`: 16 queued turns are hours of work.
pub const INBOX: u32 = 16;
/// Mail between actors in one session's mailbox: every child may report (WIDTH), be re-reported
/// by a sweep (WIDTH), and the parent may ask and cancel; 1,024 is 8 times that.
pub const MAIL: u32 = 1_024;
/// Inputs accepted and not yet begun, in the log.
pub const QUEUE: usize = 64;
/// Messages that wait in a wing for one session to wake.
pub const WAKE_QUEUE: usize = 1_024;
/// Tool calls in one model message: more is a runaway.
pub const CALLS_PER_REPLY: usize = 128;
/// Tool calls in one message that are read at all: what comes above `CALLS_PER_REPLY` is refused one
/// by one in the frame of the reply, at some 230 bytes each, and half a frame is left for that.
pub const CALLS_READ: usize = 1_024;
/// Bookings that a session tells the ledger again when it wakes. One frame closes at most a model
/// call and the `CALLS_READ` it asked for, and what a frame books may be lost with the session before
/// the ledger hears of it; twice that, for the frame before may have been lost to the ledger as well.
/// At some 70 bytes these are 140 KiB, and only for a session that was asked for that many.
pub const RECENT: usize = 2 * CALLS_READ;
/// Open tool calls asked for by the host in one session.
pub const HOST_CALLS: usize = 64;
/// Inputs and calls of the host that one session ever takes: it keeps every key, for one that comes
/// again after any time must be the same input, and a log of a hundred times as many frames is what
/// a wake reads within `LOAD_MS`. At some 100 bytes for a usual key these are 6 MiB, with the longest
/// ones 40 MiB; a turn a minute fills it in 45 days. Then the session is forked: a fork carries the
/// conversation and begins with no keys.
pub const KEYS: usize = 65_536;
/// Ends of turns that a session holds in memory, of those its parent assigned and of others apart:
/// twice `QUEUE`, more than a parent can have asked for and not heard. At 128 KiB for the longest
/// answer these are 16 MiB each. How an older one ended is read from the log.
pub const OUTCOMES: usize = 2 * QUEUE;
/// Closed calls of the host whose results a session holds: a host that was away asks after what it
/// had open, `HOST_CALLS`. At `INLINE_BYTES` these are 2 MiB. Older ones are read from the log.
pub const CALL_OUTCOMES: usize = HOST_CALLS;
/// Answers of people that a session knows word by word: all that can be open at once. An edit has at
/// most `INPUT_BYTES`, so 24 MiB. An older one given again is told that its question is closed,
/// which changes nothing either.
pub const ANSWERS: usize = CALLS_PER_REPLY + HOST_CALLS;
/// Agents that a session ever starts: it knows each, for its model may name any of them. One that
/// has ended and was read about takes some 2.5 KiB, so these are 40 MiB; the log of as many, with the
/// agent in each first frame, is what a wake reads within `LOAD_MS`. Then the session is forked.
pub const CHILDREN: usize = 16_384;
/// Reports of agents that a session holds whole after its model has read them: it may list them
/// again, twice as many as are alive at once. At 128 KiB for the longest these are 16 MiB.
pub const CHILD_REPORTS: usize = 2 * WIDTH as usize;
/// What is kept of the text of an older one: enough to tell one from another. The whole is in the log.
pub const CHILD_SHORT_BYTES: usize = 256;
/// Idle time after which a session leaves memory.
pub const IDLE_MS: u64 = 60_000;
/// How often a parent asks again after children whose reports may have been lost.
pub const CHILD_SWEEP_MS: u64 = 5_000;
/// How long a session may take to load.
pub const LOAD_MS: u64 = 60_000;
/// How long a suspended session waits before it asks the journal again.
pub const SUSPEND_MS: u64 = 1_000;
/// Things of one to-do list, and the length of each in characters.
pub const THINGS: usize = 100;
/// See `THINGS`.
pub const THING_CHARS: usize = 400;
