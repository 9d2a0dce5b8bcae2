//! Addresses that outlive the actors behind them.

use std::{fmt, sync::Arc};

use ractor::{ActorRef, Message};
use tokio::sync::watch;

/// Where an answer goes. The asker decides what becomes of it; an answer to somebody who has gone
/// is dropped in silence.
pub struct ReplyTo<T>(Arc<dyn Fn(T) + Send + Sync>);

impl<T> ReplyTo<T> {
    /// Answers go through `deliver`.
    #[must_use]
    pub fn new(deliver: impl Fn(T) + Send + Sync + 'static) -> Self {
        Self(Arc::new(deliver))
    }

    /// Delivers an answer.
    pub fn send(&self, answer: T) {
        (self.0)(answer);
    }
}

impl<T> Clone for ReplyTo<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for ReplyTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}

/// The address of an actor of which there is one: found anew at each send, so a restart behind it
/// is not noticed. The supervisor holds the other end.
pub struct Singleton<M>(watch::Receiver<Option<ActorRef<M>>>);

impl<M: Message> Singleton<M> {
    /// An address and the end through which its actor is set.
    #[must_use]
    pub fn channel() -> (watch::Sender<Option<ActorRef<M>>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Sends a message to whoever is there now. `false` when nobody is; whoever needs an answer
    /// asks again, because every question here may be asked twice.
    pub fn cast(&self, message: M) -> bool {
        let actor = self.0.borrow().clone();
        actor.is_some_and(|actor| actor.cast(message).is_ok())
    }

    /// Counts whoever is there now as known; `replaced` then waits for the next.
    pub fn mark_seen(&mut self) {
        self.0.mark_unchanged();
    }

    /// Returns once the supervisor has named somebody else since `mark_seen`; `false` when it
    /// never will again.
    pub async fn replaced(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// Whoever is there now.
    #[must_use]
    pub fn current(&self) -> Option<ActorRef<M>> {
        self.0.borrow().clone()
    }
}

impl<M> Clone for Singleton<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> fmt::Debug for Singleton<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Singleton")
    }
}

/// Tells an actor something that only it needs: one that has gone needs it no more.
pub(crate) fn tell<M: Message>(actor: &ActorRef<M>, message: M) {
    drop(actor.cast(message));
}
