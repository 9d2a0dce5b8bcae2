//! What a frame does to the read model. Pure, so that the read model can be rebuilt from the logs.

use crate::domain::{
    catalog::{Change, SessionRow},
    event::Event,
    ids::{Position, TenantId},
};

use super::turn::State;

/// The line of a session, from its state after the frame at `position`.
#[must_use]
pub fn row(state: &State, tenant: &TenantId, position: Position) -> Option<SessionRow> {
    let opened = state.opened.as_ref()?;
    // One off the stage has no time of its own, but a cancel on its way down through it goes on.
    let owes = state.quarantined.is_some() && state.is_stopping();
    let wake_at = state.next_wake().or_else(|| owes.then_some(state.updated_at));
    Some(SessionRow {
        session: state.session,
        tenant: tenant.clone(),
        root: opened.lineage.root,
        parent: state.parent(),
        agent: opened.rendered.agent.name.clone(),
        name: state.name.clone(),
        status: state.status(),
        waiting_on: state.waiting_on(),
        wake_at,
        goal: state.goal.clone(),
        restarts: state.restarts,
        created_at: state.created_at,
        updated_at: state.updated_at,
        position,
    })
}

/// The effects of one frame on the read model. `state` is the state after it.
#[must_use]
pub fn changes(
    state: &State,
    tenant: &TenantId,
    position: Position,
    events: &[Event],
) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(row) = row(state, tenant, position) {
        changes.push(Change::Session(Box::new(row)));
    }
    for event in events {
        if let Some(change) = change(state, position, event) {
            changes.push(change);
        }
    }
    // A fork begins with no questions and no bookings: those stay with the log it was cut from. That
    // a call never closes while it is asked about is the fold's to see to.
    if events.iter().any(|event| matches!(event, Event::SessionForked { .. })) {
        changes.retain(|change| matches!(change, Change::Session(_)));
    }
    changes
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most events change only the session's line")]
fn change(state: &State, position: Position, event: &Event) -> Option<Change> {
    match event {
        Event::ApprovalRequested { no, ask } => {
            // Only questions that are still open after the frame belong in the inbox.
            let open = state.approvals.contains_key(no);
            let (no, asked_at) = (*no, state.updated_at);
            open.then(|| Change::ApprovalOpened { no, asked_at, ask: ask.clone() })
        }
        Event::ApprovalDecided { no, .. } | Event::ApprovalClosed { no, .. } => {
            Some(Change::ApprovalClosed { no: *no })
        }
        Event::UsageSettled { call, model, settlement } => {
            let agent = state.agent()?.name.clone();
            let (call, model, settlement) = (*call, model.clone(), *settlement);
            Some(Change::Usage { call, model, agent, settlement })
        }
        Event::InputAccepted { key, .. } => Some(Change::Input { key: key.clone(), at: position }),
        Event::Checkpointed { name, at, value } => {
            Some(Change::Checkpoint { name: name.clone(), at: *at, value: value.clone() })
        }
        _ => None,
    }
}
