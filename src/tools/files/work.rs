//! Where files are waited for: on threads of their own, of which there are only so many, and which
//! are told when nobody waits any more.
//!
//! A thread cannot be aborted. So whatever loops there looks at a brake, which is pulled when the
//! call is cancelled or dropped (its deadline has passed). What hangs in the kernel, on a dead mount,
//! keeps its place: the next calls wait for one until their own deadlines and no thread is added.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use greenroom_actors::{limits, ports::ToolCtx};
use tokio::sync::Semaphore;

use crate::typed::{Stopped, ToolError};

use super::refusal::Refusal;

/// Says to a thread that nobody waits any more.
#[derive(Clone, Debug, Default)]
pub(super) struct Brake(Arc<AtomicBool>);

impl Brake {
    /// Ends what goes on if it is not wanted any more.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.0.load(Ordering::Relaxed) { Err(Refusal::Stopped(Stopped)) } else { Ok(()) }
    }

    pub(super) fn pull(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Pulls the brake when the call lets go of it, however that comes.
struct Held(Brake);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.pull();
    }
}

/// The threads of the file tools.
#[derive(Clone, Debug)]
pub(super) struct Work(Arc<Semaphore>);

impl Work {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(limits::FILE_WORKERS)))
    }

    /// Does something that waits for files. A cancel ends it at its next look at the brake; what
    /// was done by then is reported as done.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        mut ctx: ToolCtx,
        job: impl FnOnce(&ToolCtx, &Brake) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, ToolError> {
        let place = tokio::select! {
            biased;
            // First, so that what is not wanted before it begins does not begin.
            () = ctx.cancel.requested() => return Err(Box::new(Stopped)),
            place = Arc::clone(&self.0).acquire_owned() => place?,
        };
        let held = Held(Brake::default());
        let (brake, mut cancel) = (held.0.clone(), ctx.cancel.clone());
        let mut thread = tokio::task::spawn_blocking(move || {
            let _place = place;
            job(&ctx, &brake)
        });
        let done = tokio::select! {
            biased;
            done = &mut thread => done,
            () = cancel.requested() => {
                held.0.pull();
                thread.await
            }
        };
        match done {
            Ok(done) => done.map_err(Refusal::told),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The program is ending, and the thread never began.
                Err(_never_began) => Err(Box::new(Stopped)),
            },
        }
    }
}
