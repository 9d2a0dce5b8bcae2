//! A task with an owner: aborted when the owner lets go of it, so that no task outlives the actor
//! that started it. Bare spawning is banned elsewhere.

use std::{any::Any, future::Future, marker::PhantomData, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use tokio::task::AbortHandle;

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
        // One task and not a second one that waits for it: every frame and every call has one.
        // Nothing here looks into the work after it has panicked.
        let work = AssertUnwindSafe(task).catch_unwind();
        let whole = Watched { work, told: Told(Some(report), PhantomData) };
        let watched = async move {
            // Moved in as one: aborted before it has begun it is let go of in the order of its fields.
            let Watched { work, mut told } = { whole };
            let ended = work.await;
            told.tell(match ended {
                Ok(value) => Ended::Value(value),
                Err(panic) => Ended::Panicked(panic_text(panic.as_ref())),
            });
        };
        Self(tokio::spawn(watched).abort_handle())
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

/// A task and who hears of its end, in this order: of a task that is aborted nothing is left when
/// its end is told.
struct Watched<F, T, R: FnOnce(Ended<T>)> {
    work: F,
    told: Told<T, R>,
}

/// Tells of an end once; let go of without a word, the end was an abort.
struct Told<T, R: FnOnce(Ended<T>)>(Option<R>, PhantomData<fn(T)>);

impl<T, R: FnOnce(Ended<T>)> Told<T, R> {
    fn tell(&mut self, ended: Ended<T>) {
        if let Some(report) = self.0.take() {
            report(ended);
        }
    }
}

impl<T, R: FnOnce(Ended<T>)> Drop for Told<T, R> {
    fn drop(&mut self) {
        self.tell(if std::thread::panicking() {
            Ended::Panicked("it panicked while it was let go of".to_owned())
        } else {
            Ended::Aborted
        });
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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// Says that it is let go of.
    struct Held(Option<oneshot::Sender<()>>);

    impl Drop for Held {
        fn drop(&mut self) {
            if let Some(gone) = self.0.take() {
                gone.send(()).ok();
            }
        }
    }

    /// Runs a task that holds something, and lets go of it when `abort` says; what was told, and
    /// whether nothing of the task was left by then.
    async fn end(
        task: impl Future<Output = u8> + Send + 'static,
        abort: impl AsyncFnOnce(&Owned),
    ) -> (Ended<u8>, bool) {
        let (held, mut gone) = oneshot::channel();
        let held = Held(Some(held));
        let task = async move {
            let _held = held;
            task.await
        };
        let (tell, told) = oneshot::channel();
        let owned = Owned::watched(task, move |ended| {
            let gone = gone.try_recv().is_ok();
            tell.send((ended, gone)).expect("it is waited for");
        });
        abort(&owned).await;
        told.await.expect("told once")
    }

    #[tokio::test]
    async fn an_end_is_told_once_and_behind_the_task_however_it_ends() {
        let (ended, gone) = end(async { 7 }, async |_| {}).await;
        assert!(matches!(ended, Ended::Value(7)) && gone, "{ended:?}");
        let (ended, gone) = end(async { panic!("of its own") }, async |_| {}).await;
        assert!(matches!(ended, Ended::Panicked(ref why) if why == "of its own") && gone);
        let (ended, gone) = end(std::future::pending(), async |owned| owned.abort()).await;
        assert!(matches!(ended, Ended::Aborted) && gone, "aborted before it began");
        let amid = async |owned: &Owned| {
            tokio::task::yield_now().await;
            owned.abort();
        };
        let (ended, gone) = end(std::future::pending(), amid).await;
        assert!(matches!(ended, Ended::Aborted) && gone, "aborted while it waited");
    }
}
