//! Children as their parent's state knows them: what each was assigned, how that ended, and whether
//! anything below may still be at work.

use std::{collections::BTreeMap, sync::Arc};

use crate::domain::{
    event::{Creation, UserInput},
    ids::{AgentName, Assignment, ToolCallNo, TurnId},
    outcome::ChildReport,
};

use super::State;

/// A child.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its agent.
    pub agent: AgentName,
    /// All that is needed to create it; none once a turn of its has ended, for then it exists.
    pub creation: Option<Arc<Creation>>,
    /// What it was assigned.
    pub assignments: BTreeMap<Assignment, Task>,
}

/// One assignment of a child.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The call that assigned it.
    pub call: ToolCallNo,
    /// The turn that call belongs to; none where the host assigned it.
    pub turn: Option<TurnId>,
    /// What is to be done; none once it has ended.
    pub input: Option<Box<UserInput>>,
    /// How it ended.
    pub report: Option<ChildReport>,
    /// Whether the model has read that.
    pub told: bool,
    /// Why it is being cancelled.
    pub cancel: Option<String>,
    /// Whether that cancel has gone through a quarantined child to its end.
    pub stopped: bool,
}

impl Task {
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

impl Child {
    /// The open assignment, if there is one; the latest if there are several.
    #[must_use]
    pub fn open(&self) -> Option<(Assignment, &Task)> {
        self.assignments
            .iter()
            .rev()
            .find(|(_, task)| task.report.is_none())
            .map(|(no, task)| (*no, task))
    }
}

impl State {
    /// Children with an open assignment.
    #[must_use]
    pub fn live_children(&self) -> usize {
        self.children.values().filter(|child| child.open().is_some()).count()
    }

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
