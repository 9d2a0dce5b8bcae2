//! The most that a user may set.

/// The most that a user may set. `DEPTH`: each level stands as an account and a link of authority in
/// every frame below it; 16 of some 200 bytes are nothing, and 2^16 agents are a tree beyond `TOTAL_MAX`.
pub const DEPTH_MAX: u32 = 16;
/// The same of `WIDTH`: every child may report and be reported again, and half of `MAIL` is left.
pub const WIDTH_MAX: u32 = 256;
/// The same of `TOTAL`: as many sessions as the tests keep in one process.
pub const TOTAL_MAX: u32 = 10_000;
/// The same of `STEPS`: ten times the default.
pub const STEPS_MAX: u32 = 2_000;
/// The same of `MODEL_RETRIES`: at `RETRY_MAX_MS` each, ten minutes of trouble.
pub const RETRIES_MAX: u32 = 20;
/// The same of every time: 30 days; what takes longer is more than one turn.
pub const TIME_MAX_MS: u64 = 2_592_000_000;
/// The same of tokens in one answer or for its thinking: far above any vendor's cap.
pub const REPLY_TOKENS_MAX: u64 = 1_000_000;
/// The same of forgiven panics: with the longest backoff each, a quarter of an hour.
pub const PANICS_MAX_MAX: u32 = 100;
/// Stop sequences of one agent: vendors take 4 to 16.
pub const STOPS_MAX: usize = 16;
/// A name of an agent, a model or a budget in characters: a cell of a table.
pub const WORD_CHARS: usize = 64;
/// An agents file, a script or a text that it names: 16 times what one agent can pin.
pub const AGENTS_FILE_BYTES: u64 = 1024 * 1024;
