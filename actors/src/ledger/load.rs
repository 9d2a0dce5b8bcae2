//! Reads a tree of grants from its log and reconciles it with the sessions' logs: runs in a task
//! that the ledger owns. Nothing is written here; the ledger records what was found before it
//! answers anybody.
//!
//! What a session's log says about an open grant: closed → it is settled with that; begun → it
//! stays; never begun → it is released if an earlier boot granted it, and stays otherwise, because
//! its session may be about to use it. In doubt it stays: too little room is safer than too much.

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
        ids::{CallId, CallNo, PrincipalId, SessionId, TenantId},
    },
    log::{self, Trouble, Writer},
    policy::{
        budget::{self, Tree},
        replay::{self, Charge},
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
    let mut open: BTreeMap<SessionId, Vec<CallNo>> = BTreeMap::new();
    for (call, _) in tree.open_grants() {
        open.entry(call.session).or_default().push(call.no);
    }
    let mut found = Vec::new();
    for (session, calls) in open {
        let frames = match log::read_all::<Event>(journal, LogId::session(session)).await {
            Ok(frames) => frames,
            Err(error) => match Trouble::from(error) {
                // That session cannot say; its tree goes on without it.
                Trouble::Damaged(why) => {
                    tracing::warn!(%session, why, "grants of a damaged session stay reserved");
                    continue;
                }
                other @ (Trouble::Fenced | Trouble::Unavailable(_) | Trouble::Poisoned(_)) => {
                    return Err(other);
                }
            },
        };
        for no in calls {
            let call = CallId { session, no };
            let events = frames.iter().flat_map(|frame| &frame.events);
            let (actual, last) = match replay::charge(events, no) {
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
