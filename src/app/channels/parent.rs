//! The agent above the one that asks, as a channel: its model is asked, and may allow what its own
//! authority allows. How is the runtime's: `Runtime::consult_parent`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use greenroom_actors::{
    Runtime,
    domain::{
        catalog::{ApprovalRow, SessionRow, Status},
        event::CancelTarget,
        ids::SessionId,
    },
    runtime::{CallError, Consulted},
};

use crate::channels::{Asked, Channel, NoAnswer};

/// Asks the agent above.
#[derive(Debug)]
pub(super) struct Parent(pub(super) Runtime);

impl Channel for Parent {
    fn name(&self) -> &str {
        "parent"
    }

    fn ask(&self, question: Arc<ApprovalRow>) -> Asked {
        let runtime = self.0.clone();
        Box::pin(async move {
            match runtime.consult_parent(&question).await {
                Ok(Consulted::Answered(answer)) => Ok(answer),
                Ok(Consulted::Silent(why)) => Err(NoAnswer { why }),
                Err(CallError::Ended { .. }) => std::future::pending().await,
                Err(error) => Err(NoAnswer::because(error.to_string())),
            }
        })
    }

    /// Its model need not think on about a question that is closed.
    fn closed(&self, question: Arc<ApprovalRow>, how: String) -> BoxFuture<'static, ()> {
        let runtime = self.0.clone();
        Box::pin(async move {
            let session = SessionId::consulted(question.id);
            let row = runtime.reading().session(session).await;
            let Ok(Some(SessionRow { status: Status::Running | Status::Waiting, .. })) = row else {
                return;
            };
            if let Err(error) = runtime.cancel(session, CancelTarget::Everything, &how).await {
                tracing::warn!(%session, %error, "a parent's model is still asked");
            }
        })
    }

    fn reaches_somebody(&self) -> bool {
        false
    }
}
