//! `greenroom replay`: a run taken again from its frames, without model or tool. Each frame is held
//! against what the machine would have written; the first that differs is named, and the exit code is 1.
//! The run is one of a store, or one of a trace. `last` is the only part that asks a model.

mod last;

use std::path::PathBuf;

use clap::Args;
use greenroom_actors::{
    domain::ids::{Position, SessionId},
    limits,
    runtime::{Altered, LastStepError, Replay, ReplayError, Sums},
};
use serde::Serialize;

use crate::{
    app,
    config::Settings,
    telemetry::trace::{Trace, TraceError},
};

use super::{
    CliError, Common, Done, look,
    screen::{Screen, counted, grouped},
};

/// `greenroom replay`.
#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// An id, its beginning or its end, or an agent's name: whatever fits one session only
    #[arg(required_unless_present = "trace", conflicts_with = "trace")]
    session: Option<String>,
    /// A trace in place of a stored session; of a fork, with the trace of its base beside it
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Make only the last model step again, on a live model; it costs money, and is
    /// written and booked nowhere
    #[arg(long = "final", conflicts_with = "trace")]
    last: bool,
    /// With --final: the agents file whose models answer [default: as set]
    #[arg(long, value_name = "FILE", requires = "last")]
    agents: Option<PathBuf>,
    /// With --final: another model
    #[arg(long, value_name = "NAME", requires = "last")]
    model: Option<String>,
    /// With --model: who serves it [default: who served the step]
    #[arg(long, value_name = "NAME", requires = "model")]
    provider: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Why a run was not taken again to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// It differs.
    #[error(transparent)]
    Altered(#[from] Altered),
    /// Its trace cannot be read, or was changed.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// What it goes on from.
    #[error("replay {session}: it goes on from frame {at} of {base}, whose trace ends at {last}")]
    ShortBase { session: SessionId, base: SessionId, at: Position, last: Position },
    /// Its last step.
    #[error("make the last step again")]
    Last(#[from] LastStepError),
    /// Nobody can be asked.
    #[error("make the last step again: no provider of the agents file serves {0}")]
    NotServed(String),
    /// A fork of a fork of a fork …
    #[error("replay {}: more than {} forks of forks", .0.display(), limits::FORK_DEPTH)]
    TooManyForks(PathBuf),
}

/// What came of it.
#[derive(Serialize)]
struct Verdict<'a> {
    session: SessionId,
    /// Whether each frame is what the machine would have written, or can follow at least.
    holds: bool,
    /// `steps`, or `order` for a trace whose content was taken out.
    checked: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sums: Option<Sums>,
}

pub(super) async fn run(args: ReplayArgs, settings: &Settings) -> Result<Done, CliError> {
    if args.last {
        return last::run(args, settings).await;
    }
    let (session, is_whole, replayed) = match args.trace {
        Some(path) => {
            let trace = Trace::open(&path).map_err(Broken::from)?;
            if trace.torn {
                Screen::remark("the trace ends within a line; that line is left out");
            }
            (trace.header.session, !trace.is_redacted(), traced(&trace, None, 0))
        }
        None => {
            let store = args.common.store(settings);
            let reading = app::look(&store)?;
            let text = args.session.unwrap_or_default();
            let session = look::find(&reading, &text, &store).await?;
            let replayed = match reading.replay(session).await {
                Ok(replay) => Ok(replay),
                Err(ReplayError::Altered(altered)) => Err(Broken::Altered(altered)),
                Err(ReplayError::Read(error)) => return Err(error.into()),
                Err(ReplayError::TooManyForks { .. }) => Err(Broken::TooManyForks(store)),
            };
            (session, true, replayed)
        }
    };
    told(args.common.json, (session, is_whole), replayed.map(|replay| replay.sums()))
}

/// Takes a trace again, behind what it was forked from.
fn traced(trace: &Trace, upto: Option<Position>, depth: u32) -> Result<Replay, Broken> {
    let session = trace.header.session;
    let mut replay = Replay::new(session);
    if trace.is_redacted() {
        replay = replay.redacted();
    }
    if let Some(point) = trace.header.fork {
        let path = trace.beside(point.session);
        if depth >= limits::FORK_DEPTH {
            return Err(Broken::TooManyForks(path));
        }
        let base = traced(&Trace::open(&path)?, Some(point.at), depth + 1)?;
        let (last, at) = (base.position(), point.at);
        if last != at {
            return Err(Broken::ShortBase { session, base: point.session, at, last });
        }
        replay = base.fork(session);
    }
    for told in trace.frames() {
        let told = told?;
        if upto.is_some_and(|upto| told.position > upto) {
            break;
        }
        replay.frame(told.position, &told.events, told.at)?;
    }
    Ok(replay)
}

fn told(
    is_json: bool,
    (session, is_whole): (SessionId, bool),
    replayed: Result<Sums, Broken>,
) -> Result<Done, CliError> {
    let checked = if is_whole { "steps" } else { "order" };
    let sums = match replayed {
        Ok(sums) => sums,
        Err(broken) if !is_json => return Err(broken.into()),
        Err(broken) => {
            let why = crate::telemetry::chain(&broken);
            let (frame, event) = match &broken {
                Broken::Altered(altered) => (Some(altered.position), Some(altered.event)),
                Broken::Trace(_)
                | Broken::ShortBase { .. }
                | Broken::Last(_)
                | Broken::NotServed(_)
                | Broken::TooManyForks(_) => (None, None),
            };
            let why = Some(why.as_str());
            let result = Verdict { session, holds: false, checked, frame, event, why, sums: None };
            Screen::print(&serde_json::to_string_pretty(&result)?)?;
            return Ok(Done::Badly);
        }
    };
    let text = if is_json {
        let (frame, event, why) = (None, None, None);
        let sums = Some(sums);
        let result = Verdict { session, holds: true, checked, frame, event, why, sums };
        serde_json::to_string_pretty(&result)?
    } else {
        in_words(session, is_whole, &sums)
    };
    Screen::print(&text)?;
    Ok(Done::Well)
}

fn in_words(session: SessionId, is_whole: bool, sums: &Sums) -> String {
    let what = if is_whole {
        "each of them what the machine would have written"
    } else {
        "each of them can follow the one before; what was decided on is not in a redacted trace"
    };
    let usage = &sums.usage;
    let unsettled = match sums.unsettled_tokens_max {
        0 => String::new(),
        tokens => format!(", and at most {} in calls that broke off", grouped(tokens)),
    };
    format!(
        "{session}: {}, {what}\n{}, {}, {}\n{} tokens in, {} out{unsettled}; {}",
        counted(sums.frames, "frame"),
        counted(sums.turns, "turn"),
        counted(sums.model_calls, "model call"),
        counted(sums.tool_calls, "tool call"),
        grouped(usage.input + usage.cache_read + usage.cache_write),
        grouped(usage.output),
        sums.cost,
    )
}
