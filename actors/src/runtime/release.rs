//! Letting a session back that is off the stage, by its own word or by the house's. A session that
//! could say so itself is released by an order; one that the house took off the stage by the
//! house's log, which the session carries out when it next wakes. It refuses to skip a step of a
//! log that nobody can read.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;

use crate::{
    domain::{
        frame::LogId,
        house::HouseEvent,
        ids::{PrincipalId, SessionId},
    },
    limits,
    log::ReadError,
    owned::panic_text,
    policy::turn::{Input, Rejected},
    ports::JournalError,
    session::state_at,
};

use super::{CallError, Runtime, acting::Acting};

impl Acting<'_> {
    /// As `Runtime::release`.
    ///
    /// # Errors
    /// As there.
    pub async fn release(&self, session: SessionId, skip: bool) -> Result<(), CallError> {
        self.runtime.release_for(&self.principal, session, skip).await
    }
}

impl Runtime {
    /// Lets a quarantined session back; with `skip`, the step that failed is closed, not repeated.
    ///
    /// The same release again is the same one.
    ///
    /// # Errors
    /// When it is not quarantined or does not answer, and when a step is to be skipped of a log that
    /// cannot be read.
    pub async fn release(&self, session: SessionId, skip: bool) -> Result<(), CallError> {
        self.acting().release(session, skip).await
    }

    async fn release_for(
        &self,
        by: &PrincipalId,
        session: SessionId,
        skip: bool,
    ) -> Result<(), CallError> {
        self.lets_begin()?;
        let mut damaged = self.inner.seats.damaged();
        if !damaged.borrow().contains_key(&session) {
            match self.on_behalf_of(by.clone()).order(session, Input::Released { skip }).await {
                // The answer to an earlier try may have been lost.
                Err(CallError::Rejected(Rejected::NotQuarantined))
                    if self.house_released(by, session, skip).await? =>
                {
                    return Ok(());
                }
                // No session says so of its own release: the house is writing it down just now.
                Err(CallError::Rejected(Rejected::Quarantined { .. })) => {
                    let known = damaged.wait_for(|all| all.contains_key(&session));
                    drop(self.within(limits::CALL_MS, known).await?);
                }
                other => return other,
            }
        }
        if skip {
            self.has_steps(session).await?;
        }
        let by = by.clone();
        self.record(HouseEvent::Released { session, skip, by }).await?;
        self.inner.seats.board().wake(session);
        Ok(())
    }

    /// Whether a session's log can be read, so that it has a step to be skipped. What the house took
    /// off the stage had a damaged log or died before its first frame, and only the second has one.
    async fn has_steps(&self, session: SessionId) -> Result<(), CallError> {
        let journal = Arc::clone(&self.inner.journal);
        let read = async move {
            let (tail, _) = journal.tail(LogId::session(session)).await?;
            state_at(&journal, session, Some(tail)).await
        };
        // A log that makes the fold panic is as unreadable as one with a damaged row.
        let read = AssertUnwindSafe(read).catch_unwind();
        let panicked = |panic: Box<dyn Any + Send>| {
            let why = format!("folding it panicked: {}", panic_text(panic.as_ref()));
            JournalError::Damaged { log: LogId::session(session), why }.into()
        };
        let read = self.within(limits::CALL_MS, read).await?;
        match read.unwrap_or_else(|panic| Err(panicked(panic))) {
            Ok(_) => Ok(()),
            Err(ReadError::Journal(
                error @ (JournalError::Unavailable { .. } | JournalError::Poisoned { .. }),
            )) => Err(error.into()),
            Err(
                damage @ (ReadError::Journal(JournalError::Damaged { .. })
                | ReadError::Decode(_)
                | ReadError::Short { .. }
                | ReadError::TooManyForks { .. }),
            ) => Err(CallError::CannotSkip { session, damage }),
        }
    }

    /// Whether the house's last word on a session is this very release.
    async fn house_released(
        &self,
        by: &PrincipalId,
        session: SessionId,
        skip: bool,
    ) -> Result<bool, CallError> {
        let words = self.house().await?;
        let last = words.into_iter().rev().find(|event| event.session() == Some(session));
        let by = by.clone();
        Ok(last == Some(HouseEvent::Released { session, skip, by }))
    }
}
