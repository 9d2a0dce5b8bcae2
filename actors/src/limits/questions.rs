//! Bounds of asking: when a tool that fails is asked about, how questions get to people and answers
//! back.

/// Runs of a tool that are looked at to tell whether it works: what an agent does in a minute or two.
pub const TOOL_RUNS: u32 = 6;
/// So many of them failed, and its calls are asked about. Three failing commands are everyday work of
/// an agent that mends a build; five of six are one that tries the same thing again and again.
pub const TOOL_FAILURES: u32 = 5;
/// Runs of longer ago say nothing: an hour.
pub const TOOL_WINDOW_MS: u64 = 3_600_000;
/// How long they are asked about: time for a person who looks in, and short enough that an agent to
/// which nobody answers has its tool back within its turn.
pub const TOOL_RAISED_MS: u64 = 600_000;
/// So many runs in a row that worked, and the tool is as before.
pub const TOOL_SUCCESSES: u32 = 3;
/// The most of both that a user may set: what one session keeps of each tool that failed.
pub const TOOL_RUNS_MAX: u32 = 64;
/// Questions that are out to channels at once; those beyond wait in the store until one is closed.
/// At some 10 KiB each they are 10 MiB.
pub const QUESTIONS_OUT: usize = 1_024;
/// How often a channel is asked again whose answer could not be taken.
pub const ANSWERS_REFUSED: u32 = 3;
/// An answer of a webhook or in a file: words of a person, or edited arguments; those of a large edit
/// are 32 KiB.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// How often a folder is looked at for an answer: at once for a person, and two opens a second for
/// each question.
pub const ANSWER_LOOK_MS: u64 = 500;
/// The longest pause before a question that could not be written into its folder is tried again; the
/// first is a look's, and it doubles. Of a disk that is full for a night these are 1,000 tries.
pub const QUESTION_PAUSE_MAX_MS: u64 = 30_000;
/// First pause before a webhook is tried again; it doubles.
pub const WEBHOOK_PAUSE_MS: u64 = 1_000;
/// The longest such pause: in an outage of a night 100 tries for each question.
pub const WEBHOOK_PAUSE_MAX_MS: u64 = 300_000;
/// How often the end of a question is told to a webhook that is away: pauses of 1 to 32 s, a minute in
/// all, in which a server that is restarted is back.
pub const WEBHOOK_TELLS: u32 = 7;
/// Arguments that a parent's model is shown; what would have to be cut is not for it to allow.
pub const CONSULTED_BYTES: usize = 16 * 1024;
