//! `read_file`: lines of a text file with their numbers, as many as one answer holds, and where to
//! go on.

use std::io::{BufRead as _, BufReader, Read as _};

use greenroom_actors::{domain::tool::EffectClass, limits};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::typed::TypedTool;

use super::{
    Files, Job,
    refusal::Refusal,
    text::{self, Answer},
};

/// Which lines of which file.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The file, relative to the workspace, such as `src/main.rs`.
    path: String,
    /// The first line to read, counted from 1. Default: 1.
    #[schemars(range(min = 1))]
    from_line: Option<u64>,
    /// How many lines to read. Default: as many as fit into one answer.
    #[schemars(range(min = 1))]
    lines: Option<u64>,
}

pub(super) fn tool(files: &Files) -> TypedTool<Args> {
    let description = "Reads a text file. Each line comes with its number and a tab, which are not \
                       part of it. A long file is read in parts: the end of the answer says where \
                       to go on.";
    files.tool("read_file", description, read).effect(EffectClass::Pure)
}

fn read(job: &Job<'_>, args: Args) -> Result<String, Refusal> {
    let place = job.opener.place(job.ctx.cwd.as_deref(), &args.path)?;
    let (file, stat) = job.opener.file(&place)?;
    let path = job.opener.shown(&place);
    let bytes = u64::try_from(stat.st_size).unwrap_or_default();
    if bytes > limits::FILE_READ_BYTES {
        let hint = "search_files finds lines in files up to that size";
        return Err(Refusal::TooLarge { path, bytes, most: limits::FILE_READ_BYTES, hint });
    }
    let failed = |why| Refusal::io("read", path.clone(), why);
    // No more than was promised, should it grow while it is read.
    let mut reader =
        BufReader::with_capacity(limits::FILE_SNIFF_BYTES, file.take(limits::FILE_READ_BYTES));
    if !text::is_text(reader.fill_buf().map_err(failed)?) {
        let hint = "only text is read";
        return Err(Refusal::Kind { path, is: "no text: it has NUL bytes", hint });
    }
    let from = args.from_line.unwrap_or(1).max(1);
    let most = args.lines.unwrap_or(limits::FILE_LINES as u64);
    let mut page = Page { answer: Answer::default(), no: 0, next: None, odd: false };
    let mut line = Vec::new();
    loop {
        if page.no.is_multiple_of(1_024) {
            job.brake.check()?;
        }
        let length = text::next_line(&mut reader, &mut line).map_err(failed)?;
        if length == 0 {
            break;
        }
        page.no += 1;
        if page.no < from || page.next.is_some() {
            continue;
        }
        if page.no >= from.saturating_add(most) || !page.add(&line, length) {
            page.next = Some(page.no);
        }
    }
    page.end(&path, from)
}

/// An answer that is put together.
struct Page {
    answer: Answer,
    /// Lines seen.
    no: u64,
    /// The first that is not shown.
    next: Option<u64>,
    /// Whether something stands there that is shown otherwise than it is.
    odd: bool,
}

impl Page {
    fn add(&mut self, line: &[u8], length: usize) -> bool {
        let line = text::bare(line);
        let (whole, is_utf8) = match std::str::from_utf8(line) {
            Ok(text) => (text.to_owned(), true),
            Err(_) => (String::from_utf8_lossy(line).into_owned(), false),
        };
        let shown = text::short(&whole, limits::FILE_LINE_CHARS, length);
        let fits = self.answer.line(&format!("{}\t{shown}", self.no));
        self.odd |= fits && (!is_utf8 || whole.chars().any(text::is_odd));
        fits
    }

    fn end(self, path: &str, from: u64) -> Result<String, Refusal> {
        let Self { answer, no, next, odd } = self;
        if no == 0 {
            return Ok(format!("[{path} is empty]"));
        }
        if from > no {
            return Err(Refusal::Misfit(format!("{path} has {no} lines; from_line is {from}")));
        }
        let mut notes = Vec::new();
        if let Some(next) = next {
            notes.push(format!("{no} lines in all; go on with from_line {next}"));
        }
        if odd {
            notes.push(
                "characters that cannot be seen are shown as \\u{…}, bytes that are no UTF-8 as \u{fffd}"
                    .to_owned(),
            );
        }
        Ok(answer.end((!notes.is_empty()).then(|| notes.join("; "))))
    }
}
