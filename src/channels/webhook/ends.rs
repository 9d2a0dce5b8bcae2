//! Ends of jobs as POSTs to an address, signed as questions are. The body names the delivery; a server
//! that hears one twice knows it by that. What is told once more, and when, is the job's to say.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::job::Delivery,
    ports::{JobHook, NotTold},
};
use serde::Serialize;

use crate::channels::wire;

use super::{Missed, Webhook};

#[derive(Serialize)]
struct Ended<'a> {
    kind: &'static str,
    #[serde(flatten)]
    delivery: &'a Delivery,
}

impl JobHook for Webhook {
    fn tell(&self, delivery: Delivery) -> BoxFuture<'static, Result<(), NotTold>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let ended = Ended { kind: "job_ended", delivery: &delivery };
            match inner.post(&wire::pretty(&ended)).await {
                Ok(_) => Ok(()),
                Err(Missed::Again { why, after_ms }) => Err(NotTold { why, again: true, after_ms }),
                Err(Missed::Never(none)) => {
                    Err(NotTold { why: none.why, again: false, after_ms: None })
                }
            }
        })
    }
}
