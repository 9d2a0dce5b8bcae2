//! The door to the sessions' logs: what tools and models say passes here before anybody records,
//! stores or repeats it. So a log holds no known secret, and neither does what follows from it: the
//! next prompt, events, screens, traces.
//!
//! Only values are masked, never names: see `telemetry::redact`. What a model asks a tool to do is
//! masked too, so that a tool sees none either; a secret that is no text in those arguments leaves
//! them unreadable, and the call is refused.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use greenroom_actors::{
    domain::{
        conversation::{Block, Reply, ReplyBlock},
        event::ModelFailure,
        ids::{CredentialName, ModelName, ProviderName},
        permission::ScriptSeen,
        tool::{Args, Output, ToolOutcome, ToolSpec},
    },
    ports::{ModelEvent, ModelProvider, ModelRequest, Probe, Progress, Tool, ToolCtx},
};

use crate::telemetry::redact::{Secrets, Stream};

/// A tool whose words hold no secret.
pub(super) fn tool(inner: Arc<dyn Tool>, secrets: &Secrets) -> Arc<dyn Tool> {
    Arc::new(MaskedTool { inner, secrets: secrets.clone() })
}

/// Models whose words hold no secret.
pub(super) fn provider(inner: Arc<dyn ModelProvider>, secrets: &Secrets) -> Arc<dyn ModelProvider> {
    Arc::new(MaskedProvider { inner, secrets: secrets.clone() })
}

struct MaskedTool {
    inner: Arc<dyn Tool>,
    secrets: Secrets,
}

impl MaskedTool {
    fn ctx(&self, ctx: ToolCtx) -> ToolCtx {
        let (secrets, progress) = (self.secrets.clone(), ctx.progress.clone());
        let report = move |label: String| progress.report(secrets.clean(&label));
        ToolCtx { progress: Progress::new(Arc::new(report)), ..ctx }
    }
}

impl Tool for MaskedTool {
    fn spec(&self) -> ToolSpec {
        self.inner.spec()
    }

    fn check(&self, args: &Args) -> Result<(), String> {
        self.inner.check(args).map_err(|why| clean(&self.secrets, why))
    }

    fn look(&self, paths: Vec<String>) -> BoxFuture<'static, Vec<ScriptSeen>> {
        self.inner.look(paths)
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        let (inner, ctx) = (Arc::clone(&self.inner), self.ctx(ctx));
        let secrets = self.secrets.clone();
        // Called within, for a tool may panic before it gives its future.
        let work = async move { inner.run(ctx, args).await };
        Box::pin(async move {
            match AssertUnwindSafe(work).catch_unwind().await {
                Ok(outcome) => outcome_of(&secrets, outcome),
                Err(panic) => resume_unwind(words(&secrets, panic)),
            }
        })
    }

    fn probe(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, Probe> {
        let (inner, ctx) = (Arc::clone(&self.inner), self.ctx(ctx));
        let secrets = self.secrets.clone();
        let work = async move { inner.probe(ctx, args).await };
        Box::pin(async move {
            match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Probe::Happened(outcome)) => Probe::Happened(outcome_of(&secrets, outcome)),
                Ok(probe @ (Probe::DidNot | Probe::Unknown)) => probe,
                Err(panic) => resume_unwind(words(&secrets, panic)),
            }
        })
    }
}

/// A panic's words without secrets. The hook has heard them already; it cleans for itself.
fn words(secrets: &Secrets, panic: Box<dyn Any + Send>) -> Box<dyn Any + Send> {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    match text.or_else(|| panic.downcast_ref::<String>().cloned()) {
        Some(text) => Box::new(secrets.clean_words(&text)),
        None => panic,
    }
}

fn outcome_of(secrets: &Secrets, outcome: ToolOutcome) -> ToolOutcome {
    match outcome {
        ToolOutcome::Done { output } => ToolOutcome::Done { output: output_of(secrets, output) },
        ToolOutcome::Failed { output } => {
            ToolOutcome::Failed { output: output_of(secrets, output) }
        }
        ToolOutcome::Refused { reason } => ToolOutcome::Refused { reason: clean(secrets, reason) },
        other @ (ToolOutcome::Cancelled { .. }
        | ToolOutcome::OutcomeUnknown
        | ToolOutcome::NotCarried) => other,
    }
}

/// A blob is the runtime's to make, from text that passed here.
fn output_of(secrets: &Secrets, output: Output) -> Output {
    match output {
        Output::Text { text } => Output::Text { text: clean(secrets, text) },
        Output::Stored { preview, blob } => {
            Output::Stored { preview: clean(secrets, preview), blob }
        }
    }
}

struct MaskedProvider {
    inner: Arc<dyn ModelProvider>,
    secrets: Secrets,
}

impl ModelProvider for MaskedProvider {
    fn name(&self) -> ProviderName {
        self.inner.name()
    }

    fn credential(&self) -> CredentialName {
        self.inner.credential()
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelFailure>> {
        let mut said = Said::new(self.secrets.clone());
        let events = self.inner.call(request);
        Box::pin(events.flat_map(move |event| stream::iter(said.hear(event))))
    }

    fn list_models(
        &self,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>> {
        let (models, secrets) = (self.inner.list_models(prefix), self.secrets.clone());
        Box::pin(async move { models.await.map_err(|failure| failed(&secrets, failure)) })
    }

    fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>> {
        let (verified, secrets) = (self.inner.verify_auth(), self.secrets.clone());
        Box::pin(async move { verified.await.map_err(|failure| failed(&secrets, failure)) })
    }
}

/// A stream's text and thinking so far, each with what it keeps back.
struct Said {
    secrets: Secrets,
    text: Stream,
    thinking: Stream,
}

impl Said {
    fn new(secrets: Secrets) -> Self {
        Self { text: secrets.stream(), thinking: secrets.stream(), secrets }
    }

    /// What is to be told instead of an event. What a stream that broke off kept back is not told:
    /// nobody misses it, for the answer is lost.
    fn hear(
        &mut self,
        event: Result<ModelEvent, ModelFailure>,
    ) -> Vec<Result<ModelEvent, ModelFailure>> {
        let mut out = Vec::with_capacity(2);
        match event {
            Ok(ModelEvent::Text { delta }) => {
                thinking(self.thinking.finish(), &mut out);
                text(self.text.push(&delta), &mut out);
            }
            Ok(ModelEvent::Thinking { delta }) => {
                text(self.text.finish(), &mut out);
                thinking(self.thinking.push(&delta), &mut out);
            }
            Ok(limits @ ModelEvent::Limits { .. }) => out.push(Ok(limits)),
            Ok(ModelEvent::Finished { reply }) => {
                thinking(self.thinking.finish(), &mut out);
                text(self.text.finish(), &mut out);
                let reply = Box::new(reply_of(&self.secrets, *reply));
                out.push(Ok(ModelEvent::Finished { reply }));
            }
            Err(failure) => out.push(Err(failed(&self.secrets, failure))),
        }
        out
    }
}

fn text(delta: String, out: &mut Vec<Result<ModelEvent, ModelFailure>>) {
    if !delta.is_empty() {
        out.push(Ok(ModelEvent::Text { delta }));
    }
}

fn thinking(delta: String, out: &mut Vec<Result<ModelEvent, ModelFailure>>) {
    if !delta.is_empty() {
        out.push(Ok(ModelEvent::Thinking { delta }));
    }
}

fn reply_of(secrets: &Secrets, mut reply: Reply) -> Reply {
    for block in &mut reply.blocks {
        match block {
            ReplyBlock::ToolUse { args, .. } => args.0 = clean(secrets, std::mem::take(&mut args.0)),
            ReplyBlock::Said { block: Block::Text { text } }
            // A secret in what only the vendor understands is a secret in the log all the same.
            | ReplyBlock::Said { block: Block::Opaque { json: text, .. } } => {
                *text = clean(secrets, std::mem::take(text));
            }
            ReplyBlock::Said { block: Block::Thinking { text, signature } } => {
                let cleaned = clean(secrets, text.clone());
                if *text != cleaned {
                    // It was signed for other words.
                    (*text, *signature) = (cleaned, None);
                }
            }
            ReplyBlock::Said {
                block:
                    Block::Stored { .. }
                    | Block::ToolUse { .. }
                    | Block::ToolResult { .. }
                    | Block::Image { .. },
            } => {}
        }
    }
    reply
}

fn failed(secrets: &Secrets, mut failure: ModelFailure) -> ModelFailure {
    failure.message = secrets.clean_words(&failure.message);
    failure
}

fn clean(secrets: &Secrets, text: String) -> String {
    match secrets.clean(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(cleaned) => cleaned,
    }
}
