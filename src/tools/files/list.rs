//! `list_files`: what is in a folder and below it, one path a line.

use greenroom_actors::{domain::tool::EffectClass, limits};
use rustix::fs::FileType;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::typed::TypedTool;

use super::{
    Files, Job, glob,
    refusal::Refusal,
    text::Answer,
    walk::{Go, Manner, Missed, walk},
};

/// What to list.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The folder, relative to the workspace; `.` is the workspace itself.
    path: String,
    /// Only files that match, such as `*.rs` or `src/**/*.md`; a glob with a slash is relative to
    /// `path`. Default: everything.
    glob: Option<String>,
    /// How many folders deep to look. Default: all the way down.
    #[schemars(range(min = 1))]
    depth: Option<usize>,
    /// Whether to list what .gitignore leaves out as well. Default: false.
    ignored: Option<bool>,
}

pub(super) fn tool(files: &Files) -> TypedTool<Args> {
    let description = "Lists files and folders (with a slash at their end), sorted by path, without \
                       those that .gitignore leaves out and without .git.";
    files.tool("list_files", description, list).effect(EffectClass::Pure)
}

fn list(job: &Job<'_>, args: Args) -> Result<String, Refusal> {
    let place = job.opener.place(job.ctx.cwd.as_deref(), &args.path)?;
    let wanted = args.glob.as_deref().map(glob).transpose()?;
    let all = args.ignored == Some(true);
    let depth = args.depth.map_or(usize::MAX, |depth| depth.saturating_sub(1));
    let (mut answer, mut count, mut more) = (Answer::default(), 0, false);
    let missed = walk(
        job.opener,
        &place,
        Manner { sight: &job.ctx.sight, all, depth },
        job.brake,
        &mut |entry| {
            let below = entry.below(&place);
            let is_folder = entry.kind == FileType::Directory;
            match &wanted {
                // With a glob only what it names is asked for, not the folders on the way.
                Some(wanted) if is_folder || !wanted.is_match(&below) => return Ok(Go::On),
                Some(_) | None => {}
            }
            let mark = match entry.kind {
                FileType::Directory => "/",
                FileType::RegularFile => "",
                FileType::Symlink => " (link)",
                FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => " (no file)",
            };
            let mark = if entry.place.is_none() { " (name is not UTF-8)" } else { mark };
            more = count == limits::FILES_LISTED || !answer.line(&format!("{}{mark}", entry.path));
            count += 1;
            Ok(if more { Go::End } else { Go::On })
        },
    )?;
    let shown = job.opener.shown(&place);
    if answer.is_empty() {
        let what = if wanted.is_some() { "nothing that matches" } else { "nothing" };
        return Ok(format!("[{what} in {shown}{}]", notes(&missed, None)));
    }
    let more = more.then_some("there is more: give a folder, a glob or a depth");
    let notes = notes(&missed, more);
    Ok(answer.end((!notes.is_empty()).then(|| notes.trim_start_matches("; ").to_owned())))
}

/// What a walk has to say of itself.
pub(super) fn notes(missed: &Missed, more: Option<&str>) -> String {
    let mut notes = String::new();
    if let Some(more) = more {
        notes.push_str("; ");
        notes.push_str(more);
    }
    if missed.kept > 0 {
        notes.push_str(&format!("; {} entries are kept by rules", missed.kept));
    }
    if missed.folders > 0 {
        notes.push_str(&format!("; {} folders could not be looked into", missed.folders));
    }
    if missed.cut {
        notes.push_str("; not everything was looked at: there is too much of it");
    }
    notes
}
