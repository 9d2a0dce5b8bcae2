//! `write_file`: a file as a whole, in place at once or not at all.

use greenroom_actors::{
    domain::tool::{Output, ToolOutcome},
    limits,
    ports::{Probe, ToolCtx},
};
use schemars::JsonSchema;
use serde::Deserialize;

use std::io::Read as _;

use crate::typed::TypedTool;

use super::{
    Files, Job,
    refusal::Refusal,
    save::{Over, Saved},
};

/// What to write where.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The file, relative to the workspace. Folders above it are made where they are missing.
    path: String,
    /// All that the file is to contain.
    content: String,
    /// Whether a file that is there already may be replaced. Default: false.
    replace: Option<bool>,
}

pub(super) fn tool(files: &Files) -> TypedTool<Args> {
    let description = "Writes a text file as a whole. To change a part of a file use edit_file.";
    let asked = files.clone();
    files.tool("write_file", description, write).probe(move |ctx: ToolCtx, args: Args| {
        let files = asked.clone();
        async move {
            let probed = files.run(ctx, move |job| Ok(probe(job, &args))).await;
            probed.unwrap_or(Probe::Unknown)
        }
    })
}

fn write(job: &Job<'_>, args: Args) -> Result<String, Refusal> {
    let place = job.opener.place(job.ctx.cwd.as_deref(), &args.path)?;
    let over = if args.replace == Some(true) { Over::Anything } else { Over::Nothing };
    let key = job.ctx.idempotency_key.as_str();
    let saved = job.opener.save(&place, args.content.as_bytes(), (over, key), job.brake)?;
    Ok(told(&job.opener.shown(&place), &args.content, saved))
}

fn told(path: &str, content: &str, saved: Saved) -> String {
    let verb = match saved {
        Saved::Created => "created",
        Saved::Replaced => "replaced",
    };
    format!("{verb} {path}: {} lines, {} bytes", content.lines().count(), content.len())
}

/// Whether a call that was cut off happened: the file says so itself when it holds just that.
fn probe(job: &Job<'_>, args: &Args) -> Probe {
    let Ok(place) = job.opener.place(job.ctx.cwd.as_deref(), &args.path) else {
        return Probe::Unknown;
    };
    if job.opener.was_cut_off(&place, &job.ctx.idempotency_key) {
        return Probe::DidNot;
    }
    let Ok((file, _)) = job.opener.file(&place) else { return Probe::Unknown };
    let mut found = Vec::new();
    let most = args.content.len() as u64 + 1;
    match file.take(most.min(limits::FILE_READ_BYTES)).read_to_end(&mut found) {
        Ok(_) if found == args.content.as_bytes() => {
            let output =
                Output::text(told(&job.opener.shown(&place), &args.content, Saved::Replaced));
            Probe::Happened(ToolOutcome::Done { output })
        }
        // Somebody may have written since, so that neither is certain.
        Ok(_) | Err(_) => Probe::Unknown,
    }
}
