//! Bounds of judging: rules and their words, and the commands that they are held against.

use super::FRAME_BYTES;

/// One permission rule in bytes: the longest path, and a line of command, fit.
pub const RULE_BYTES: usize = 4_096;
/// Characters of a rule that an error shows.
pub const RULE_SHOWN: usize = 200;
/// Reasons in one verdict: it rides in an event, and 16 rules of 4 KiB are a quarter of one.
pub const REASONS: usize = 16;
/// Words of all verdicts in one frame: an eighth of it, shared by the calls that are open. A single
/// one has room for `REASONS` of the longest; `CALLS_PER_REPLY` and `HOST_CALLS` at once leave 341
/// bytes for each, where their 16 rules of 4 KiB would be 12 MiB.
pub const VERDICTS_BYTES: usize = FRAME_BYTES / 8;
/// The least room in which a second reason says anything.
pub const REASON_BYTES_MIN: usize = 96;
/// What a call adds to the frame of its reply beside its name and arguments: asked for some 110
/// bytes, then a question or a start of some 330, or a refusal of 120.
pub const CALL_OVERHEAD_BYTES: usize = 448;
/// The same of a call that is refused for being one too many.
pub const REFUSED_OVERHEAD_BYTES: usize = 240;
/// Bytes of a shell command that rules look at; a longer one is never allowed by a rule. Commands
/// that people write are below 2 KiB; the cost of a look grows with its square, and the worst texts of
/// this size take some 50 ms.
pub const COMMAND_BYTES: usize = 6 * 1024;
/// Steps of the parser, by the hundred, that one command may take: a command of `COMMAND_BYTES` takes
/// some 300 of them where the grammar reads it at once, and ten times that where it has to try.
pub const PARSE_STEPS: u32 = 3_000;
/// Pipes, and brackets of tests, in one command: the parser's tree of more is slow to walk, for its rows
/// are chains. People write five.
pub const COMMAND_PIPES: usize = 256;
/// Here-documents in one command: the grammar's scanner holds their ends in a kilobyte.
pub const HERE_DOCUMENTS: usize = 8;
/// How deep the tree of a command is compared with its text: some four nodes for each of the levels
/// below, and each takes a frame of the stack.
pub const TREE_DEPTH: usize = 256;
/// How deep statements, substitutions and texts within texts are entered; people write 3 levels.
pub const SCRIPT_DEPTH: usize = 48;
/// Commands in one script that rules alone may allow; a longer one is read by a person.
pub const SCRIPT_COMMANDS: usize = 50;
/// How often the body of a loop is walked, once for each word that is written out, in loops within loops
/// together; people write five, and a body is soon walked.
pub const LOOP_TURNS: usize = 16;
/// Commands and files of one script that are judged; more is asked, after those were judged.
pub const SCRIPT_PARTS: usize = 512;
/// Files among them, so that however many words a command has, there is room for the command.
pub const SCRIPT_NAMED: usize = 256;
/// Folders that a script may be in at once, one for each `cd` that may have failed.
pub const SCRIPT_FOLDERS: usize = 8;
/// Files of one command whose content an approval holds to; people run one.
pub const SCRIPT_FILES: usize = 16;
/// Bytes of such a file: 16 MiB are hashed in 40 ms, and what people write is a thousandth of it.
pub const SCRIPT_FILE_BYTES: u64 = 16 << 20;
/// Wildcards of one word whose folders are looked at; people write two.
pub const WORD_WILDS: usize = 16;
/// Words of one part of a command that may begin another one.
pub const COMMAND_WORDS: usize = 64;
