//! Asking one who takes something whether it takes this. It may be a program's own and do anything, so it
//! is asked on a thread that may block: neither a session nor another exporter waits for it, and a panic
//! ends that one lot and not the handing over. It is never asked two things at once.

use std::{convert::Infallible, future::Future};

use greenroom_actors::{limits, owned::panic_text};
use opentelemetry_sdk::error::OTelSdkResult;
use tokio::{runtime::Handle, sync::oneshot};

use super::{Mood, Wait};

/// What it says.
#[derive(Debug)]
pub(super) enum Said {
    /// It has it.
    Taken,
    /// It may be offered the same again.
    Refused(String),
    /// It panicked, and whatever it was offered may be why.
    Broke(String),
}

/// Asks, and waits for an answer as long as a lot may take. Who blocks cannot be stopped, and is waited
/// for behind that as well: what it says then counts, and meanwhile it is offered nothing.
pub(super) async fn asked(
    wait: &Wait,
    mood: &mut Mood,
    asking: impl Future<Output = OTelSdkResult> + Send + 'static,
) -> Said {
    // Let go of when nobody waits any more, on whatever way.
    let (patience, over) = oneshot::channel::<Infallible>();
    let on = Handle::current();
    let mut thread = tokio::task::spawn_blocking(move || {
        on.block_on(async move {
            tokio::select! {
                biased;
                // First: behind the end of the program its timers are not to be looked at any more.
                _ = over => None,
                taken = asking => Some(taken),
            }
        })
    });
    let why = format!("nothing within {} ms", limits::EXPORT_MS);
    let answer = tokio::select! {
        biased;
        answer = &mut thread => answer,
        () = wait.clock.after(limits::EXPORT_MS) => {
            drop(patience);
            mood.is_away(&why);
            thread.await
        }
    };
    match answer {
        Ok(Some(Ok(()))) => Said::Taken,
        Ok(Some(Err(error))) => Said::Refused(error.to_string()),
        Ok(None) => Said::Refused(why),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => Said::Broke(format!("it panicked: {}", panic_text(panic.as_ref()))),
            Err(_never_began) => Said::Refused("the program is ending".to_owned()),
        },
    }
}
