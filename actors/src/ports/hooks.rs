//! Who hears of the ends of jobs, outside.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::BoxFuture;

use crate::domain::{ids::HookName, job::Delivery};

/// Why somebody was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTold {
    /// Why.
    pub why: String,
    /// Whether it may hear another time.
    pub again: bool,
    /// How long it asked to be left alone.
    pub after_ms: Option<u64>,
}

/// Who is told of the ends of jobs, outside. It may hear of one more than once, under one id.
pub trait JobHook: Send + Sync + 'static {
    /// Tells it.
    fn tell(&self, delivery: Delivery) -> BoxFuture<'static, Result<(), NotTold>>;
}

/// Webhooks by name.
pub type HookTable = BTreeMap<HookName, Arc<dyn JobHook>>;
