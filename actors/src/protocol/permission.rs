//! Permission as sessions and faces see it: it keeps the rules of the house and publishes them as
//! a snapshot; sessions decide by that snapshot, and faces hear of questions through it.

use std::{collections::BTreeMap, sync::Arc};

use ractor::ActorRef;
use tokio::sync::{oneshot, watch};

use super::address::Singleton;
use crate::{
    domain::{
        house::{Halt, HouseEvent, Readmission},
        ids::{Position, PrincipalId, SessionId},
        permission::Rule,
    },
    log::Trouble,
    policy::rules::Layers,
};

/// The address; clones share it.
#[derive(Clone, Debug)]
pub struct PermissionHandle(pub(crate) Singleton<PermissionMsg>);

/// What permission and the house log are told.
#[derive(Debug)]
pub(crate) enum PermissionMsg {
    /// Somebody answered for every session: the rule is durable before it holds.
    Remember { rule: Rule, by: PrincipalId },
    /// The configured rules are now these.
    Configure { layers: Box<Layers>, reply: oneshot::Sender<Result<(), String>> },
    /// Write something into the house log.
    Record { event: Box<HouseEvent>, reply: Option<oneshot::Sender<Result<(), String>>> },
    /// The house log was read, or not.
    Loaded { result: Result<Box<HouseLoaded>, Trouble> },
    /// Its frame was written, or not.
    Appended { result: Result<Position, Trouble> },
    /// Time to try again.
    Retry,
}

/// The house log, claimed and folded.
#[derive(Clone, Debug)]
pub(crate) struct HouseLoaded {
    pub(crate) writer: crate::log::Writer,
    pub(crate) fold: HouseFold,
    /// The log's last record: whether what was being written when the answer was lost is there.
    pub(crate) last: Option<HouseEvent>,
}

/// What the house log says.
#[derive(Clone, Debug, Default)]
pub(crate) struct HouseFold {
    /// Rules that stand for every session.
    pub(crate) standing: Vec<Rule>,
    /// Sessions off the stage whose own log cannot say so, and why.
    pub(crate) quarantined: BTreeMap<SessionId, String>,
    /// Sessions let back without the step that failed, until they are off the stage again.
    pub(crate) readmitted: BTreeMap<SessionId, Readmission>,
    /// How often a runtime has started here.
    pub(crate) boots: u64,
    /// Prices last in force.
    pub(crate) prices: Vec<crate::domain::usage::DatedPrice>,
    /// Roots of trees that were deleted; false where that is not known to be done. They stay here, so that
    /// none comes back under its id.
    pub(crate) deleted: Arc<BTreeMap<SessionId, bool>>,
    /// Why nothing may begin, where somebody stopped everything.
    pub(crate) halt: Option<Halt>,
}

impl HouseFold {
    /// Folds one event of the frame at `at`.
    pub(crate) fn apply(&mut self, event: &HouseEvent, at: Position) {
        match event {
            HouseEvent::Booted { .. } => self.boots += 1,
            HouseEvent::PricesSet { prices } => self.prices.clone_from(prices),
            HouseEvent::RuleStanding { rule, .. } => self.standing.push(rule.clone()),
            HouseEvent::Quarantined { session, reason } => {
                self.quarantined.insert(*session, reason.clone());
                self.readmitted.remove(session);
            }
            HouseEvent::Released { session, skip, by } => {
                if let Some(reason) = self.quarantined.remove(session)
                    && *skip
                {
                    let release = Readmission { at, reason, by: by.clone() };
                    self.readmitted.insert(*session, release);
                }
            }
            HouseEvent::Deleting { root, .. } => {
                Arc::make_mut(&mut self.deleted).insert(*root, false);
            }
            HouseEvent::Deleted { root } => {
                Arc::make_mut(&mut self.deleted).insert(*root, true);
                // Nothing is left that could be off the stage.
                self.quarantined.remove(root);
                self.readmitted.remove(root);
            }
            HouseEvent::Kept { root, .. } => {
                Arc::make_mut(&mut self.deleted).remove(root);
            }
            HouseEvent::Halted { reason, by } => {
                self.halt = Some(Halt { reason: reason.clone(), by: by.clone() });
            }
            HouseEvent::Unhalted { .. } => self.halt = None,
        }
    }
}

impl PermissionHandle {
    /// The address and the end through which the supervisor names the actor.
    #[must_use]
    pub(crate) fn channel() -> (watch::Sender<Option<ActorRef<PermissionMsg>>>, Self) {
        let (seat, permission) = Singleton::channel();
        (seat, Self(permission))
    }

    /// Keeps a rule for every session.
    pub(crate) fn remember(&self, rule: Rule, by: PrincipalId) {
        // Lost only if permission is starting again at this moment; the session keeps its own copy
        // of the rule and says it again when it is next recovered.
        let _ = self.0.cast(PermissionMsg::Remember { rule, by });
    }

    /// Writes into the house log; nobody waits.
    pub(crate) fn record(&self, event: HouseEvent) {
        let _ = self.0.cast(PermissionMsg::Record { event: Box::new(event), reply: None });
    }
}
