//! The runtime of Greenroom. Reading order: `domain` (values), `policy` (pure decisions), `ports`
//! (what it needs of the world), `protocol` (messages), the actors, `supervisor`, `runtime` (the
//! only door).

pub mod domain;
pub mod limits;

pub mod policy;

pub mod fault;
pub mod log;
pub mod owned;
pub mod ports;

pub mod protocol;

pub mod gate;
pub mod ledger;
pub mod tool_pool;

pub mod scripted;
#[cfg(feature = "testing")]
pub mod testing;
