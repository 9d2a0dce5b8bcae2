//! The kill switch. It is a record of the house, so it holds for whoever asks, a program that embeds
//! this as well as a face of it, and for the next runtime on the store: nothing begins until somebody
//! lifts it. What only stops or mends goes on.
//!
//! First it is said to all, then what is at work is cancelled: so whoever had taken an input before has it
//! among what is cancelled, and whoever takes one later refuses it. Sessions cancel themselves as soon as
//! they notice; the orders from here are for those that hear nothing else, and count them.
//!
//! It refuses to bring anything back: what was cancelled stays so when the switch is lifted.

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use crate::{
    domain::{
        catalog::{SessionFilter, Status},
        event::CancelTarget,
        house::{Halt, HouseEvent},
    },
    limits,
    policy::{jobs::cut, turn::Rejected},
};

use super::{CallError, Reading, Runtime, acting::Acting};

/// What came of stopping everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halted {
    /// Sessions with work in hand whose cancel is in their logs.
    pub cancelled: usize,
    /// Those whose cancel could not be written yet. Each cancels itself as soon as it can; the same call
    /// again says how far that is.
    pub failed: usize,
}

impl Acting<'_> {
    /// As `Runtime::halt`.
    ///
    /// # Errors
    /// As there.
    pub async fn halt(&self, reason: &str) -> Result<Halted, CallError> {
        let runtime = self.runtime;
        let mut reason = reason.to_owned();
        runtime.inner.options.scrub.text(&mut reason);
        cut(&mut reason, limits::REASON_BYTES);
        let by = self.principal.clone();
        runtime.record(HouseEvent::Halted { reason: reason.clone(), by }).await?;
        // Each that works by itself too: a cancel then need not find its way down the tree first.
        let status = vec![Status::Running, Status::Waiting];
        let filter = SessionFilter { status, ..SessionFilter::default() };
        let rows = runtime.reading().all_sessions(filter).await?;
        let mut halted = Halted::default();
        let (mut orders, mut left) = (FuturesUnordered::new(), rows.iter());
        loop {
            while orders.len() < limits::HALT_CANCELS
                && let Some(row) = left.next()
            {
                orders.push(self.cancel(row.session, CancelTarget::Everything, &reason));
            }
            match orders.next().await {
                Some(Ok(())) => halted.cancelled += 1,
                Some(Err(_not_written)) => halted.failed += 1,
                None => return Ok(halted),
            }
        }
    }

    /// As `Runtime::unhalt`.
    ///
    /// # Errors
    /// As there.
    pub async fn unhalt(&self) -> Result<(), CallError> {
        self.runtime.record(HouseEvent::Unhalted { by: self.principal.clone() }).await
    }
}

impl Runtime {
    /// Stops everything: what is at work is cancelled, trees and all, and nothing begins before
    /// `unhalt`, here or in the next runtime on the store. No session is opened, no input is taken, no
    /// call begins and no job; questions can be answered with no.
    ///
    /// # Errors
    /// When it cannot be written in time. Then it is in force here all the same, and is written when it
    /// can be.
    pub async fn halt(&self, reason: &str) -> Result<Halted, CallError> {
        self.acting().halt(reason).await
    }

    /// Lets new work begin again.
    ///
    /// # Errors
    /// When it cannot be written; then nothing begins yet.
    pub async fn unhalt(&self) -> Result<(), CallError> {
        self.acting().unhalt().await
    }

    /// Why nothing may begin, where somebody stopped everything.
    #[must_use]
    pub fn halted(&self) -> Option<Halt> {
        self.inner.seats.halt().borrow().as_deref().cloned()
    }

    /// Asked by what begins something without a session's own word.
    pub(super) fn lets_begin(&self) -> Result<(), Rejected> {
        let halted = |halt: Halt| Err(Rejected::Halted { reason: halt.reason });
        self.halted().map_or(Ok(()), halted)
    }
}

impl Reading {
    /// Why nothing may begin in this store, where somebody stopped everything: by the house's log.
    ///
    /// # Errors
    /// As `house`.
    pub async fn halted(&self) -> Result<Option<Halt>, CallError> {
        let words = self.house().await?;
        Ok(words.iter().rev().find_map(HouseEvent::halt).flatten())
    }
}
