//! The last model step of a stored session, made once more: the request as the log had it, to its byte but
//! for the time it may take, and what was answered then. Nothing of it is written: the log is what happened,
//! and this did not happen in it. What the call costs is real, and nobody books it.

use std::sync::Arc;

use futures_util::StreamExt as _;

use crate::{
    domain::{
        agent::ModelChoice,
        conversation::{Reply, ReplyBlock},
        event::{Event, FailureKind, ModelFailure},
        house::Halt,
        ids::{Position, SessionId, Timestamp},
    },
    limits,
    policy::turn::{Rejected, prompt},
    ports::{Clock, ModelEvent, ModelProvider, ModelRequest},
    session::{restored, state_at, unpacked},
};

use super::{CallError, Reading};

/// The last step of a session that a model answered.
#[derive(Clone, Debug)]
pub struct LastStep {
    /// The frame that holds the answer.
    pub at: Position,
    /// Which model was asked, and where.
    pub choice: ModelChoice,
    /// What it was asked.
    pub request: ModelRequest,
    /// What it answered.
    pub reply: Reply,
}

/// Why a step could not be made again.
#[derive(Debug, thiserror::Error)]
pub enum LastStepError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] CallError),
    /// There is none.
    #[error("no model has answered in {session} itself; there is no last step")]
    None {
        /// Which session.
        session: SessionId,
    },
    /// A part of it is not kept any more, or the model did not answer.
    #[error("{}", .0.message)]
    Failed(ModelFailure),
}

impl Reading {
    /// The last model step of a session, as its log has it, to be asked once more.
    ///
    /// # Errors
    /// When no model has answered in it, or it cannot be read whole; and while everything is stopped, for
    /// then no model is asked.
    pub async fn last_step(
        &self,
        session: SessionId,
        now: Timestamp,
    ) -> Result<LastStep, LastStepError> {
        if let Some(Halt { reason, .. }) = self.halted().await? {
            return Err(CallError::from(Rejected::Halted { reason }).into());
        }
        let none = || LastStepError::None { session };
        let frames = self.read(session, Position(0)).await?;
        let answered = frames.into_iter().rev().find_map(|frame| {
            let answer = frame.events.into_iter().rev().find_map(|event| {
                let Event::ModelCallFinished { call, reply } = event else { return None };
                Some((call, *reply))
            });
            answer.map(|(call, reply)| (frame.envelope.position, call, reply))
        });
        let (at, call, mut reply) = answered.ok_or_else(none)?;
        let before = Position(at.0.saturating_sub(1));
        let state = state_at(self.journal(), session, Some(before)).await;
        let state = state.map_err(CallError::from)?;
        let choice = state.turn.as_ref().map(|turn| turn.choice()).ok_or_else(none)?;
        let mut request = prompt::request(&state, call, now).ok_or_else(none)?;
        // The turn's time is long over; this step has its own.
        let model_ms = state.agent().map_or(limits::MODEL_MS, |agent| agent.limits.model_ms);
        request.deadline = now.plus_ms(model_ms);
        unpacked(self.blobs(), &mut request).await.map_err(LastStepError::Failed)?;
        for block in &mut reply.blocks {
            if let ReplyBlock::Said { block } = block {
                restored(self.blobs(), block).await.map_err(LastStepError::Failed)?;
            }
        }
        Ok(LastStep { at, choice, request, reply })
    }
}

impl LastStep {
    /// The same question to another model.
    #[must_use]
    pub fn on(mut self, choice: ModelChoice) -> Self {
        self.request.model = choice.model.clone();
        self.choice = choice;
        self
    }

    /// Asks once more.
    ///
    /// # Errors
    /// When it is not answered in time, or not whole.
    pub async fn ask(
        &self,
        provider: &Arc<dyn ModelProvider>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Reply, LastStepError> {
        let failed = |kind, message: &str| {
            LastStepError::Failed(ModelFailure::new(kind, message.to_owned(), true))
        };
        let mut stream = provider.call(self.request.clone());
        let answered = async {
            while let Some(event) = stream.next().await {
                if let ModelEvent::Finished { reply } = event.map_err(LastStepError::Failed)? {
                    return Ok(*reply);
                }
            }
            Err(failed(FailureKind::EndedEarly, "the stream ended before the model had finished"))
        };
        tokio::select! {
            biased;
            answered = answered => answered,
            () = clock.sleep_until(self.request.deadline) => {
                Err(failed(FailureKind::TimedOut, "the model call's time ran out"))
            }
        }
    }
}
