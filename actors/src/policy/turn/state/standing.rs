//! How a session stands: what it is doing, what it waits on, when it must be woken.

use crate::domain::{catalog::Status, event::FailureKind, ids::Timestamp, permission::Subject};

use super::{
    super::{builtin, pending::wants_model},
    Stage, State, ToolCall, Turn,
};

impl State {
    /// When something falls due although nobody speaks to the session.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.quarantined.is_some() {
            return None;
        }
        let expiries = self.approvals.values().map(|ask| ask.expires_at);
        let turn = self.turn.iter().filter(|turn| turn.cancel.is_none());
        let turn = turn.flat_map(|turn| [Some(turn.deadline), turn.retry_at]).flatten();
        let waits = self.calls.values().filter_map(|call| match &call.stage {
            Stage::Started { deadline, .. } if builtin::is_builtin(&call.name) => Some(*deadline),
            Stage::Started { .. }
            | Stage::Wanted
            | Stage::Asking { .. }
            | Stage::Approved { .. } => None,
        });
        expiries.chain(turn).chain(waits).min()
    }

    /// What it is doing, in one word.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.quarantined.is_some() {
            return Status::Quarantined;
        }
        let asking = |call: &ToolCall| matches!(call.stage, Stage::Asking { .. });
        let working =
            self.turn.as_ref().is_some_and(|turn| turn.calling.is_some() || turn.cancel.is_some());
        // Without a budget such a call is begun at once, so this one waits for the ledger.
        let working = working
            || wants_model(self)
            || self.live_children() > 0
            || self.is_stopping()
            || self.calls.values().any(|call| !asking(call))
            || (self.turn.is_none() && !self.queue.is_empty());
        if working {
            Status::Running
        } else if !self.calls.is_empty() || self.turn.is_some() {
            Status::Waiting
        } else if self.archived {
            Status::Archived
        } else {
            Status::Idle
        }
    }

    /// What it waits on, in words.
    #[must_use]
    pub fn waiting_on(&self) -> Option<String> {
        if let Some(reason) = &self.quarantined {
            return Some(format!("release: {reason}"));
        }
        if let Some(ask) = self.approvals.values().next() {
            let more = self.approvals.len() - 1;
            let what = match &ask.subject {
                Subject::ToolCall { request, .. } => request.tool.as_str(),
                Subject::Plan { .. } => "a plan",
                Subject::Budget { .. } => "more budget",
                Subject::Question { .. } => "a question",
            };
            let more = if more > 0 { format!(", {more} more") } else { String::new() };
            return Some(format!("approval of {what}{more}"));
        }
        let turn = self.turn.as_ref();
        if let Some(turn) = turn
            && turn.calling.is_some()
        {
            return Some(format!("model {}", turn.model));
        }
        if let Some(call) = self.calls.values().next() {
            return Some(format!("tool {}", call.name));
        }
        if self.live_children() > 0 {
            let live = self.live_children();
            return Some(format!("{live} {}", if live == 1 { "child" } else { "children" }));
        }
        if self.is_stopping() {
            return Some("the end of what is being cancelled".to_owned());
        }
        turn.map(|turn| match turn.retry_at {
            Some(at) => turn.awaits(at),
            None => "budget".to_owned(),
        })
    }
}

impl Turn {
    /// What a call that is made again waits for.
    fn awaits(&self, at: Timestamp) -> String {
        let (model, at) = (&self.model, at.utc());
        match self.trouble {
            Some(FailureKind::RateLimited) => format!("rate limit of {model}, until {at}"),
            Some(FailureKind::Overloaded) => format!("overload of {model}, until {at}"),
            Some(
                FailureKind::Auth
                | FailureKind::Quota
                | FailureKind::BadRequest
                | FailureKind::Transport
                | FailureKind::EndedEarly
                | FailureKind::TimedOut
                | FailureKind::Malformed
                | FailureKind::Aborted
                | FailureKind::Lost,
            )
            | None => "a retry".to_owned(),
        }
    }
}
