//! A store whose answers a test holds back: of one kind of question, until it lets go.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{frame::LogKind, ids::Position},
    ports::{Append, AppendError, Around, Asked, Journal, JournalError, Through},
    runtime::Deps,
    testing::harness::Harness,
};
use tokio::sync::watch;

use crate::workshop::{Count, Still};

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    Nothing,
    Claims(LogKind),
    Reads(LogKind),
    Appends(LogKind),
    /// Frames of sessions that say this.
    Saying(&'static str),
    Blobs,
    Catalog,
    Rebuilds,
    /// Pages of sessions.
    Lines,
    Erasures,
}

/// The test's hand on the store.
#[derive(Clone)]
pub(crate) struct Hold {
    now: Arc<watch::Sender<Holding>>,
    held: Count,
}

impl Hold {
    pub(crate) fn on(&self, what: Holding) {
        self.now.send_replace(what);
    }

    pub(crate) fn off(&self) {
        self.on(Holding::Nothing);
    }

    /// How many questions were held back so far.
    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }
}

/// Puts these ports in a test's hand.
pub(crate) fn hold(deps: &mut Deps) -> Hold {
    let now = Arc::new(watch::Sender::new(Holding::Nothing));
    let hold = Hold { now, held: Count::default() };
    let given = Arc::new(hold.clone());
    deps.journal = Arc::new(Through::new(Arc::clone(&deps.journal), &given));
    deps.catalog = Arc::new(Through::new(Arc::clone(&deps.catalog), &given));
    deps.blobs = Arc::new(Through::new(Arc::clone(&deps.blobs), &given));
    hold
}

/// A stage on a store that can be held.
pub(crate) async fn holdable(
    script: &str,
    arrange: impl FnOnce(Harness) -> Harness,
) -> (Still, Hold) {
    let mut given = None;
    let still = Still::set(script, |mut harness| {
        given = Some(hold(&mut harness.deps));
        arrange(harness)
    })
    .await;
    (still, given.expect("the stage was arranged"))
}

impl Hold {
    fn back<T: Send + 'static>(
        &self,
        what: Holding,
        work: BoxFuture<'static, T>,
    ) -> BoxFuture<'static, T> {
        let mut now = self.now.subscribe();
        let held = self.held.clone();
        Box::pin(async move {
            if *now.borrow_and_update() == what {
                held.up();
                now.wait_for(|now| *now != what).await.expect("the sender lives in the port");
            }
            work.await
        })
    }
}

impl Around for Hold {
    fn around<T: Send + 'static, E: From<JournalError> + Send + 'static>(
        &self,
        asked: Asked,
        answer: BoxFuture<'static, Result<T, E>>,
    ) -> BoxFuture<'static, Result<T, E>> {
        match asked {
            Asked::Claim(kind) => self.back(Holding::Claims(kind), answer),
            Asked::Append(kind) => self.back(Holding::Appends(kind), answer),
            Asked::Read(kind) => self.back(Holding::Reads(kind), answer),
            Asked::Lines => self.back(Holding::Lines, self.back(Holding::Catalog, answer)),
            Asked::Catalog => self.back(Holding::Catalog, answer),
            // Whoever holds the read model holds its rebuilding as well.
            Asked::Rebuild => self.back(Holding::Rebuilds, self.back(Holding::Catalog, answer)),
            Asked::Erasure => self.back(Holding::Erasures, answer),
            Asked::Put | Asked::Get => self.back(Holding::Blobs, answer),
        }
    }

    fn append(
        &self,
        journal: &dyn Journal,
        append: Append,
    ) -> BoxFuture<'static, Result<Position, AppendError>> {
        let kind = append.envelope.log.kind;
        let now = *self.now.borrow();
        let is_meant = matches!(now, Holding::Saying(word) if append.body.contains(word));
        let answer = self.around(Asked::Append(kind), journal.append(append));
        if is_meant { self.back(now, answer) } else { answer }
    }
}
