//! The last step of a shutdown: the store is closed, on a thread of its own, and nobody waits for a
//! disk that does not answer. What was acknowledged is durable already; a close only copies it back,
//! so one that is not waited for leaves the store as a crash would.

use std::sync::Arc;

use greenroom_actors::{limits, ports::Clock};
use tokio::sync::oneshot;

/// Closes within `limits::SHUTDOWN_MS`; `false` when that was not long enough. The thread is left to
/// itself then: it is not one of the async runtime's, which would wait for it when it ends.
pub(super) async fn in_time(clock: &Arc<dyn Clock>, close: impl FnOnce() + Send + 'static) -> bool {
    let (done, closed) = oneshot::channel();
    let closing = std::thread::Builder::new().name("store-closing".to_owned()).spawn(move || {
        close();
        // Whoever waited may have given up.
        done.send(()).ok();
    });
    if let Err(error) = closing {
        tracing::warn!(%error, "the store is left as a crash would leave it");
        return false;
    }
    let late = clock.sleep_until(clock.now().plus_ms(limits::SHUTDOWN_MS));
    tokio::select! {
        biased;
        // A close that panicked drops the sender, and has left the store as a crash would.
        closed = closed => closed.is_ok(),
        () = late => {
            tracing::warn!("the store was not closed in time; it is left as a crash would leave it");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use greenroom_actors::testing::{clock::ManualClock, harness::bounded};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_store_that_does_not_close_holds_a_shutdown_no_longer_than_it_said() {
        let clock = ManualClock::default();
        let port: Arc<dyn Clock> = Arc::new(clock.clone());
        for life in ["one app", "the next one"] {
            let (let_go, held) = sync_channel::<()>(1);
            let closing = in_time(&port, move || {
                held.recv().ok();
            });
            let advancing = async {
                while clock.sleepers() == 0 {
                    tokio::task::yield_now().await;
                }
                clock.advance(limits::SHUTDOWN_MS - 1);
                assert_eq!(clock.sleepers(), 1, "{life}: it still waits");
                clock.advance(1);
            };
            let (closed, ()) =
                bounded("the wait ends", futures_util::future::join(closing, advancing)).await;
            assert!(!closed, "{life}");
            drop(let_go);
            assert!(bounded("a disk that answers", in_time(&port, || {})).await, "{life}");
        }
    }

    #[tokio::test]
    async fn a_close_that_panics_is_no_close() {
        let port: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let panics = in_time(&port, || std::panic::resume_unwind(Box::new("a bug")));
        assert!(!bounded("the wait ends", panics).await);
    }
}
