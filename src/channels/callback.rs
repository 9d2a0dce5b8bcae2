//! A function of the embedding program that is handed each question. Its future is dropped when the
//! question is closed by somebody else or expires; its panic is caught by whoever asks.

use std::{fmt, future::Future, sync::Arc};

use greenroom_actors::domain::{catalog::ApprovalRow, permission::Answer};

use super::{Asked, Channel, NoAnswer};

type Call = dyn Fn(Arc<ApprovalRow>) -> Asked + Send + Sync;

/// A function that is asked.
pub struct Callback(Box<Call>);

impl Callback {
    /// What the function returns is the answer; nothing is none, and the question stays open for
    /// others.
    pub fn new<F, Fut>(ask: F) -> Self
    where
        F: Fn(Arc<ApprovalRow>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<Answer>> + Send + 'static,
    {
        Self(Box::new(move |question| {
            let answer = ask(question);
            Box::pin(async move {
                answer.await.ok_or_else(|| NoAnswer::because("it leaves it to others"))
            })
        }))
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

impl Channel for Callback {
    fn name(&self) -> &str {
        "callback"
    }

    fn ask(&self, question: Arc<ApprovalRow>) -> Asked {
        (self.0)(question)
    }
}
