//! Ends of assignments that a session does not hold in memory any more. A parent that asks for one
//! hears what the log says, and never a guess: a task that the session owns reads it and sends the
//! report. It refuses to try twice; should it fail, the parent asks again.

use std::sync::Arc;

use crate::{
    domain::{
        event::Event,
        frame::LogId,
        ids::{Assignment, SessionId, TurnId},
        outcome::{ChildOutcome, ChildReport, TurnOutcome},
    },
    limits, log,
    owned::Owned,
    protocol::session::Mail,
};

use super::{house::House, live::Live};

impl Live {
    /// Tells the parent how an assignment ended, as the log says.
    pub(super) fn report_from_log(
        &mut self,
        parent: SessionId,
        assignment: Assignment,
        turn: TurnId,
    ) {
        self.old_ends.retain(|_, task| !task.is_finished());
        if self.old_ends.contains_key(&assignment) {
            return;
        }
        let (house, child, usage) = (Arc::clone(&self.house), self.id(), self.state.usage);
        let task = Owned::spawn(async move {
            let Some(outcome) = end_of(&house, child, turn).await else { return };
            let outcome = ChildOutcome::Turn { outcome };
            let report = Box::new(ChildReport { outcome, usage });
            house.board.mail(parent, Mail::Report { child, assignment, report });
        });
        self.old_ends.insert(assignment, task);
    }
}

async fn end_of(house: &House, session: SessionId, turn: TurnId) -> Option<TurnOutcome> {
    let late = house.clock.after(limits::LOAD_MS);
    let last = log::last(&house.journal, LogId::session(session), |event| {
        let Event::TurnFinished { turn: ended, outcome } = event else { return None };
        (ended == turn).then_some(outcome)
    });
    let read = tokio::select! {
        biased;
        last = last => last.map_err(|error| error.to_string()),
        () = late => Err("reading the log took too long".to_owned()),
    };
    read.unwrap_or_else(|why| {
        tracing::warn!(%session, %turn, why, "an old end cannot be looked up");
        None
    })
}
