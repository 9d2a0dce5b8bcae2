//! `search_files`: lines that match an expression, in files that a walk comes by. The expression
//! takes linear time whatever it is, a file is read in pieces, and what is not text is passed by.

use std::{fs::File, io};

use globset::GlobMatcher;
use greenroom_actors::{domain::tool::EffectClass, limits};
use grep_matcher::Matcher as _;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkFinish, SinkMatch,
};
use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::typed::TypedTool;

use super::{
    Files, Job, glob,
    list::notes,
    place::Place,
    protect::Use,
    refusal::Refusal,
    text::{self, Answer},
    walk::{Entry, Go, Manner, walk},
    work::Brake,
};

/// Files between two words on how far it is.
const REPORT_FILES: usize = 2_000;

/// What to look for, and where.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// A regular expression, matched against each line, such as `fn \w+_test`.
    pattern: String,
    /// The folder or file to search, relative to the workspace; `.` is the workspace itself.
    path: String,
    /// Only files that match, such as `*.rs` or `src/**/*.md`; a glob with a slash is relative to
    /// `path`. Default: every text file.
    glob: Option<String>,
    /// Whether `pattern` is plain text. Default: false.
    literal: Option<bool>,
    /// Whether capital and small letters are the same. Default: false.
    ignore_case: Option<bool>,
    /// Lines to show before and after each one found. Default: 0.
    #[schemars(range(max = 10))]
    context: Option<usize>,
    /// What to answer: `lines` with their numbers, `files` that have one, or `count` per file.
    /// Default: lines.
    answer: Option<Mode>,
    /// Whether to search what .gitignore leaves out as well. Default: false.
    ignored: Option<bool>,
}

#[derive(Clone, Copy, Default, JsonSchema, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Lines,
    Files,
    Count,
}

pub(super) fn tool(files: &Files) -> TypedTool<Args> {
    let description = "Finds lines in files by a regular expression (Rust's syntax: no look-around, \
                       no back-references), without what .gitignore leaves out and without .git.";
    files.tool("search_files", description, search).effect(EffectClass::Pure)
}

fn search(job: &Job<'_>, args: Args) -> Result<String, Refusal> {
    let place = job.opener.place(job.ctx.cwd.as_deref(), &args.path)?;
    let context = args.context.unwrap_or(0).min(limits::FOUND_CONTEXT);
    let mode = args.answer.unwrap_or_default();
    let mut hunt = Hunt {
        matcher: matcher(&args)?,
        searcher: searcher(mode, context),
        wanted: args.glob.as_deref().map(glob).transpose()?,
        mode,
        brake: job.brake,
        answer: Answer::default(),
        files: 0,
        found: 0,
        long: 0,
        full: false,
    };
    let look = job.opener.look(&place)?;
    let missed = if FileType::from_raw_mode(look.st_mode) == FileType::Directory {
        let all = args.ignored == Some(true);
        let manner = Manner { sight: &job.ctx.sight, all, depth: usize::MAX };
        walk(job.opener, &place, manner, job.brake, &mut |entry| hunt.visit(job, &place, entry))?
    } else {
        let (file, stat) = job.opener.file(&place)?;
        let bytes = u64::try_from(stat.st_size).unwrap_or_default();
        if bytes > limits::FILE_SEARCH_BYTES {
            let path = job.opener.shown(&place);
            let (most, hint) = (limits::FILE_SEARCH_BYTES, "it is not searched");
            return Err(Refusal::TooLarge { path, bytes, most, hint });
        }
        hunt.file(&job.opener.shown(&place), &file)?;
        super::walk::Missed::default()
    };
    job.brake.check()?;
    let Hunt { answer, found, full, files, long, .. } = hunt;
    let more = full.then_some("there is more: narrow the pattern, the path or the glob");
    let mut notes = notes(&missed, more);
    if long > 0 {
        notes.push_str(&format!("; {long} files with a line too long to search"));
    }
    if found == 0 {
        return Ok(format!("[nothing found in {files} files{notes}]"));
    }
    Ok(answer.end((!notes.is_empty()).then(|| notes.trim_start_matches("; ").to_owned())))
}

fn matcher(args: &Args) -> Result<RegexMatcher, Refusal> {
    let mut builder = RegexMatcherBuilder::new();
    builder
        .case_insensitive(args.ignore_case == Some(true))
        .fixed_strings(args.literal == Some(true))
        .line_terminator(Some(b'\n'))
        .size_limit(limits::FILE_PATTERN_BYTES)
        .dfa_size_limit(limits::FILE_PATTERN_BYTES);
    let built = builder.build(&args.pattern);
    let matcher = built
        .map_err(|why| Refusal::Misfit(format!("pattern: {}", text::plain(&why.to_string()))))?;
    // It would find every line.
    if matcher.is_match(b"").unwrap_or(false) {
        return Err(Refusal::Misfit("pattern: it matches the empty line, so every one".to_owned()));
    }
    Ok(matcher)
}

fn searcher(mode: Mode, context: usize) -> Searcher {
    let context = if mode == Mode::Lines { context } else { 0 };
    SearcherBuilder::new()
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(limits::FILE_SEARCH_LINE_BYTES))
        .before_context(context)
        .after_context(context)
        .build()
}

/// A search on its way.
struct Hunt<'a> {
    matcher: RegexMatcher,
    searcher: Searcher,
    wanted: Option<GlobMatcher>,
    mode: Mode,
    brake: &'a Brake,
    answer: Answer,
    files: usize,
    /// Lines or files that are told.
    found: usize,
    /// Files that were left for a line.
    long: usize,
    full: bool,
}

impl Hunt<'_> {
    fn visit(&mut self, job: &Job<'_>, start: &Place, entry: &Entry<'_>) -> Result<Go, Refusal> {
        let Some(place) = &entry.place else { return Ok(Go::On) };
        let is_wanted = self.wanted.as_ref().is_none_or(|glob| glob.is_match(entry.below(start)));
        if entry.kind != FileType::RegularFile
            || !is_wanted
            || job.opener.permit(place, Use::Read).is_err()
        {
            return Ok(Go::On);
        }
        let Some((file, stat)) = job.opener.file_in(entry.folder, entry.name) else {
            return Ok(Go::On);
        };
        if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > limits::FILE_SEARCH_BYTES {
            self.long += 1;
            return Ok(Go::On);
        }
        self.file(&entry.path, &file)?;
        if self.files.is_multiple_of(REPORT_FILES) {
            job.ctx.progress.report(format!("searched {} files", self.files));
        }
        Ok(if self.full { Go::End } else { Go::On })
    }

    fn file(&mut self, path: &str, file: &File) -> Result<(), Refusal> {
        self.files += 1;
        let mut finds = Finds {
            mode: self.mode,
            brake: self.brake,
            count: 0,
            lines: Vec::new(),
            binary: false,
        };
        if self.searcher.search_file(&self.matcher, file, &mut finds).is_err() {
            self.brake.check()?;
            // A line above the heap's limit; or the file was taken away under our hands.
            self.long += 1;
            return Ok(());
        }
        let Finds { count, mut lines, binary, .. } = finds;
        if count == 0 || binary {
            return Ok(());
        }
        let (lines, found) = match self.mode {
            Mode::Files => (vec![path.to_owned()], 1),
            Mode::Count => (vec![format!("{path}: {count}")], 1),
            Mode::Lines => {
                lines.insert(0, path.to_owned());
                (lines, count)
            }
        };
        self.found += found;
        self.full |= !lines.iter().all(|line| self.answer.line(line));
        self.full |= self.found >= limits::FILES_FOUND;
        Ok(())
    }
}

/// What is found in one file.
struct Finds<'a> {
    mode: Mode,
    brake: &'a Brake,
    count: usize,
    lines: Vec<String>,
    binary: bool,
}

impl Finds<'_> {
    fn line(&mut self, no: Option<u64>, mark: char, line: &[u8]) {
        let line = text::bare(line);
        let shown = String::from_utf8_lossy(line);
        let line = text::short(&shown, limits::FOUND_LINE_CHARS, line.len());
        self.lines.push(format!("{}{mark} {line}", no.unwrap_or_default()));
    }
}

impl Sink for Finds<'_> {
    type Error = io::Error;

    fn matched(&mut self, _searcher: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        self.brake.check().map_err(io::Error::other)?;
        self.count += 1;
        match self.mode {
            Mode::Files => return Ok(false),
            Mode::Count => return Ok(true),
            Mode::Lines => {}
        }
        self.line(found.line_number(), ':', found.bytes());
        Ok(self.count < limits::FILES_FOUND)
    }

    fn context(
        &mut self,
        _searcher: &Searcher,
        context: &SinkContext<'_>,
    ) -> Result<bool, io::Error> {
        self.line(context.line_number(), '-', context.bytes());
        Ok(true)
    }

    fn context_break(&mut self, _searcher: &Searcher) -> Result<bool, io::Error> {
        self.lines.push("--".to_owned());
        Ok(true)
    }

    fn finish(&mut self, _searcher: &Searcher, done: &SinkFinish) -> Result<(), io::Error> {
        self.binary = done.binary_byte_offset().is_some();
        Ok(())
    }
}
