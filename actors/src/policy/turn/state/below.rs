//! What is at work below a session, as far as its log knows: agents that have not ended, and what
//! agents off the stage may have left at work.

use crate::domain::{
    event::UserInput,
    ids::{ToolCallNo, TurnId},
};

use super::{State, Task};

impl Task {
    /// One that has just been assigned.
    pub(in crate::policy::turn) const fn new(
        call: ToolCallNo,
        turn: Option<TurnId>,
        input: UserInput,
    ) -> Self {
        Self { call, turn, input, report: None, told: false, cancel: None, stopped: false }
    }

    /// Whether anything of it may be at work: it has not ended, or only by a quarantine, below
    /// which others go on until a cancel has reached them.
    #[must_use]
    pub fn may_work(&self) -> bool {
        !self.stopped && self.report.as_ref().is_none_or(|report| !report.outcome.is_over())
    }

    /// Whether it is being stopped.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.cancel.is_some() && self.may_work()
    }
}

impl State {
    /// What was assigned to whom.
    pub fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.children.values().flat_map(|child| child.assignments.values())
    }

    /// Whether anything below may be at work.
    #[must_use]
    pub fn works_below(&self) -> bool {
        self.tasks().any(Task::may_work)
    }

    /// Whether anything below is being stopped.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.tasks().any(Task::is_stopping)
    }
}
