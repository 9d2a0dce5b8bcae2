//! Who calls a vendor: an adapter by itself, or a whole runtime on a real store whose agents have
//! adapters for models. One agent and one provider for each format, under the format's name.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::StreamExt as _;
use greenroom::{
    clock::SystemClock,
    providers::{Kind, Patience, Setup, Vendor, Way, connect},
};
use greenroom_actors::{
    domain::{
        agent::{AgentSpec, Sampling},
        conversation::{Block, Message, Reply, ReplyBlock},
        event::ModelFailure,
        ids::{CallId, ModelCallNo, SessionId, Timestamp, TurnId},
        model::{ModelEvent, ModelRequest},
    },
    ports::{Clock, ModelProvider as _},
    testing::harness::{Harness, bounded},
};

use crate::{
    props::{self, allow},
    stage::Stage,
};

/// The name of a format, of its provider and of its agent.
pub const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Anthropic => "anthropic",
        Kind::OpenAiChat => "chat",
        Kind::OpenAiResponses => "responses",
        Kind::Gemini => "gemini",
        Kind::Vertex => "vertex",
        Kind::Ollama => "ollama",
    }
}

/// On the machine's clock, with the usual patience.
pub fn way() -> Way {
    patient(Arc::new(SystemClock), Patience::default())
}

pub fn patient(clock: Arc<dyn Clock>, patience: Patience) -> Way {
    Way::new(clock, patience, None).expect("a client")
}

/// The provider of a format at this address.
pub fn vendor(way: &Way, kind: Kind, url: &str) -> Vendor {
    connect(way, Setup::new(name(kind), kind, url)).expect("a provider")
}

/// A question.
pub fn request() -> ModelRequest {
    ModelRequest {
        call: CallId::model(SessionId(uuid::Uuid::nil()), ModelCallNo(1)),
        agent: "reader".into(),
        turn: TurnId(1),
        deadline: Timestamp(i64::MAX),
        model: "model".into(),
        instructions: String::new(),
        tools: Arc::default(),
        messages: vec![Arc::new(Message::user("Go on."))],
        sampling: Sampling::default(),
        images: BTreeMap::new(),
    }
}

/// What comes of one call: exactly one end, whatever was given out before it.
pub async fn call(vendor: &Vendor) -> Result<Reply, ModelFailure> {
    let mut end = None;
    let mut events = vendor.call(request());
    while let Some(event) = bounded("the next event of a call", events.next()).await {
        assert!(end.is_none(), "after {end:?} came {event:?}");
        match event {
            Ok(ModelEvent::Finished { reply }) => end = Some(Ok(*reply)),
            Err(failure) => end = Some(Err(failure)),
            Ok(_piece) => {}
        }
    }
    end.expect("a call ends")
}

/// The text of an answer.
pub fn text(reply: &Reply) -> String {
    let said = reply.blocks.iter().filter_map(|block| match block {
        ReplyBlock::Said { block: Block::Text { text } } => Some(text.as_str()),
        ReplyBlock::Said { .. } | ReplyBlock::ToolUse { .. } => None,
    });
    said.collect()
}

/// An agent of this format, with these tools.
pub fn agent(kind: Kind, tools: &[&str]) -> AgentSpec {
    let mut agent = props::agent(name(kind), tools, &[]);
    agent.model = "model".into();
    agent.provider = Some(name(kind).into());
    agent
}

/// A runtime with these providers; `arrange` adds agents and tools.
pub async fn stage(vendors: Vec<Vendor>, arrange: impl FnOnce(Harness) -> Harness) -> Stage {
    Stage::set("agent nobody\n  say Nothing.\n", |mut harness| {
        harness.providers = vendors.into_iter().map(|vendor| Arc::new(vendor) as _).collect();
        arrange(harness)
    })
    .await
}

/// An agent for each of these formats with one tool, which may be used.
pub fn with_tool(
    kinds: &[Kind],
    prop: &props::Prop,
    tool: &str,
) -> impl FnOnce(Harness) -> Harness {
    let agents: Vec<_> = kinds.iter().map(|kind| agent(*kind, &[tool])).collect();
    let (prop, tool) = (prop.clone(), tool.to_owned());
    move |harness| {
        let harness = agents.into_iter().fold(harness, Harness::agent).tool(prop);
        allow(harness, &[&tool])
    }
}
