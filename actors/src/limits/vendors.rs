//! Bounds of the wire to vendors.

/// How long a connection to a vendor may take to come about: three lost packets of a handshake.
pub const CONNECT_MS: u64 = 10_000;
/// How long a vendor may take to begin its answer: queues before the first token reach half a minute.
pub const FIRST_BYTE_MS: u64 = 60_000;
/// How long a stream may be silent: vendors send a sign of life every 15 to 30 s.
pub const STREAM_IDLE_MS: u64 = 90_000;
/// How long the rest of a stream is read once the answer is whole, so that its connection serves
/// again: the closing bytes come with the answer, or within a round trip.
pub const STREAM_REST_MS: u64 = 250;
/// One event or line of a vendor's stream: an answer that comes in one piece is a few hundred KiB.
pub const WIRE_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// All text, thinking and arguments of one answer, and an answer that comes as a whole: far above
/// what the longest output of a model takes, far below what 100 calls at once could not hold.
pub const WIRE_REPLY_BYTES: usize = 8 * 1024 * 1024;
/// What is read of an error's body: the vendor's words are in its first lines.
pub const WIRE_ERROR_BYTES: usize = 64 * 1024;
/// What is told on of a vendor's words about an error.
pub const WIRE_WORDS_BYTES: usize = 1_024;
/// How long a vendor's list of models may take, all its pages, and so the look whether it takes a
/// credential: somebody waits for it at a terminal, and such a list is no work for anybody.
pub const LIST_MS: u64 = 30_000;
/// Pages of a vendor's list of models that are read: at 20 to 1,000 a page, every list seen.
pub const MODEL_PAGES: usize = 100;
