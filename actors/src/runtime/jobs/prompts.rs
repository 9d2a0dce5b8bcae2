//! Prompts of jobs, each attempt a turn in a session of its own. Session and key are derived from job and
//! attempt: run again after a crash it is the same turn, which goes on or has its outcome already.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::{
    domain::{
        event::{CancelTarget, UserInput},
        ids::{SessionId, TurnId},
        job::{AttemptEnd, JobText},
        outcome::TurnOutcome,
    },
    limits,
    policy::{
        jobs::cut,
        turn::{Input, Rejected},
    },
    ports::{Blobs, JournalError},
    protocol::{
        jobs::{Attempt, Prompts},
        session::{Answer, Request},
    },
    runtime::{Deps, Reading, Scrub, acting::root_of_a_tree},
    session::house::House,
};

/// Prompts in sessions of the house.
#[derive(Clone)]
pub(super) struct InSessions {
    house: Arc<House>,
    scrub: Scrub,
}

/// A text as a job keeps it: a large one beside its log.
pub(super) async fn kept(blobs: &Arc<dyn Blobs>, text: String) -> Result<JobText, JournalError> {
    if text.len() <= limits::INLINE_BYTES {
        return Ok(JobText::Inline { text });
    }
    let mut preview = text.clone();
    cut(&mut preview, limits::PREVIEW_BYTES);
    let blob = blobs.put(text.into_bytes()).await?;
    Ok(JobText::Stored { blob, preview })
}

impl Prompts for InSessions {
    fn run(&self, attempt: Attempt) -> BoxFuture<'static, AttemptEnd> {
        let this = self.clone();
        Box::pin(async move {
            match attempt.stop.clone() {
                Some(reason) => this.stop(&attempt, reason).await,
                None => this.go_on(&attempt).await,
            }
        })
    }
}

impl InSessions {
    pub(super) const fn new(house: Arc<House>, scrub: Scrub) -> Self {
        Self { house, scrub }
    }

    async fn go_on(&self, attempt: &Attempt) -> AttemptEnd {
        let known = self.house.tables.borrow().agents.get(&attempt.agent).cloned();
        let opened = match known {
            Some(rendered) => {
                let creation = root_of_a_tree(attempt.session, rendered);
                self.ask(attempt.session, |reply| Request::Open {
                    creation: Box::new(creation.clone()),
                    fork: None,
                    tenant: attempt.tenant.clone(),
                    principal: attempt.by.clone(),
                    reply,
                })
                .await
            }
            // What began before goes on with what it pinned.
            None => Err(Rejected::Exists),
        };
        match opened {
            Ok(()) | Err(Rejected::Exists) => {}
            Err(rejected) => return failed(&rejected),
        }
        let mut input = UserInput::text(&attempt.prompt);
        self.scrub.input(&mut input);
        let submitted = self
            .ask(attempt.session, |reply| Request::Submit {
                key: attempt.key.clone(),
                input: Box::new(input.clone()),
                principal: attempt.by.clone(),
                reply,
            })
            .await;
        match submitted {
            Ok(()) => self.outcome(attempt).await,
            Err(Rejected::NotOpened) => {
                let error = format!("no agent {} is registered", attempt.agent);
                AttemptEnd::Failed { error, again: true }
            }
            Err(rejected) => failed(&rejected),
        }
    }

    /// Cancels the turn and waits until nothing of it is at work.
    async fn stop(&self, attempt: &Attempt, reason: String) -> AttemptEnd {
        let target = CancelTarget::Everything;
        let input = Input::CancelRequested { target, reason: reason.clone() };
        let cancelled = self
            .ask(attempt.session, |reply| Request::Order {
                input: Box::new(input.clone()),
                principal: attempt.by.clone(),
                reply,
            })
            .await;
        match cancelled {
            Ok(()) => match self.outcome(attempt).await {
                // Its prompt never came to it, and now nobody says it.
                AttemptEnd::Failed { .. } => AttemptEnd::Cancelled { reason },
                end @ (AttemptEnd::Completed { .. } | AttemptEnd::Cancelled { .. }) => end,
            },
            // It had not begun, or it is off the stage: nothing of it is at work.
            Err(_) => AttemptEnd::Cancelled { reason },
        }
    }

    async fn outcome(&self, attempt: &Attempt) -> AttemptEnd {
        let make = |reply| Request::Outcome { key: attempt.key.clone(), reply };
        let outcome = match self.ask::<(TurnId, TurnOutcome)>(attempt.session, make).await {
            Ok((_, outcome)) => outcome,
            Err(Rejected::TurnInLog { turn }) => match self.in_log(attempt.session, turn).await {
                Some(outcome) => outcome,
                None => return failed(&Rejected::TurnInLog { turn }),
            },
            Err(rejected) => return failed(&rejected),
        };
        match outcome {
            TurnOutcome::Completed { text, .. } => {
                AttemptEnd::Completed { result: Some(self.keep(text).await) }
            }
            TurnOutcome::Failed { reason } | TurnOutcome::BudgetExhausted { reason } => {
                AttemptEnd::Failed { error: reason, again: true }
            }
            TurnOutcome::Cancelled { reason } => AttemptEnd::Cancelled { reason },
        }
    }

    /// Keeps a text; a store that is away is waited for.
    async fn keep(&self, text: String) -> JobText {
        loop {
            match kept(&self.house.blobs, text.clone()).await {
                Ok(kept) => return kept,
                Err(error) => {
                    tracing::warn!(%error, "keep a job's result");
                    self.house.clock.after(limits::SUSPEND_MS).await;
                }
            }
        }
    }

    async fn in_log(&self, session: SessionId, turn: TurnId) -> Option<TurnOutcome> {
        let House { journal, catalog, blobs, clock, .. } = &*self.house;
        let deps = Deps {
            journal: Arc::clone(journal),
            catalog: Arc::clone(catalog),
            blobs: Arc::clone(blobs),
            clock: Arc::clone(clock),
        };
        Reading::new(&deps).turn_end(session, turn).await.ok()?
    }

    /// Asks a session until it answers. There is no time limit here: the job has one, and stops this.
    async fn ask<T: Send>(
        &self,
        session: SessionId,
        make: impl Fn(Answer<T>) -> Request + Send + Sync,
    ) -> Result<T, Rejected> {
        loop {
            let (reply, answer) = oneshot::channel();
            self.house.board.request(session, make(reply));
            let again_ms = match answer.await {
                // Both pass, and neither is a failure of the attempt.
                Ok(Err(Rejected::Busy | Rejected::Halted { .. })) => limits::SUSPEND_MS,
                Ok(answer) => return answer,
                Err(_gone) => limits::ASK_AGAIN_MS,
            };
            self.house.clock.after(again_ms).await;
        }
    }
}

fn failed(rejected: &Rejected) -> AttemptEnd {
    AttemptEnd::Failed { error: rejected.to_string(), again: true }
}
