//! Models without a script: one that says nothing, one that always says the same, and one whose
//! script is the prompt. None keeps any state.

use futures_util::{future::BoxFuture, stream::BoxStream};
use serde::Deserialize;

use crate::{
    domain::{
        conversation::{Block, Reply, ReplyBlock, Stop},
        event::ModelFailure,
        ids::{CredentialName, ModelName, ProviderName, ToolName},
        tool::Args,
        usage::Usage,
    },
    ports::{ModelEvent, ModelProvider, ModelRequest},
};

use super::{
    play::{Act, derived_usage, play},
    reading::Reading,
};

/// Finishes at once, says nothing and uses nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoopModel;

/// Answers everything with the same text.
#[derive(Clone, Debug)]
pub struct CannedModel {
    text: String,
}

impl CannedModel {
    /// A model that always says `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

/// Does what its prompt says. A prompt that is, as a whole, JSON of the form
/// `{"tool": …, "args": …}` or `{"script": [{"tool": …, "args": …}, …]}` becomes tool calls, one
/// per step, and then a text of their results, a line each; errors do not stop it. Any other
/// prompt comes back as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct PromptScriptModel;

/// One call of a prompt script.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    tool: ToolName,
    #[serde(default)]
    args: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A prompt of several calls.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedList {
    script: Vec<Wanted>,
}

/// The acts of a stand-in.
trait StandIn {
    const NAME: &'static str;

    fn acts(&self, request: &ModelRequest) -> Vec<Act>;
}

impl StandIn for NoopModel {
    const NAME: &'static str = "noop";

    fn acts(&self, _request: &ModelRequest) -> Vec<Act> {
        vec![finished(Vec::new(), Stop::EndTurn, Usage::default())]
    }
}

impl StandIn for CannedModel {
    const NAME: &'static str = "canned";

    fn acts(&self, request: &ModelRequest) -> Vec<Act> {
        said(request, self.text.clone())
    }
}

impl StandIn for PromptScriptModel {
    const NAME: &'static str = "prompt-script";

    fn acts(&self, request: &ModelRequest) -> Vec<Act> {
        let reading = Reading::of(request);
        let Some(mut wanted) = wanted(&reading.input) else {
            return said(request, reading.input);
        };
        if reading.step >= wanted.len() {
            return said(request, reading.results.join("\n"));
        }
        let Wanted { tool, args } = wanted.swap_remove(reading.step);
        let args = Args(serde_json::Value::Object(args.unwrap_or_default()).to_string());
        let usage = derived_usage(request, tool.as_str().len() + args.0.len(), 0);
        vec![finished(vec![ReplyBlock::ToolUse { name: tool, args }], Stop::ToolUse, usage)]
    }
}

/// The calls a prompt asks for; `None` when it is not a prompt script.
fn wanted(prompt: &str) -> Option<Vec<Wanted>> {
    // The form is checked as text first: serde would read a struct from an array as well.
    if !prompt.trim_start().starts_with('{') {
        return None;
    }
    if let Ok(list) = serde_json::from_str::<WantedList>(prompt) {
        return Some(list.script);
    }
    serde_json::from_str::<Wanted>(prompt).ok().map(|one| vec![one])
}

fn said(request: &ModelRequest, text: String) -> Vec<Act> {
    let usage = derived_usage(request, text.len(), 0);
    let mut acts = Vec::new();
    if !text.is_empty() {
        acts.push(Act::Emit(ModelEvent::Text { delta: text.clone() }));
    }
    let block = ReplyBlock::Said { block: Block::Text { text } };
    acts.push(finished(vec![block], Stop::EndTurn, usage));
    acts
}

fn finished(blocks: Vec<ReplyBlock>, stop: Stop, usage: Usage) -> Act {
    let reply = Reply { blocks, stop, usage: Some(usage), served_by: None };
    Act::Emit(ModelEvent::Finished { reply: Box::new(reply) })
}

/// The answer to a list of models where there is one model.
pub(super) fn only_model(
    name: &str,
    prefix: &str,
) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>> {
    let names = if name.starts_with(prefix) { vec![name.into()] } else { Vec::new() };
    Box::pin(std::future::ready(Ok(names)))
}

/// The rest of the port is the same for all stand-ins.
macro_rules! provider {
    ($model:ty) => {
        impl ModelProvider for $model {
            fn name(&self) -> ProviderName {
                <Self as StandIn>::NAME.into()
            }

            fn credential(&self) -> CredentialName {
                <Self as StandIn>::NAME.into()
            }

            fn call(
                &self,
                request: ModelRequest,
            ) -> BoxStream<'static, Result<ModelEvent, ModelFailure>> {
                play(self.acts(&request), None)
            }

            fn list_models(
                &self,
                prefix: String,
            ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>> {
                only_model(<Self as StandIn>::NAME, &prefix)
            }

            fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>> {
                Box::pin(std::future::ready(Ok(())))
            }
        }
    };
}

provider!(NoopModel);
provider!(CannedModel);
provider!(PromptScriptModel);
