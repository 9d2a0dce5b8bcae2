//! A model that costs nothing and asks for one tool call in each turn. The scripted ones count the
//! bytes of the whole prompt for every answer, as a vendor does in its own house: in a session of
//! thousands of turns that would be most of what is measured.

use futures_util::{future::BoxFuture, stream, stream::BoxStream};
use greenroom_actors::{
    domain::{
        conversation::{Block, Reply, ReplyBlock, Stop},
        event::ModelFailure,
        ids::{CredentialName, ModelName, ProviderName},
        tool::Args,
        usage::Usage,
    },
    ports::{ModelEvent, ModelProvider, ModelRequest},
};

/// Asks for the tool `look`, and has nothing to say of what it sees.
pub struct Looks;

impl ModelProvider for Looks {
    fn name(&self) -> ProviderName {
        "looks".into()
    }

    fn credential(&self) -> CredentialName {
        "looks".into()
    }

    fn call(&self, request: ModelRequest) -> BoxStream<'static, Result<ModelEvent, ModelFailure>> {
        let last = request.messages.last().and_then(|message| message.blocks.last());
        let (blocks, stop) = if matches!(last, Some(Block::ToolResult { .. })) {
            (Vec::new(), Stop::EndTurn)
        } else {
            let (name, args) = ("look".into(), Args("{}".to_owned()));
            (vec![ReplyBlock::ToolUse { name, args }], Stop::ToolUse)
        };
        let reply = Reply { blocks, stop, usage: Some(Usage::default()), served_by: None };
        let finished = ModelEvent::Finished { reply: Box::new(reply) };
        Box::pin(stream::iter([Ok(finished)]))
    }

    fn list_models(
        &self,
        _prefix: String,
    ) -> BoxFuture<'static, Result<Vec<ModelName>, ModelFailure>> {
        Box::pin(std::future::ready(Ok(vec!["looks".into()])))
    }

    fn verify_auth(&self) -> BoxFuture<'static, Result<(), ModelFailure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
