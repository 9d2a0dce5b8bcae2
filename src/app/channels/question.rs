//! One question that is out: every channel is asked at once, each apart from the others.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all, stream::FuturesUnordered};
use greenroom_actors::{
    Runtime,
    domain::{catalog::ApprovalRow, permission::Answer},
    limits,
    owned::panic_text,
    policy::turn::Rejected,
    ports::Clock,
    runtime::CallError,
};
use tokio::sync::oneshot;

use crate::channels::{Channel, NoAnswer};

pub(super) struct Asking {
    pub(super) runtime: Runtime,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) channels: Arc<[Arc<dyn Channel>]>,
    pub(super) row: Arc<ApprovalRow>,
}

/// What became of an answer.
enum Given {
    /// It counts, or somebody's before it did; the log says so in its own time.
    Closed(String),
    /// It cannot be taken; another one can.
    Refused(String),
}

impl Asking {
    /// Asks until the question is closed, then says so to each channel.
    pub(super) async fn run(self, mut closed: oneshot::Receiver<String>) {
        let found = {
            let asked: FuturesUnordered<_> =
                self.channels.iter().map(|channel| self.through(channel)).collect();
            let mut asked = asked.filter_map(std::future::ready).boxed();
            // A question that nobody answers waits for the log to close it, or for its time: a
            // house that has just died closes nothing.
            let expired = self.clock.sleep_until(self.row.ask.expires_at);
            tokio::pin!(expired);
            tokio::select! {
                biased;
                how = &mut closed => Err(how),
                Some(how) = asked.next() => Ok(how),
                () = &mut expired => Ok("expired".to_owned()),
            }
        };
        // What the channels were doing is dropped by now.
        let how = match found {
            Err(Ok(how)) => how,
            // Nobody asks any more; the next house does.
            Err(Err(_gone)) => return,
            // The log has the better words, and they are on their way, unless they were missed.
            Ok(how) => tokio::select! {
                biased;
                told = &mut closed => told.unwrap_or(how),
                () = self.clock.after(limits::SUSPEND_MS) => how,
            },
        };
        let told = self.channels.iter().map(|channel| {
            let told = async { channel.closed(Arc::clone(&self.row), how.clone()).await };
            AssertUnwindSafe(told).catch_unwind()
        });
        for (told, channel) in join_all(told).await.into_iter().zip(self.channels.iter()) {
            if let Err(panic) = told {
                self.broke(channel.as_ref(), &panic_text(panic.as_ref()));
            }
        }
    }

    /// What closes the question through this channel, or nothing: it has no answer.
    async fn through(&self, channel: &Arc<dyn Channel>) -> Option<String> {
        for _ in 0..limits::ANSWERS_REFUSED {
            // Within the guarded part as well: a channel may fail before it has a future.
            let asked = async { channel.ask(Arc::clone(&self.row)).await };
            match AssertUnwindSafe(asked).catch_unwind().await {
                Ok(Ok(answer)) => match self.give(channel.name(), answer).await {
                    Given::Closed(how) => return Some(how),
                    Given::Refused(why) => {
                        self.broke(channel.as_ref(), &why);
                        channel.refused(Arc::clone(&self.row), why).await;
                    }
                },
                Ok(Err(NoAnswer { why })) => {
                    self.broke(channel.as_ref(), &why);
                    return None;
                }
                Err(panic) => {
                    self.broke(channel.as_ref(), &panic_text(panic.as_ref()));
                    return None;
                }
            }
        }
        None
    }

    fn broke(&self, channel: &dyn Channel, why: &str) {
        let (approval, channel) = (self.row.id, channel.name());
        tracing::warn!(%approval, channel, why, "a channel has no answer that counts");
    }

    /// Hands an answer to the session, until that has heard it.
    async fn give(&self, by: &str, answer: Answer) -> Given {
        let verb = super::verb(&answer);
        loop {
            let acting = self.runtime.on_behalf_of(by.into());
            match acting.decide(self.row.id, answer.clone()).await {
                Ok(()) => return Given::Closed(format!("{verb} by {by}")),
                Err(CallError::Rejected(
                    why @ (Rejected::NoSuchApproval { .. } | Rejected::Expired { .. }),
                )) => return Given::Closed(why.to_string()),
                Err(CallError::Rejected(why)) => return Given::Refused(why.to_string()),
                // The store is away, or the session is being restarted: the answer stands.
                Err(error) => {
                    tracing::warn!(approval = %self.row.id, %error, "an answer is not heard yet");
                    self.clock.after(limits::SUSPEND_MS).await;
                }
            }
        }
    }
}
