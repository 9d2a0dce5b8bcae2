//! What is too large for the log: refused at the door, or cut. A step whose events no frame can hold
//! would stop its session for good, so nothing that a step may write is unbounded.

use std::borrow::Cow;

use crate::{domain::permission::Answer, limits};

use super::input::{Input, Rejected};

/// Refuses what would not fit into an event.
pub(super) fn refuse(input: &Input) -> Result<(), Rejected> {
    let max = limits::INPUT_BYTES;
    let bytes = match input {
        Input::Submitted { key, input } => {
            let stored = serde_json::to_vec(input).map_or(usize::MAX, |bytes| bytes.len());
            stored.saturating_add(key.0.len())
        }
        Input::ApprovalDecided { answer, .. } => match answer {
            Answer::Edit { args } => args.0.len(),
            Answer::Comment { text } | Answer::Revise { feedback: text } => text.len(),
            Answer::Once
            | Answer::Turn
            | Answer::Session
            | Answer::Always
            | Answer::All
            | Answer::Reject
            | Answer::Never => 0,
        },
        Input::Invoked { key, name, args, cwd, .. } => {
            let cwd = cwd.as_ref().map_or(0, String::len);
            key.0.len() + name.0.len() + args.0.len() + cwd
        }
        Input::Checkpointed { name, value, .. } => name.0.len() + value.len(),
        Input::GoalSet { goal } => goal.as_ref().map_or(0, |goal| goal.objective.len()),
        Input::ModelFailed { .. }
        | Input::CancelRequested { .. }
        | Input::Recovered { .. }
        | Input::Opened { .. }
        | Input::ModelFinished { .. }
        | Input::BudgetDecided { .. }
        | Input::SlotGranted { .. }
        | Input::SlotRefused { .. }
        | Input::ToolFinished { .. }
        | Input::ChildFinished { .. }
        | Input::TimerFired
        | Input::Released { .. }
        | Input::Renamed { .. }
        | Input::Archived { .. }
        | Input::BudgetWarned { .. } => 0,
    };
    if bytes > max {
        return Err(Rejected::TooLarge { bytes, max });
    }
    Ok(())
}

/// Cuts what others say. It is repeated in events to come, and nobody can be told to say less.
pub(super) fn cut(input: &mut Input) {
    let words = match input {
        Input::ModelFailed { failure, .. } => Some(&mut failure.message),
        Input::CancelRequested { reason, .. } | Input::SlotRefused { reason, .. } => Some(reason),
        Input::Recovered { panic } => panic.as_mut(),
        Input::Submitted { .. }
        | Input::ApprovalDecided { .. }
        | Input::Invoked { .. }
        | Input::Checkpointed { .. }
        | Input::GoalSet { .. }
        | Input::Opened { .. }
        | Input::ModelFinished { .. }
        | Input::BudgetDecided { .. }
        | Input::SlotGranted { .. }
        | Input::ToolFinished { .. }
        | Input::ChildFinished { .. }
        | Input::TimerFired
        | Input::Released { .. }
        | Input::Renamed { .. }
        | Input::Archived { .. }
        | Input::BudgetWarned { .. } => None,
    };
    if let Some(words) = words
        && words.len() > limits::REASON_BYTES
    {
        *words = clip(words, limits::REASON_BYTES).into_owned();
    }
}

/// The beginning of a text, and how much of it is missing.
pub(super) fn clip(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let kept = text.get(..end).unwrap_or_default();
    Cow::Owned(format!("{kept} [{} more bytes cut]", text.len() - kept.len()))
}
