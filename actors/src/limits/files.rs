//! Bounds of the tools that work on files.

/// File tools at work at once in one program, each on a thread of its own: one that hangs on a dead
/// mount keeps its thread, so this many dead calls stop the file tools and nothing else.
pub const FILE_WORKERS: usize = 16;
/// A path that a tool is given, in bytes, and one name in it: what Linux takes.
pub const PATH_BYTES: usize = 4_096;
/// See `PATH_BYTES`.
pub const PATH_NAME_BYTES: usize = 255;
/// What a file tool shows of files in one answer: below `INLINE_BYTES` with the lines around it, so
/// that a model reads all of it and goes on where it ended.
pub const FILE_SHOWN_BYTES: usize = 28 * 1024;
/// A line that is shown, in characters; of a longer one the model hears how long it is.
pub const FILE_LINE_CHARS: usize = 2_000;
/// The same of a line that a search found: a hundred of them are one answer.
pub const FOUND_LINE_CHARS: usize = 300;
/// Lines of one answer, unless asked otherwise: at 40 bytes each they fill it.
pub const FILE_LINES: usize = 700;
/// A file that lines are read of: reading passes over all that stands before them.
pub const FILE_READ_BYTES: u64 = 64 * 1024 * 1024;
/// A file that is edited as a whole in memory: 16 at once are 256 MiB, the text and its successor.
pub const FILE_EDIT_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes looked at to tell text from something else, as other programs do.
pub const FILE_SNIFF_BYTES: usize = 8 * 1024;
/// Edits of one call, and places that one of them may change.
pub const EDITS: usize = 100;
/// Entries of one answer of a list, at some 60 bytes each.
pub const FILES_LISTED: usize = 500;
/// Lines or files that one search finds before it ends.
pub const FILES_FOUND: usize = 1_000;
/// Lines shown around each line that a search found, at most.
pub const FOUND_CONTEXT: usize = 10;
/// A file that is searched; larger ones are data.
pub const FILE_SEARCH_BYTES: u64 = 64 * 1024 * 1024;
/// The longest line that a search holds in memory; a file with a longer one is left out, and said so.
pub const FILE_SEARCH_LINE_BYTES: usize = 1024 * 1024;
/// A compiled expression in bytes: the largest that its library takes by itself is ten times that.
pub const FILE_PATTERN_BYTES: usize = 1024 * 1024;
/// Entries that one walk looks at: the largest source trees have some 100,000, within seconds.
pub const WALK_ENTRIES: usize = 500_000;
/// Entries of one folder that are held to be sorted: at some 60 bytes 6 MiB.
pub const WALK_FOLDER: usize = 100_000;
/// Folders in folders that a walk descends; each is an open descriptor.
pub const WALK_DEPTH: usize = 64;
/// A file that says what to leave out of a walk.
pub const IGNORE_BYTES: u64 = 256 * 1024;
