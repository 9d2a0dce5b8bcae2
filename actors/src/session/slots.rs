//! Slots of tool pools: taken, waited for, and held by one call each. Before the machine hears of a slot
//! the files that the call would run are looked at, in a task, for that is reading a disk.

use crate::{
    domain::{
        ids::{CallId, CallNo, PoolKind, ToolCallNo},
        permission::ScriptSeen,
    },
    owned::{Ended, Owned},
    policy::{
        rules,
        turn::{Input, State, state::Stage},
    },
    protocol::{
        address::{ReplyTo, tell},
        lease::Lease,
        session::SessionMsg,
    },
};

use super::live::Live;

impl Live {
    pub(super) fn acquire(&mut self, call: ToolCallNo, pool: &PoolKind, reserve: bool) {
        self.wait_bounded(call);
        if reserve && !self.granted.contains(&call) {
            return self.reserve(CallNo::Tool(call));
        }
        // Held already: for a call of a reply that has to be looked at before anybody is asked.
        if let Some(lease) = self.leases.remove(&call) {
            return self.slot(call, Ok(lease), None);
        }
        let tables = self.tables();
        let Some(slots) = tables.pools.get(pool) else {
            let reason = format!("no pool of kind {pool} exists in this runtime");
            return self.enqueue(Input::SlotRefused { call, reason });
        };
        if let Some(lease) = slots.try_take() {
            return self.slot(call, Ok(lease), None);
        }
        let myself = self.myself.clone();
        let reply = ReplyTo::new(move |granted: crate::protocol::tool_pool::Granted| {
            let slot = Ok(granted.lease);
            // A session that has gone drops the slot with the message.
            tell(&myself, SessionMsg::Slot { call, slot, seen: None });
        });
        let id = CallId::tool(self.id(), call);
        match slots.request(self.id(), id, self.writer.token, reply) {
            Ok(()) | Err(crate::protocol::tool_pool::Refused::Away { .. }) => {
                self.ask_again_later();
            }
            // One that has started is not refused any more; it asks until its time runs out.
            Err(_) if self.again.contains_key(&call) => self.ask_again_later(),
            Err(full @ crate::protocol::tool_pool::Refused::Full { .. }) => {
                self.enqueue(Input::SlotRefused { call, reason: full.to_string() });
            }
        }
    }

    pub(super) fn slot(
        &mut self,
        call: ToolCallNo,
        slot: Result<Lease, String>,
        seen: Option<Vec<ScriptSeen>>,
    ) {
        let lease = match slot {
            Ok(lease) => lease,
            Err(reason) => return self.enqueue(Input::SlotRefused { call, reason }),
        };
        let stage = self.state.calls.get(&call).map(|call| &call.stage);
        match stage {
            Some(Stage::Wanted | Stage::Approved { .. }) => {
                let (lease, scripts) = match seen {
                    Some(seen) => (lease, seen),
                    None => match self.look(call, lease) {
                        Some(lease) => (lease, Vec::new()),
                        None => return,
                    },
                };
                self.looking.remove(&call);
                self.leases.insert(call, lease);
                self.enqueue(Input::SlotGranted { call, scripts });
            }
            // A question asked twice may be answered twice; only a call that waits keeps the slot.
            Some(Stage::Started { .. }) => {
                if let Some(run) = self.again.remove(&call) {
                    self.leases.insert(call, lease);
                    self.run_tool(call, run);
                }
            }
            // Nobody wants it any more: the slot goes back as it is dropped.
            Some(Stage::Asking { .. }) | None => {}
        }
    }

    /// Looks at the files that a call would run, if there are any, in a task that holds its slot; gives
    /// the slot back where there is nothing to look at.
    fn look(&mut self, call: ToolCallNo, lease: Lease) -> Option<Lease> {
        let Some(asked) = self.state.calls.get(&call) else { return Some(lease) };
        let request = State::request(asked, &self.house.policy.borrow());
        let paths = rules::scripts(&request);
        let tables = self.tables();
        let Some(tool) = tables.tools.get(&asked.name).filter(|_| !paths.is_empty()).cloned()
        else {
            return Some(lease);
        };
        let myself = self.myself.clone();
        // Called within, for a tool may panic before it gives its future.
        let look = async move { tool.look(paths).await };
        let task = Owned::watched(look, move |ended| {
            // What nobody could look at was not seen: a yes to it is good for nothing else.
            let seen = match ended {
                Ended::Value(seen) => seen,
                Ended::Panicked(_) => Vec::new(),
                Ended::Aborted => return,
            };
            tell(&myself, SessionMsg::Slot { call, slot: Ok(lease), seen: Some(seen) });
        });
        self.looking.insert(call, task);
        None
    }
}
