//! What channels still hold of questions that were closed while nobody listened: it is found and
//! cleared away, and only where this house asked them. Several houses may share a channel, such as a
//! folder that a user's settings name; whose a question is, its session says, for that is in one
//! house's store and no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use greenroom_actors::{Runtime, domain::ids::ApprovalId, runtime::CallError};

use crate::channels::Channel;

/// Clears one channel up.
pub(super) async fn settle(runtime: Runtime, channel: Arc<dyn Channel>) {
    // Before what is open is read: what a channel has by now was open by then at the latest, so that it
    // is closed if it is not open afterwards, however many are asked meanwhile.
    let left = channel.left().await;
    match closed(&runtime, left).await {
        Ok(closed) if closed.is_empty() => {}
        Ok(closed) => channel.forget(closed).await,
        // It is looked at again by the next house.
        Err(error) => {
            let channel = channel.name();
            tracing::warn!(channel, %error, "closed questions stay with their channel");
        }
    }
}

/// Those of them that this house asked and that are not open.
async fn closed(runtime: &Runtime, left: Vec<ApprovalId>) -> Result<Vec<ApprovalId>, CallError> {
    if left.is_empty() {
        return Ok(left);
    }
    let open = runtime.approvals(None).await?;
    let open: BTreeSet<ApprovalId> = open.into_iter().map(|row| row.id).collect();
    let (reading, mut known) = (runtime.reading(), BTreeMap::new());
    let mut closed = Vec::new();
    for id in left.into_iter().filter(|id| !open.contains(id)) {
        let is_own = match known.get(&id.session) {
            Some(is_own) => *is_own,
            None => reading.session(id.session).await?.is_some(),
        };
        known.insert(id.session, is_own);
        closed.extend(is_own.then_some(id));
    }
    Ok(closed)
}
