//! Reads a tree of grants from its log and reconciles it with the sessions' logs: runs in a task
//! that the ledger owns. Nothing is written here; the ledger records what was found before it
//! answers anybody.
//!
//! What a session's log says about an open grant: closed → it is settled with that; begun → it
//! stays; never begun → it is released if an earlier boot granted it, and stays otherwise, because
//! its session may be about to use it. In doubt it stays: too little room is safer than too much.
//!
//! A session whose log is damaged says nothing behind the damage. Its calls come to their bounds
//! then, which a late figure may still replace. A place among the living is free when the agent that
//! holds it has ended by its own log, or never came into being. Only one case is not known: a further
//! task for an agent, recorded behind the damage, looks like one that was never given.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::warnings;
use crate::{
    domain::{
        budget::Amount,
        event::Event,
        frame::LogId,
        grant::GrantEvent,
        ids::{Assignment, CallId, CallNo, PrincipalId, SessionId, TenantId},
    },
    log::{self, Trouble, Writer},
    policy::{
        budget::{self, Tree},
        replay::{Charge, Charges, Errand},
    },
    ports::Journal,
    protocol::ledger::Loaded,
};

/// What a boot leaves in the envelope of each frame it writes.
pub(super) fn boot_mark(boot: u64) -> String {
    format!("boot/{boot}")
}

fn boot_of(mark: Option<&str>) -> Option<u64> {
    mark?.strip_prefix("boot/")?.parse().ok()
}

/// Claims and reads the tree under `root`.
pub(super) async fn load(
    journal: Arc<dyn Journal>,
    root: SessionId,
    boot: u64,
) -> Result<Box<Loaded>, Trouble> {
    let log = LogId::ledger(root);
    let claim = journal.claim(log).await?;
    let mut tree = Tree::default();
    let mut granted_in = HashMap::new();
    let verifier = log::read(&journal, log, Some(claim.tail), |frame: log::Decoded<GrantEvent>| {
        let boot = boot_of(frame.envelope.caused_by.as_deref());
        for event in &frame.events {
            // Of open grants only, so that what is remembered does not grow with the log.
            match event {
                GrantEvent::Granted { call, .. } => drop(granted_in.insert(*call, boot)),
                GrantEvent::Settled { call, .. } => drop(granted_in.remove(call)),
            }
            // What of its warnings nobody was told is found out below.
            drop(tree.apply(event));
        }
        Ok(())
    })
    .await?;
    if verifier.chain() != claim.chain {
        return Err(Trouble::Damaged(format!("{log}: its chain is not the one that was claimed")));
    }
    let earlier = |call: &CallId| {
        granted_in.get(call).copied().flatten().is_some_and(|granted| granted < boot)
    };
    let reconciled = reconcile(&journal, &tree, earlier).await?;
    let untold = warnings::untold(&journal, &tree).await?;
    // The ledger writes for the house, whoever's tree it is; sessions carry tenants.
    let (tenant, principal) = (TenantId::from("house"), PrincipalId::from("ledger"));
    let writer = Writer::new(log, claim, tenant, principal);
    Ok(Box::new(Loaded { writer, tree, reconciled, untold }))
}

async fn reconcile(
    journal: &Arc<dyn Journal>,
    tree: &Tree,
    earlier: impl Fn(&CallId) -> bool,
) -> Result<Vec<GrantEvent>, Trouble> {
    let mut open: BTreeMap<SessionId, Vec<(CallNo, Amount)>> = BTreeMap::new();
    for (call, grant) in tree.open_grants() {
        open.entry(call.session).or_default().push((call.no, grant.bound));
    }
    let mut found = Vec::new();
    for (session, calls) in open {
        let mut charges = Charges::of(calls.iter().map(|(no, _)| *no));
        let whole = read(journal, session, |event| charges.note(event)).await?;
        for (no, bound) in calls {
            let call = CallId { session, no };
            let charge = match charges.charge(no) {
                Charge::Never | Charge::Open if !whole => {
                    lost(journal, (call, bound), charges.task(no)).await?
                }
                charge @ (Charge::Never | Charge::Open | Charge::Closed { .. }) => charge,
            };
            let (actual, last) = match charge {
                Charge::Closed { actual, last } => (actual, last),
                // Its session may still begin it, and asks again then.
                Charge::Never if earlier(&call) => (Amount::default(), false),
                Charge::Never | Charge::Open => continue,
            };
            found.extend(budget::settle(tree, call, actual, last));
        }
    }
    Ok(found)
}

/// Reads what verifies of a session's log; whether that is all of it.
async fn read(
    journal: &Arc<dyn Journal>,
    session: SessionId,
    mut each: impl FnMut(&Event),
) -> Result<bool, Trouble> {
    let frames = log::read::<Event>(journal, LogId::session(session), None, |frame| {
        frame.events.iter().for_each(&mut each);
        Ok(())
    });
    match frames.await.map_err(Trouble::from) {
        Ok(_) => Ok(true),
        Err(Trouble::Damaged(why)) => {
            tracing::warn!(%session, why, "grants of a damaged session are settled without it");
            Ok(false)
        }
        Err(other @ (Trouble::Fenced | Trouble::Unavailable(_) | Trouble::Poisoned(_))) => {
            Err(other)
        }
    }
}

/// What a call comes to of which its session's log says no more, because it is damaged.
async fn lost(
    journal: &Arc<dyn Journal>,
    (call, bound): (CallId, Amount),
    task: Option<(SessionId, Assignment)>,
) -> Result<Charge, Trouble> {
    let assigns = match call.no {
        CallNo::Tool(no) if bound.agents > 0 => Some(no),
        CallNo::Tool(_) | CallNo::Model(_) => None,
    };
    let Some(no) = assigns else {
        // A figure that comes late, should somebody mend the log, replaces the bound.
        return Ok(Charge::Closed { actual: bound, last: false });
    };
    let (child, assignment) =
        task.unwrap_or((SessionId::child_of(call.session, no), Assignment(1)));
    let mut errand = Errand::of(assignment);
    let whole = read(journal, child, |event| errand.note(event)).await?;
    Ok(match errand.charge() {
        // Nobody can read it, so nobody works on it.
        Charge::Never | Charge::Open if !whole => {
            let actual = Amount { tool_calls: bound.tool_calls, ..Amount::default() };
            Charge::Closed { actual, last: true }
        }
        charge @ (Charge::Never | Charge::Open | Charge::Closed { .. }) => charge,
    })
}
