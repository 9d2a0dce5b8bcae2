//! What comes in through a session's doors, and what its askers are told.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::{
    domain::{
        event::{CancelTarget, Creation},
        ids::{InputKey, PrincipalId, TenantId, TurnId},
        outcome::{ChildOutcome, ChildReport, TurnOutcome},
        tool::ToolOutcome,
    },
    policy::turn::{Input, Rejected, prompt},
    protocol::session::{Answer, Mail, Request},
};

use super::live::{Answering, Job, Live, Work};

impl Live {
    pub(super) fn push(&mut self, work: Work) {
        self.queue.push_back(Job::Step(work));
    }

    pub(super) fn request(&mut self, request: Request, permit: OwnedSemaphorePermit) {
        let permit = Some(permit);
        let (input, by, caused_by, answer) = match request {
            Request::Open { creation, fork, tenant, principal, reply } => {
                if self.state.opened.is_none() || fork.is_some() {
                    self.writer.tenant = tenant;
                    self.writer.principal = principal.clone();
                }
                let input = Input::Opened { creation, fork };
                (input, principal, None, Answering::Unit(reply))
            }
            Request::Submit { key, input, principal, reply } => {
                let cause = Some(key.0.clone());
                let input = Input::Submitted { key, input };
                (input, principal, cause, Answering::Unit(reply))
            }
            Request::Order { input, principal, reply } => {
                (*input, principal, None, Answering::Unit(reply))
            }
            Request::Checkpoint { name, value, principal, reply } => {
                let input = Input::Checkpointed { name, at: self.writer.tail, value };
                (input, principal, None, Answering::Position(reply))
            }
            Request::Outcome { key, reply } => {
                return self.queue.push_back(Job::Outcome { key, reply });
            }
            Request::CallOutcome { key, reply } => {
                return self.queue.push_back(Job::Call { key, reply });
            }
        };
        self.push(Work { input, by, caused_by, answer, permit });
    }

    pub(super) fn wait_outcome(&mut self, key: InputKey, reply: Answer<(TurnId, TurnOutcome)>) {
        let answer = match self.state.inputs.get(&key) {
            _ if self.state.opened.is_none() => Err(Rejected::NotOpened),
            None => {
                let what = format!("no input {key} was accepted; submit it first");
                Err(Rejected::BadValue { what })
            }
            Some(Some(turn))
                if self.state.has_ended(*turn) && !self.state.outcomes.contains_key(turn) =>
            {
                Err(Rejected::TurnInLog { turn: *turn })
            }
            Some(turn) => {
                let ended = turn.and_then(|turn| Some((turn, self.state.outcomes.get(&turn)?)));
                match (ended, &self.state.quarantined) {
                    (Some((turn, outcome)), _) => Ok((turn, outcome.clone())),
                    (None, Some(reason)) => Err(Rejected::Quarantined { reason: reason.clone() }),
                    (None, None) => {
                        return self.waiters.entry(key).or_default().push(reply);
                    }
                }
            }
        };
        drop(reply.send(answer));
    }

    pub(super) fn wait_call(&mut self, key: InputKey, reply: Answer<ToolOutcome>) {
        let known = self.state.host_calls.get(&key).map(|call| (call.call, call.outcome.clone()));
        match known {
            Some((_, Some(outcome))) => drop(reply.send(Ok(outcome))),
            Some((call, None)) if !self.state.calls.contains_key(&call) => {
                drop(reply.send(Err(Rejected::CallInLog { call })));
            }
            Some((_, None)) => self.call_waiters.entry(key).or_default().push(reply),
            None => {
                let what = format!("no tool call {key} was asked for; invoke it first");
                drop(reply.send(Err(Rejected::BadValue { what })));
            }
        }
    }

    pub(super) fn mail(&mut self, mail: Mail, permit: OwnedSemaphorePermit) {
        let answer = Answering::Nobody;
        match mail {
            Mail::Assign { creation, parent, assignment, input, tenant, principal } => {
                // Its parent is being stopped as well, and comes again with a cancel.
                if self.state.opened.is_none() && self.house.halt.borrow().is_some() {
                    return;
                }
                self.exist(creation, tenant, &principal);
                let key = prompt::assignment_key(parent, assignment);
                let cause = Some(key.0.clone());
                let input = Input::Submitted { key, input };
                let answer = Answering::Parent(assignment);
                let permit = Some(permit);
                let by = principal;
                self.push(Work { input, by, caused_by: cause, answer, permit });
            }
            Mail::Cancel { creation, assignment, reason, tenant, principal, .. } => {
                self.exist(creation, tenant, &principal);
                let target = CancelTarget::Assignment { no: assignment };
                let input = Input::CancelRequested { target, reason };
                let permit = Some(permit);
                let by = principal;
                self.push(Work { input, by, caused_by: None, answer, permit });
            }
            Mail::Report { child, assignment, report } => {
                let input = Input::ChildFinished { child, assignment, report: *report };
                let by = self.writer.principal.clone();
                let permit = Some(permit);
                self.push(Work { input, by, caused_by: None, answer, permit });
            }
        }
    }

    /// Comes into being, if this is the first that is heard of it.
    pub(super) fn exist(
        &mut self,
        creation: Option<Arc<Creation>>,
        tenant: TenantId,
        principal: &PrincipalId,
    ) {
        let coming = |job: &Job| match job {
            Job::Step(work) => matches!(work.input, Input::Opened { .. }),
            Job::Outcome { .. } | Job::Call { .. } => false,
        };
        if let Some(creation) = creation
            && self.state.opened.is_none()
            && !self.queue.iter().any(coming)
        {
            self.writer.tenant = tenant;
            self.writer.principal = principal.clone();
            let creation = Box::new(creation.as_ref().clone());
            self.enqueue(Input::Opened { creation, fork: None });
        }
    }

    pub(super) fn answer(&mut self, answer: Answering) {
        // Whoever asked may have given up; the log does not care.
        match answer {
            Answering::Nobody | Answering::Parent(_) => {}
            Answering::Unit(reply) => drop(reply.send(Ok(()))),
            Answering::Position(reply) => drop(reply.send(Ok(self.writer.tail))),
        }
    }

    pub(super) fn refuse(&mut self, answer: Answering, rejected: Rejected) {
        match answer {
            Answering::Nobody => {}
            Answering::Unit(reply) => drop(reply.send(Err(rejected))),
            Answering::Position(reply) => drop(reply.send(Err(rejected))),
            Answering::Parent(assignment) => {
                let Some(parent) = self.state.parent() else { return };
                let outcome = match rejected {
                    Rejected::Quarantined { reason } => {
                        ChildOutcome::Quarantined { reason, stopped: false }
                    }
                    // Both pass; the parent's sweep brings the assignment again.
                    Rejected::Busy | Rejected::Halted { .. } => return,
                    other @ (Rejected::NotQuarantined
                    | Rejected::Gone
                    | Rejected::Archived
                    | Rejected::NotOpened
                    | Rejected::Exists
                    | Rejected::Full { .. }
                    | Rejected::TurnInLog { .. }
                    | Rejected::CallInLog { .. }
                    | Rejected::TooLarge { .. }
                    | Rejected::NoSuchApproval { .. }
                    | Rejected::Expired { .. }
                    | Rejected::NoSuchChild { .. }
                    | Rejected::BadValue { .. }) => ChildOutcome::Turn {
                        outcome: TurnOutcome::Failed { reason: other.to_string() },
                    },
                };
                let report = Box::new(ChildReport { outcome, usage: self.state.usage });
                let child = self.state.session;
                self.house.board.mail(parent, Mail::Report { child, assignment, report });
            }
        }
    }

    pub(super) fn has_waiters(&mut self) -> bool {
        self.waiters.retain(|_, waiters| waiters.iter().any(|reply| !reply.is_closed()));
        self.call_waiters.retain(|_, waiters| waiters.iter().any(|reply| !reply.is_closed()));
        !self.waiters.is_empty() || !self.call_waiters.is_empty()
    }

    pub(super) fn finished(&mut self, turn: TurnId, key: &InputKey, outcome: &TurnOutcome) {
        for reply in self.waiters.remove(key).unwrap_or_default() {
            drop(reply.send(Ok((turn, outcome.clone()))));
        }
    }

    pub(super) fn call_finished(&mut self, key: &InputKey, outcome: &ToolOutcome) {
        for reply in self.call_waiters.remove(key).unwrap_or_default() {
            drop(reply.send(Ok(outcome.clone())));
        }
    }

    pub(super) fn off_stage(&mut self, reason: &str) {
        let refused = || Rejected::Quarantined { reason: reason.to_owned() };
        for reply in std::mem::take(&mut self.waiters).into_values().flatten() {
            drop(reply.send(Err(refused())));
        }
        for reply in std::mem::take(&mut self.call_waiters).into_values().flatten() {
            drop(reply.send(Err(refused())));
        }
        // Its own log says so; the house keeps only those whose log cannot, and would go on refusing
        // for this one after its release.
        tracing::error!(session = %self.state.session, %reason, "session quarantined");
    }
}
