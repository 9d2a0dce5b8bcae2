//! What a running tool is given for one call: whose it is, until when, how it hears that it is to stop,
//! and where it says how far it is. It gives no way to the session or to the log.

use std::{fmt, sync::Arc};

use tokio::sync::watch;

use crate::domain::{
    ids::{CallId, PrincipalId, TenantId, Timestamp},
    tool::Overlay,
};

use super::{Services, Sight};

/// What a running tool is given.
#[derive(Clone, Debug)]
pub struct ToolCtx {
    /// The session and the call.
    pub call: CallId,
    /// The key under which the effect is to be made: the same for every run of this call.
    pub idempotency_key: String,
    /// Its span, as W3C Trace Context writes it: whoever it starts or asks may be given that, so that
    /// what happens there is found below this call. It names the tree of sessions, so it is for one's
    /// own house.
    pub traceparent: String,
    /// Whose data.
    pub tenant: TenantId,
    /// On whose behalf.
    pub principal: PrincipalId,
    /// Working directory, where the call has one.
    pub cwd: Option<String>,
    /// When the call is over, done or not.
    pub deadline: Timestamp,
    /// Turns true when somebody wants it stopped.
    pub cancel: Cancel,
    /// Where it reports how far it is.
    pub progress: Progress,
    /// What a tool that goes through a tree passes by.
    pub sight: Sight,
    /// The session's configuration of this tool.
    pub overlay: Overlay,
    /// What the host offers.
    pub services: Services,
}

/// A wish to stop, seen by a running tool.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<bool>);

impl Cancel {
    /// A sender and its receiver.
    #[must_use]
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether somebody wants it stopped.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when somebody wants it stopped.
    pub async fn requested(&mut self) {
        while !*self.0.borrow_and_update() {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Where a running tool says how far it is. Ephemeral: it goes to subscribers, not to the log.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(String) + Send + Sync>);

impl Progress {
    /// Reports through `report`.
    #[must_use]
    pub fn new(report: Arc<dyn Fn(String) + Send + Sync>) -> Self {
        Self(report)
    }

    /// Says how far the tool is.
    pub fn report(&self, label: impl Into<String>) {
        (self.0)(label.into());
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
