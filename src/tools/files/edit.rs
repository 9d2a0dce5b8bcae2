//! `edit_file`: exact replacements, all of them or none. A text to be replaced must stand in the file
//! exactly once unless the call says all; where it does not, the model is told where it stands or
//! what stands there instead, so that its next call fits.

use std::io::Read as _;

use greenroom_actors::{
    limits,
    ports::{Probe, ToolCtx},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::typed::TypedTool;

use super::{
    Files, Job,
    refusal::Refusal,
    save::Over,
    text::{self, Answer},
};

/// Lines shown around each change.
const AROUND: usize = 2;
/// Places told of a text that stands in a file more than once.
const TOLD: usize = 10;

/// What to change in which file.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The file, relative to the workspace.
    path: String,
    /// The changes, made one after the other: a later one sees what an earlier one left.
    #[schemars(length(min = 1, max = 100))]
    edits: Vec<Edit>,
}

/// One replacement.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// The text as it stands in the file, with its spaces and line breaks, and without the line
    /// numbers that read_file shows. Take enough lines that it stands there once.
    #[schemars(length(min = 1))]
    old_text: String,
    /// What stands there afterwards.
    new_text: String,
    /// Whether to change it everywhere it stands. Default: false.
    all: Option<bool>,
}

pub(super) fn tool(files: &Files) -> TypedTool<Args> {
    let description = "Replaces texts in a file by others. If one of the edits does not fit, none \
                       is made.";
    let asked = files.clone();
    files.tool("edit_file", description, edit).probe(move |ctx: ToolCtx, args: Args| {
        let files = asked.clone();
        async move {
            let probed = files.run(ctx, move |job| Ok(probe(job, &args))).await;
            probed.unwrap_or(Probe::Unknown)
        }
    })
}

/// Only a trace of a call cut off is proof. The text is none: an edit may fit twice.
fn probe(job: &Job<'_>, args: &Args) -> Probe {
    let place = job.opener.place(job.ctx.cwd.as_deref(), &args.path);
    let key = &job.ctx.idempotency_key;
    let was_cut_off = place.is_ok_and(|place| job.opener.was_cut_off(&place, key));
    if was_cut_off { Probe::DidNot } else { Probe::Unknown }
}

fn edit(job: &Job<'_>, args: Args) -> Result<String, Refusal> {
    let place = job.opener.place(job.ctx.cwd.as_deref(), &args.path)?;
    let (file, stat) = job.opener.file(&place)?;
    let path = job.opener.shown(&place);
    let bytes = u64::try_from(stat.st_size).unwrap_or_default();
    if bytes > limits::FILE_EDIT_BYTES {
        let hint = "write a new file instead";
        return Err(Refusal::TooLarge { path, bytes, most: limits::FILE_EDIT_BYTES, hint });
    }
    let mut found = Vec::new();
    file.take(limits::FILE_EDIT_BYTES)
        .read_to_end(&mut found)
        .map_err(|why| Refusal::io("read", path.as_str(), why))?;
    let Ok(before) = String::from_utf8(found) else {
        let hint = "it cannot be edited as text";
        return Err(Refusal::Kind { path, is: "not UTF-8", hint });
    };
    let (after, changed) = applied(job, &path, before, &args.edits)?;
    let over = Over::This(&stat);
    job.opener.save(&place, after.as_bytes(), (over, &job.ctx.idempotency_key), job.brake)?;
    Ok(told(&path, &after, &changed))
}

/// The text with all edits made, and where something is new in it.
fn applied(
    job: &Job<'_>,
    path: &str,
    mut text: String,
    edits: &[Edit],
) -> Result<(String, Vec<Span>), Refusal> {
    if edits.is_empty() || edits.len() > limits::EDITS {
        let (found, most) = (edits.len(), limits::EDITS);
        return Err(Refusal::Misfit(format!("{found} edits; 1 to {most} are made at once")));
    }
    // read_file shows lines without their ends, so a model cannot know that they are two bytes.
    let dos = text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count();
    let ends = |part: &str| {
        if dos { part.replace("\r\n", "\n").replace('\n', "\r\n") } else { part.to_owned() }
    };
    let mut changed: Vec<Span> = Vec::new();
    for (at, Edit { old_text, new_text, all }) in edits.iter().enumerate() {
        job.brake.check()?;
        let (old, new) = (ends(old_text), ends(new_text));
        let misfit = |why: String| {
            let which = if edits.len() == 1 { String::new() } else { format!(" {}", at + 1) };
            Refusal::Misfit(format!("edit{which} does not fit {path}: {why}; nothing was changed"))
        };
        if old.is_empty() {
            return Err(misfit("old_text is empty; write_file makes a new file".to_owned()));
        }
        if old == new {
            return Err(misfit("new_text is the same as old_text".to_owned()));
        }
        let places: Vec<usize> = text.match_indices(&old).map(|(place, _)| place).collect();
        match places.len() {
            0 => return Err(misfit(absent(&text, &old))),
            1 => {}
            _ if *all == Some(true) => {}
            many => {
                let lines: Vec<String> = places
                    .iter()
                    .take(TOLD)
                    .map(|place| line_of(&text, *place).to_string())
                    .collect();
                let more = if many > TOLD { " and more" } else { "" };
                return Err(misfit(format!(
                    "old_text stands there {many} times, in lines {}{more}; take more lines around \
                     the one that is meant, or set `all`",
                    lines.join(", ")
                )));
            }
        }
        let grown = text.len() + places.len() * new.len();
        if grown.saturating_sub(places.len() * old.len()) as u64 > limits::FILE_EDIT_BYTES {
            return Err(misfit(format!("it would exceed {} bytes", limits::FILE_EDIT_BYTES)));
        }
        for (nth, place) in places.iter().enumerate() {
            // Where it comes to stand: each earlier one of this edit has moved it.
            let start = place + nth * new.len() - nth * old.len();
            moved(&mut changed, start, old.len(), new.len());
            changed.push(Span { start, end: start + new.len() });
        }
        text = text.replace(&old, &new);
    }
    Ok((text, changed))
}

/// A stretch of the new text, in bytes.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
}

/// Moves stretches behind a place where `old` bytes become `new` ones.
fn moved(spans: &mut [Span], at: usize, old: usize, new: usize) {
    let shift =
        |place: usize| if place >= at + old { place + new - old } else { place.min(at + new) };
    for span in spans.iter_mut().filter(|span| span.end > at) {
        *span = Span { start: shift(span.start), end: shift(span.end) };
    }
}

fn line_of(text: &str, place: usize) -> usize {
    1 + text.as_bytes().iter().take(place).filter(|byte| **byte == b'\n').count()
}

/// What is said of a text that is not there: where one like it stands, if one does.
fn absent(text: &str, old: &str) -> String {
    let tight = |line: &str| line.split_whitespace().collect::<String>();
    let wanted: Vec<String> = old.lines().map(tight).collect();
    let lines: Vec<String> = text.lines().map(tight).collect();
    let alike = lines.windows(wanted.len().max(1)).position(|lines| lines == wanted);
    if let Some(line) = alike {
        let line = line + 1;
        return format!("old_text is not there; in line {line} it stands with other spaces");
    }
    let first = wanted.iter().find(|line| !line.is_empty());
    match first.and_then(|first| lines.iter().position(|line| line == first)) {
        Some(line) => format!(
            "old_text is not there; its first line stands in line {}, but not what follows it",
            line + 1
        ),
        None => "old_text is not there; read the file again".to_owned(),
    }
}

/// What was changed, with the lines around it.
fn told(path: &str, after: &str, changed: &[Span]) -> String {
    let mut answer = Answer::default();
    let places = if changed.len() == 1 { "place" } else { "places" };
    answer.line(&format!("changed {path} in {} {places}", changed.len()));
    let mut shown: Vec<(usize, usize)> = changed
        .iter()
        .map(|span| {
            let last = line_of(after, span.end.saturating_sub(1).max(span.start));
            (line_of(after, span.start).saturating_sub(AROUND), last + AROUND)
        })
        .collect();
    shown.sort_unstable();
    let mut lines = after.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
    for (from, to) in shown {
        while lines.next_if(|(no, _)| *no < from).is_some() {}
        while let Some((no, line)) = lines.next_if(|(no, _)| *no <= to) {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !answer
                .line(&format!("{no}\t{}", text::short(line, limits::FOUND_LINE_CHARS, line.len())))
            {
                return answer.end(Some("more was changed than is shown".to_owned()));
            }
        }
    }
    answer.end(None)
}
