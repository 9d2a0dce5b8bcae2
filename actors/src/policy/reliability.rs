//! Whether a tool works: how its latest runs went, and until when its calls are asked about because
//! they failed. The record is folded from the log alone, so it is the same after a crash; time is
//! that of the frames.
//!
//! ```text
//!              enough of the latest runs failed
//!   trusted ───────────────────────────────────▶ raised: a person answers each call
//!      ▲                                           │    ▲
//!      │ so many in a row worked                   │    │ it fails again while
//!      ├───────────────────────────────────────────┤    │ the others still count
//!      │                                           ▼    │
//!      └───────────────────────────────────── time ran out
//! ```
//!
//! A wall may be set back. Then what is remembered lies ahead of it, and would count for as long as the wall
//! takes to come there again: so with the first frame that is earlier than the one before it, runs are taken
//! to have ended then, and what is raised ends as late after it as it would have after its last failure. Set
//! forwards, it ends when the wall says so. Whoever sets a wall back again and again is asked as often.
//!
//! It refuses to judge what never ran, and it raises only: it allows nothing that rules do not. A run
//! that was let through before the last failure shows nothing about the tool after it: otherwise one
//! reply with failing and with slow calls would raise a tool and have it back, and nobody was asked.

use std::collections::{BTreeSet, VecDeque};

use crate::domain::{
    agent::Reliability,
    ids::{Timestamp, ToolCallNo, ToolName},
    permission::Raised,
};

/// How one tool did lately. Without failures there is nothing to remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When its latest runs ended and whether they failed, oldest first.
    runs: VecDeque<(Timestamp, bool)>,
    /// Runs in a row that worked.
    good: u32,
    /// Calls that were let through when it last failed, and had not ended.
    before: BTreeSet<ToolCallNo>,
    raise: Option<Raise>,
}

/// Why it is asked about, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raise {
    /// So many runs failed.
    pub failed: u32,
    /// Of so many.
    pub of: u32,
    /// Until when.
    pub until: Timestamp,
    /// But no longer than this from any moment on, wherever the wall was put meanwhile.
    pub lasts_ms: u64,
}

impl Raise {
    /// The same as it is at a moment.
    fn seen(self, at: Timestamp) -> Self {
        Self { until: self.until.min(at.plus_ms(self.lasts_ms)), ..self }
    }
}

impl Record {
    /// What a parent knows of a tool when it starts an agent, in a log that begins at this moment.
    #[must_use]
    pub fn inherited(raised: &Raised, at: Timestamp) -> Self {
        let Raised { failed, of, until, .. } = *raised;
        let raise = Raise { failed, of, until, lasts_ms: until.since_ms(at) };
        Self { raise: Some(raise), ..Self::default() }
    }

    /// The wall was set back, and a frame has this time.
    pub fn set_back(&mut self, at: Timestamp) {
        for (ended, _) in &mut self.runs {
            *ended = (*ended).min(at);
        }
        self.raise = self.raise.map(|raise| raise.seen(at));
    }

    /// Another run has ended, while these calls of the same tool are let through and have not.
    pub fn note(
        &mut self,
        rules: &Reliability,
        (call, failed): (ToolCallNo, bool),
        beside: impl IntoIterator<Item = ToolCallNo>,
        at: Timestamp,
    ) {
        self.runs.push_back((at, failed));
        if failed {
            self.good = 0;
            self.before = beside.into_iter().collect();
        } else if !self.before.remove(&call) {
            self.good = self.good.saturating_add(1);
        }
        if self.good >= rules.successes.max(1) {
            *self = Self::default();
            return;
        }
        let is_old = |run: &(Timestamp, bool)| at.since_ms(run.0) > rules.window_ms;
        while self.runs.len() > rules.runs as usize || self.runs.front().is_some_and(is_old) {
            self.runs.pop_front();
        }
        if failed && rules.failures > 0 {
            let count = |runs: usize| u32::try_from(runs).unwrap_or(u32::MAX);
            let fails = count(self.runs.iter().filter(|(_, failed)| *failed).count());
            if fails >= rules.failures {
                let until = at.plus_ms(rules.raised_ms);
                let (of, lasts_ms) = (count(self.runs.len()), rules.raised_ms);
                self.raise = Some(Raise { failed: fails, of, until, lasts_ms });
            }
        }
    }

    /// Whether it is asked about now.
    #[must_use]
    pub fn raised(&self, now: Timestamp) -> Option<Raise> {
        self.raise.map(|raise| raise.seen(now)).filter(|raise| now < raise.until)
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a call is asked about, for people and for the model.
#[must_use]
pub fn words(tool: &ToolName, raise: &Raise, successes: u32) -> String {
    let Raise { failed, of, until, lasts_ms: _ } = raise;
    let until = until.utc();
    format!(
        "{tool} failed {failed} of its last {of} runs, so a person is asked about each call until {until}, or until {successes} in a row have worked"
    )
}

#[cfg(test)]
mod tests;
