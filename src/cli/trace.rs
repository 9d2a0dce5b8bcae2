//! `greenroom trace`: a stored session as the trace of it would be, line by line on stdout.

use std::path::PathBuf;

use clap::Args;
use greenroom_actors::domain::ids::Position;

use crate::{
    app,
    config::Settings,
    telemetry::trace::{Level, Moment, Scribe},
};

use super::{CliError, Done, OnStore, look, screen::Screen};

/// `greenroom trace`.
#[derive(Args, Debug)]
pub(super) struct TraceArgs {
    /// An id, its beginning or its end, or an agent's name: whatever fits one session only
    session: String,
    /// With every prompt, argument, result and answer, as the log has them
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    on: OnStore,
}

/// Where the commands that run agents write traces.
#[derive(Args, Debug)]
pub(super) struct TraceTo {
    /// Write a trace of each session into this folder: JSON lines, with every content taken out
    #[arg(long, value_name = "DIR")]
    trace_dir: Option<PathBuf>,
    /// Traces with every prompt, argument, result and answer in them
    #[arg(long, requires = "trace_dir")]
    trace_full: bool,
}

impl TraceTo {
    pub(super) fn wanted(&self) -> Option<(PathBuf, Level)> {
        let level = if self.trace_full { Level::Full } else { Level::Redacted };
        self.trace_dir.clone().map(|folder| (folder, level))
    }
}

pub(super) async fn run(args: &TraceArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.on.path(settings);
    let reading = app::look(&store)?;
    let session = look::find(&reading, &args.session, &store).await?;
    let frames = reading.read(session, Position(0)).await?;
    let level = if args.full { Level::Full } else { Level::Redacted };
    let scribe = Scribe::new(level, settings.environment.secrets.clone());
    let first = frames.first().map(|frame| frame.events.as_slice()).unwrap_or_default();
    let (mut link, mut text) = scribe.header(session, first)?;
    for frame in &frames {
        let moment = Moment::read(&frame.envelope, &frame.events);
        let (next, line) = scribe.line(&link, &moment)?;
        link = next;
        text.push_str(&line);
    }
    Screen::print(text.trim_end())?;
    Ok(Done::Well)
}
