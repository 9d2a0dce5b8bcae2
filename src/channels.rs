//! The ways in which a question reaches somebody who may answer it, beside the terminal and the
//! inbox of the API: a function of the embedding program, a webhook, a folder of files. (A parent
//! agent is asked through the same port; it lives in `app`, for it needs the runtime.)
//!
//! A channel carries a question there and an answer back. It decides nothing: the session counts
//! the first answer that reaches it in time, whatever channel it came by. It keeps nothing: what is
//! open stands in the log, and `app::channels` asks it again after a restart. Silence, nonsense, an
//! error and a panic are no answer, and no answer is never a yes.

mod callback;
mod folder;
mod webhook;
mod wire;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use greenroom_actors::domain::{catalog::ApprovalRow, ids::ApprovalId, permission::Answer};

pub use callback::Callback;
pub use folder::{Folder, FolderError};
pub use webhook::{SignedBy, Webhook, WebhookError};

/// Why a channel has no answer and will have none.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct NoAnswer {
    /// In words.
    pub why: String,
}

impl NoAnswer {
    /// For this reason.
    #[must_use]
    pub fn because(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// How a channel answers.
pub type Asked = BoxFuture<'static, Result<Answer, NoAnswer>>;

/// A way to somebody who may answer. A test or a program may bring its own.
pub trait Channel: Send + Sync + 'static {
    /// In whose name its answers stand in the log, such as `webhook`.
    fn name(&self) -> &str;

    /// Asks. Dropped when the question is closed, which may be at any await; asked again after a
    /// restart, or when the answer could not be taken.
    fn ask(&self, question: Arc<ApprovalRow>) -> Asked;

    /// The answer was heard and cannot be taken, for example because edited arguments do not fit the
    /// tool; it is asked again.
    fn refused(&self, question: Arc<ApprovalRow>, why: String) -> BoxFuture<'static, ()> {
        let _no_trace = (question, why);
        Box::pin(std::future::ready(()))
    }

    /// The question is closed, and how. What `ask` returned is gone by then.
    fn closed(&self, question: Arc<ApprovalRow>, how: String) -> BoxFuture<'static, ()> {
        let _nothing_left = (question, how);
        Box::pin(std::future::ready(()))
    }

    /// Questions of which it holds something that outlives this process, whoever asked them. Looked
    /// at when a house starts, and whenever it may have missed something.
    fn left(&self) -> BoxFuture<'static, Vec<ApprovalId>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// These were asked by this house and are closed: nothing of them is to be left. Of all others
    /// nothing is touched, for they may be another house's.
    fn forget(&self, closed: Vec<ApprovalId>) -> BoxFuture<'static, ()> {
        let _nothing_kept = closed;
        Box::pin(std::future::ready(()))
    }

    /// Whether somebody is there by it, so that questions need not be refused at once.
    fn reaches_somebody(&self) -> bool {
        true
    }
}
