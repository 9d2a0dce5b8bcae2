//! What is too large for the log: refused at the door, or cut. A step whose events no frame can hold
//! would stop its session for good, so nothing that a step may write is unbounded.

use std::borrow::Cow;

use crate::{
    domain::{
        ids::InputKey,
        permission::{Answer, Verdict},
    },
    limits,
};

use super::input::{Input, Rejected};

/// Refuses what would not fit into an event, and cuts what others say: that is repeated in events
/// to come, and nobody can be told to say less.
pub(super) fn fit(input: &mut Input) -> Result<(), Rejected> {
    match input {
        Input::Submitted { key, input } => {
            key_fits(key)?;
            let stored = serde_json::to_vec(input).map_or(usize::MAX, |bytes| bytes.len());
            fits(stored.saturating_add(key.0.len()))
        }
        Input::ApprovalDecided { answer, .. } => fits(answer_bytes(answer)),
        Input::Invoked { key, name, args, cwd, .. } => {
            key_fits(key)?;
            let cwd = cwd.as_ref().map_or(0, String::len);
            fits(key.0.len() + name.0.len() + args.0.len() + cwd)
        }
        Input::Checkpointed { name, value, .. } => fits(name.0.len() + value.len()),
        Input::GoalSet { goal } => fits(goal.as_ref().map_or(0, |goal| goal.objective.len())),
        Input::ModelFailed { failure, .. } => cut(&mut failure.message),
        Input::CancelRequested { reason, .. } | Input::SlotRefused { reason, .. } => cut(reason),
        Input::Recovered { panic } => panic.as_mut().map_or(Ok(()), cut),
        Input::Readmitted { release } => cut(&mut release.reason),
        Input::Opened { .. }
        | Input::ModelFinished { .. }
        | Input::BudgetDecided { .. }
        | Input::SlotGranted { .. }
        | Input::ToolFinished { .. }
        | Input::ChildFinished { .. }
        | Input::TimerFired
        | Input::Released { .. }
        | Input::Renamed { .. }
        | Input::Archived { .. }
        | Input::BudgetWarned { .. } => Ok(()),
    }
}

const fn fits(bytes: usize) -> Result<(), Rejected> {
    let max = limits::INPUT_BYTES;
    if bytes > max { Err(Rejected::TooLarge { bytes, max }) } else { Ok(()) }
}

fn key_fits(key: &InputKey) -> Result<(), Rejected> {
    if key.0.len() <= limits::KEY_BYTES {
        return Ok(());
    }
    let what = format!("a key has at most {} bytes, this one {}", limits::KEY_BYTES, key.0.len());
    Err(Rejected::BadValue { what })
}

const fn answer_bytes(answer: &Answer) -> usize {
    match answer {
        Answer::Edit { args } => args.0.len(),
        Answer::Comment { text } | Answer::Revise { feedback: text } => text.len(),
        Answer::Once
        | Answer::Turn
        | Answer::Session
        | Answer::Always
        | Answer::All
        | Answer::Reject
        | Answer::Never => 0,
    }
}

fn cut(words: &mut String) -> Result<(), Rejected> {
    if words.len() > limits::REASON_BYTES {
        *words = clip(words, limits::REASON_BYTES).into_owned();
    }
    Ok(())
}

/// A verdict in at most some `room` bytes of a stored event. A rule that is cut would be another
/// rule, so a proposal is kept whole or not at all; of the reasons the first count most.
pub(super) fn shorten(verdict: Verdict, room: usize) -> Verdict {
    let Verdict { decision, reasons, proposal } = verdict;
    let proposal = proposal.filter(|proposal| stored(proposal) <= room / 2);
    let mut left = room - proposal.as_deref().map_or(0, stored);
    let mut kept = Vec::new();
    for reason in reasons {
        // Less would say nothing; one is always said.
        if left < limits::REASON_BYTES_MIN && !kept.is_empty() {
            break;
        }
        let reason = clip_stored(&reason, left).into_owned();
        left = left.saturating_sub(stored(&reason));
        kept.push(reason);
    }
    Verdict { decision, reasons: kept, proposal }
}

/// Bytes that a text takes in an event, with quotes and escapes.
pub(super) fn stored(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX, |stored| stored.len())
}

/// As much of a text as fits into some `max` bytes of a stored event.
pub(super) fn clip_stored(text: &str, max: usize) -> Cow<'_, str> {
    let mut keep = max;
    loop {
        let kept = clip(text, keep);
        if stored(&kept) <= max || keep == 0 {
            return kept;
        }
        keep /= 2;
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
