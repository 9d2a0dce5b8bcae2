//! One tool call, in a task that the session owns. The slot is held as long as the task lives and
//! goes back with it, however it ends.

use std::{future::Future, sync::Arc};

use crate::{
    domain::{
        conversation::BlobRef,
        tool::{Args, EffectClass, Output, ToolOutcome},
    },
    fault, limits,
    owned::Ended,
    policy::turn::Run,
    ports::{Probe, Tool, ToolCtx},
    protocol::lease::Lease,
};

use super::house::House;

/// What is to be run.
pub(super) struct Job {
    pub(super) tool: Arc<dyn Tool>,
    pub(super) ctx: ToolCtx,
    pub(super) args: Args,
    pub(super) run: Run,
    pub(super) effect: EffectClass,
    pub(super) lease: Lease,
}

/// Runs a tool until it ends, its deadline passes or it is cancelled.
pub(super) async fn run(house: Arc<House>, job: Job) -> ToolOutcome {
    let Job { tool, ctx, args, run, effect, lease } = job;
    let (deadline, mut cancel) = (ctx.deadline, ctx.cancel.clone());
    let work = async {
        if run == Run::Again {
            match tool.probe(ctx.clone(), args.clone()).await {
                Probe::Happened(outcome) => return outcome,
                Probe::DidNot => {}
                Probe::Unknown => return ToolOutcome::OutcomeUnknown,
            }
        }
        fault::point("tool.before_run");
        let outcome = tool.run(ctx, args).await;
        fault::point("tool.ran");
        outcome
    };
    tokio::pin!(work);
    let outcome = tokio::select! {
        biased;
        outcome = &mut work => outcome,
        () = house.clock.sleep_until(deadline) => timed_out(effect),
        () = cancel.requested() => {
            let grace = house.clock.after(limits::ABORT_GRACE_MS);
            tokio::select! {
                biased;
                // A result that was nearly there is better than none.
                outcome = &mut work => outcome,
                () = grace => cancelled(effect),
            }
        }
    };
    let late = async {
        let end = deadline.max(house.clock.now()).plus_ms(limits::KEEP_MS);
        tokio::select! {
            biased;
            () = house.clock.sleep_until(end) => {}
            () = cancel.requested() => house.clock.after(limits::KEEP_MS).await,
        }
    };
    let outcome = store(&house, outcome, late).await;
    drop(lease);
    outcome
}

/// How a tool's task ended, as an outcome. A panic of a tool is the tool's failure and nobody
/// else's.
pub(super) fn outcome(ended: Ended<ToolOutcome>, effect: EffectClass) -> ToolOutcome {
    match ended {
        Ended::Value(outcome) => outcome,
        Ended::Panicked(text) => {
            let text = format!("the tool panicked: {text}{}", doubt(effect));
            ToolOutcome::Failed { output: Output::text(text) }
        }
        Ended::Aborted => cancelled(effect),
    }
}

fn cancelled(effect: EffectClass) -> ToolOutcome {
    ToolOutcome::Cancelled { effect_unknown: effect != EffectClass::Pure }
}

/// What a model must know of a tool that did not end by itself.
const fn doubt(effect: EffectClass) -> &'static str {
    match effect {
        EffectClass::Pure => "",
        EffectClass::Idempotent | EffectClass::Verifiable | EffectClass::Once => {
            "; whether its effect happened is unknown"
        }
    }
}

pub(super) fn timed_out(effect: EffectClass) -> ToolOutcome {
    ToolOutcome::Failed { output: Output::text(format!("timed out{}", doubt(effect))) }
}

/// Keeps a large output as a blob, durable before anybody hears of it. What cannot be kept until it
/// is too late is cut: the tool has ended, and that must not become unknown for want of a place.
async fn store(
    house: &House,
    outcome: ToolOutcome,
    late: impl Future<Output = ()> + Send,
) -> ToolOutcome {
    match outcome {
        ToolOutcome::Done { output } => {
            ToolOutcome::Done { output: fit(house, output, late).await }
        }
        ToolOutcome::Failed { output } => {
            ToolOutcome::Failed { output: fit(house, output, late).await }
        }
        other @ (ToolOutcome::Refused { .. }
        | ToolOutcome::Cancelled { .. }
        | ToolOutcome::OutcomeUnknown
        | ToolOutcome::NotCarried) => other,
    }
}

async fn fit(house: &House, output: Output, late: impl Future<Output = ()> + Send) -> Output {
    let Output::Text { text } = output else { return output };
    if text.len() <= limits::INLINE_BYTES {
        return Output::Text { text };
    }
    let bytes = text.len();
    let kept: Result<BlobRef, String> = if bytes > limits::BLOB_BYTES {
        Err(format!("more than {} bytes", limits::BLOB_BYTES))
    } else {
        tokio::select! {
            biased;
            kept = house.blobs.put(text.clone().into_bytes()) => {
                kept.map_err(|error| error.to_string())
            }
            () = late => Err("the store did not answer in time".to_owned()),
        }
    };
    match kept {
        Ok(blob) => {
            let preview = Output::ends(&text, &format!("{bytes} bytes in all; the whole is kept"));
            Output::Stored { preview, blob }
        }
        Err(why) => {
            Output::text(Output::ends(&text, &format!("{bytes} bytes in all; not kept: {why}")))
        }
    }
}
