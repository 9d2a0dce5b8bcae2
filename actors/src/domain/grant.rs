//! The ledger's own log: one per root session, with tokens and positions as any session's log has.

use serde::{Deserialize, Serialize};

use super::{
    budget::{Account, Amount},
    ids::CallId,
};

/// What the ledger records. A grant is durable before it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum GrantEvent {
    /// Room was set aside for a call in every account on its path.
    Granted {
        /// The call.
        call: CallId,
        /// The accounts, root first, with the limits they had.
        accounts: Vec<Account>,
        /// The bound set aside.
        bound: Amount,
    },
    /// The call ended: its reservation became this.
    Settled {
        /// The call.
        call: CallId,
        /// What it came to; assigned, never added.
        actual: Amount,
        /// Whether that is the last word on this call. Logs of before it was said never say so.
        #[serde(default, skip_serializing_if = "is_false")]
        last: bool,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
