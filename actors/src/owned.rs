//! A task with an owner: aborted when the owner lets go of it, so that no task outlives the actor
//! that started it. Bare spawning is banned elsewhere.

use std::{any::Any, future::Future};

use tokio::task::{AbortHandle, JoinError};

/// A running task. Dropping it aborts the task at its next await.
#[derive(Debug)]
#[must_use = "dropping an owned task aborts it at once"]
pub struct Owned(AbortHandle);

/// How a watched task ended.
#[derive(Debug)]
pub enum Ended<T> {
    /// With a value.
    Value(T),
    /// By a panic; its text.
    Panicked(String),
    /// By its owner.
    Aborted,
}

impl Owned {
    /// Starts a task nobody waits for.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task).abort_handle())
    }

    /// Starts a task and tells `report` how it ended, once, whatever happens to it: a value, a
    /// panic, or the abort, after which nothing of the task runs any more.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn watched<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
        report: impl FnOnce(Ended<T>) + Send + 'static,
    ) -> Self {
        let inner = tokio::spawn(task);
        let abort = inner.abort_handle();
        // The watcher ends with the task it watches, so it needs no owner of its own.
        drop(tokio::spawn(async move {
            report(match inner.await {
                Ok(value) => Ended::Value(value),
                Err(error) => ended(error),
            });
        }));
        Self(abort)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Asks the task to end; a watched task's report says when it has.
    pub fn abort(&self) {
        self.0.abort();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn ended<T>(error: JoinError) -> Ended<T> {
    match error.try_into_panic() {
        Ok(panic) => Ended::Panicked(panic_text(panic.as_ref())),
        Err(_cancelled) => Ended::Aborted,
    }
}

/// The text of a panic's payload.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
