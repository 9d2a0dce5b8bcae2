//! The only door. `Runtime::start` builds the house and returns a handle; everything a face can
//! do is a method of it. Handles are cheap to clone, and find actors anew at every use.

mod acting;
mod appends;
mod calls;
mod consult;
mod delete;
mod halt;
mod images;
mod jobs;
mod last;
mod looking;
mod patience;
mod reading;
mod release;
mod render;
mod replay;
mod scrub;
mod start;
#[cfg(feature = "testing")]
mod strike;
mod turns;

pub use appends::AppendFigures;
pub use calls::CallError;
pub use consult::{Consulted, consulted};
pub use halt::Halted;
pub use jobs::{JobError, Jobs};
pub use last::{LastStep, LastStepError};
pub use looking::HouseFigures;
pub use reading::{Reading, TreeNode};
pub use render::RenderError;
pub use replay::{Altered, Replay, ReplayError, Sums, fork_of};
pub use scrub::Scrub;
pub use start::{Deps, Options, Setup, StartError};
#[cfg(feature = "testing")]
pub use strike::Victim;
pub use turns::Sought;

use std::sync::Arc;

use ractor::ActorRef;
use tokio::sync::{oneshot, watch};

use crate::{
    bus::Bus,
    domain::{
        ids::{InputKey, PrincipalId, SessionId},
        tool::ToolSpec,
    },
    limits,
    ports::{Blobs, Catalog, Clock, Journal},
    session::house::Tables,
    supervisor::{RootMsg, Seats},
};

pub use crate::{
    bus::{
        Deletion, DeletionHeard, DeletionListener, Frame, Heard, JobHeard, JobListener, Listener,
        Note,
    },
    log::Decoded,
    policy::gate::Stage,
    policy::jobs::JobRefused,
    policy::rules::{
        Desk, Layers, Places, Policy, RuleError, Standing, check as check_rules, decide,
    },
    policy::turn::{Rejected, builtin::ALL as OWN_TOOLS},
    protocol::{
        lease::Figures,
        ledger::{AccountFigures, LedgerFigures},
    },
    supervisor::Ended,
};

/// A running runtime.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    seats: Arc<Seats>,
    root: ActorRef<RootMsg>,
    journal: Arc<dyn Journal>,
    catalog: Arc<dyn Catalog>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
    appends: Arc<appends::Appends>,
    bus: Bus,
    tables: watch::Sender<Arc<Tables>>,
    options: Options,
    ended: watch::Receiver<Option<Ended>>,
    principal: PrincipalId,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let awake = self.inner.seats.board().len();
        f.debug_struct("Runtime").field("awake", &awake).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last handle is gone without a shutdown: what runs is killed, and the logs say what
        // was in hand.
        self.root.kill();
    }
}

impl Runtime {
    /// A key that no input has had, for a caller that has none of its own.
    #[must_use]
    pub fn fresh_key(&self) -> InputKey {
        InputKey(format!("input-{}", self.inner.clock.new_session()))
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.inner.clock)
    }

    /// Tools that are registered: names, schemas, effect classes.
    #[must_use]
    pub fn tool_specs(&self) -> Vec<ToolSpec> {
        self.inner.tables.borrow().tools.values().map(|tool| tool.spec()).collect()
    }

    /// Hears everything that happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Listener {
        self.inner.bus.listen()
    }

    /// Hears every frame of the house from now on, and none of the pieces between them. Who listens so
    /// is nobody to whom an answer was shown in part.
    #[must_use]
    pub fn subscribe_to_frames(&self) -> Listener {
        self.inner.bus.listen_to_frames()
    }

    /// Hears of trees that are deleted from now on.
    #[must_use]
    pub fn subscribe_to_deletions(&self) -> DeletionListener {
        self.inner.bus.listen_to_deletions()
    }

    /// Hears what happens in one session from now on.
    #[must_use]
    pub fn follow(&self, session: SessionId) -> Listener {
        self.inner.bus.follow(session)
    }

    /// Returns when the runtime has ended, and why.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.inner.ended.clone();
        loop {
            if let Some(why) = ended.borrow_and_update().clone() {
                return why;
            }
            if ended.changed().await.is_err() {
                return Ended::Broken { why: "its root died".to_owned() };
            }
        }
    }

    /// Ends everybody in order: sessions, pools, gates and permission, the ledger. What has work
    /// in hand goes on when a runtime starts on the same store. Returns the order.
    pub async fn shutdown(&self) -> Vec<String> {
        let (done, ended) = oneshot::channel();
        if self.inner.root.cast(RootMsg::Shutdown { done }).is_err() {
            return Vec::new();
        }
        tokio::select! {
            biased;
            order = ended => order.unwrap_or_default(),
            () = self.inner.clock.after(2 * limits::SHUTDOWN_MS) => {
                self.inner.root.kill();
                Vec::new()
            }
        }
    }

    /// Acts on somebody else's behalf from here on.
    #[must_use]
    pub fn on_behalf_of(&self, principal: PrincipalId) -> acting::Acting<'_> {
        acting::Acting { runtime: self, principal }
    }
}
