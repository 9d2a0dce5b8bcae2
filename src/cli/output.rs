//! `greenroom output`: what one tool call gave back, whole, for a person or a pipe. It reads the log
//! and the blob that the log names, beside a running runtime, and changes nothing.

use clap::Args;
use greenroom_actors::domain::{
    event::Event,
    ids::Position,
    tool::{Output, ToolOutcome},
};

use crate::{app, config::Settings};

use super::{CliError, Done, OnStore, look, screen::Screen};

/// `greenroom output`.
#[derive(Args, Debug)]
pub(super) struct OutputArgs {
    /// An id, its beginning or its end, or an agent's name: whatever fits one session only
    session: String,
    /// The call, as `greenroom log` names it, such as t3
    call: String,
    #[command(flatten)]
    on: OnStore,
}

pub(super) async fn run(args: &OutputArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.on.path(settings);
    let reading = app::look(&store)?;
    let session = look::find(&reading, &args.session, &store).await?;
    let frames = reading.read(session, Position(0)).await?;
    let events = frames.into_iter().flat_map(|frame| frame.events);
    let mut found = None;
    for event in events {
        if let Event::ToolFinished { call, outcome } = event
            && [format!("t{call}"), call.to_string()].contains(&args.call)
        {
            found = Some(outcome);
        }
    }
    let output = found.as_ref().map(ToolOutcome::told);
    let call = args.call.clone();
    let (output, _failed) = output.ok_or(CliError::NoOutput { call, session, store })?;
    let text = match output {
        Output::Text { text } => text,
        Output::Stored { blob, .. } => {
            let bytes = blob.bytes;
            let kept = reading.blob(blob).await?;
            let lost = || CliError::LostOutput { call: args.call.clone(), bytes };
            String::from_utf8_lossy(&kept.ok_or_else(lost)?).into_owned()
        }
    };
    Screen::print(app::plain(text.strip_suffix('\n').unwrap_or(&text)).as_str())?;
    Ok(Done::Well)
}
