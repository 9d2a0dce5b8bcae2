//! Names of spans, metrics and attributes, as the OpenTelemetry conventions for generative AI have them.
//! They are still in development there, so they stand here and nowhere else. What those conventions have
//! no name for is called `greenroom.…`.

use greenroom_actors::domain::{
    conversation::Stop,
    permission::{Answer, Closed},
};

/// What is done.
pub const OPERATION: &str = "gen_ai.operation.name";
/// An agent works on one input.
pub const INVOKE_AGENT: &str = "invoke_agent";
/// A model is called.
pub const CHAT: &str = "chat";
/// A tool runs.
pub const EXECUTE_TOOL: &str = "execute_tool";
/// A person is asked.
pub const PERMISSION: &str = "greenroom.permission";
/// A failed call will be made again: an event of the agent's span.
pub const RETRY: &str = "greenroom.retry";
/// Another model takes over: the same.
pub const FALLBACK: &str = "greenroom.fallback";

/// Who serves the model.
pub const PROVIDER: &str = "gen_ai.provider.name";
/// Where nobody said who serves it.
pub const PROVIDER_UNKNOWN: &str = "_OTHER";
/// The agent, as its file calls it.
pub const AGENT: &str = "gen_ai.agent.name";
/// The one that is at work: its session.
pub const AGENT_ID: &str = "gen_ai.agent.id";
/// What it talks in: its session as well, for each has a conversation of its own.
pub const CONVERSATION: &str = "gen_ai.conversation.id";
/// The model that was asked.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// The model that answered.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Why it stopped.
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Tokens in, from a cache or not.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Of these, read from a cache.
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// Of these, written to a cache.
pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// Tokens out.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Of these, spent on reasoning.
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// The tool.
pub const TOOL: &str = "gen_ai.tool.name";
/// Its call.
pub const TOOL_CALL: &str = "gen_ai.tool.call.id";
/// What kind of tool.
pub const TOOL_TYPE: &str = "gen_ai.tool.type";
/// One that this program runs.
pub const FUNCTION: &str = "function";
/// What went wrong, in one word.
pub const ERROR: &str = "error.type";
/// How a question ended.
pub const ANSWER: &str = "greenroom.permission.answer";
/// When a failed call is made again.
pub const RETRY_AFTER_MS: &str = "greenroom.retry.after_ms";

/// How long agents take for an input.
pub const AGENT_DURATION: &str = "gen_ai.invoke_agent.duration";
/// How long tools take.
pub const TOOL_DURATION: &str = "gen_ai.execute_tool.duration";
/// How long calls of models take.
pub const DURATION: &str = "gen_ai.client.operation.duration";
/// How many tokens they take.
pub const TOKENS: &str = "gen_ai.client.token.usage";
/// Which tokens.
pub const TOKEN_TYPE: &str = "gen_ai.token.type";
/// Those in.
pub const INPUT: &str = "input";
/// Those out.
pub const OUTPUT: &str = "output";
/// The unit of durations.
pub const SECONDS: &str = "s";
/// The unit of tokens.
pub const OF_TOKENS: &str = "{token}";

/// What this program is called there, unless somebody says otherwise.
pub const SERVICE: &str = "greenroom";
/// Whose name that is.
pub const SERVICE_NAME: &str = "service.name";
/// Which of several processes of that name: figures of two would else be taken for one's.
pub const SERVICE_INSTANCE: &str = "service.instance.id";
/// Which version of it.
pub const SERVICE_VERSION: &str = "service.version";

/// The provider's name there, where it has one; any other keeps its own, as `scripted` does.
#[must_use]
pub fn provider(name: &str) -> &str {
    match name {
        "openai_chat" => "openai",
        "gemini" => "gcp.gemini",
        "vertex" => "gcp.vertex_ai",
        "azure" => "azure.ai.openai",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        "moonshot" => "moonshot_ai",
        other => other,
    }
}

/// Why a model stopped, in the words that are used there.
#[must_use]
pub const fn stop(stop: Stop) -> &'static str {
    match stop {
        Stop::EndTurn | Stop::StopSequence => "stop",
        Stop::ToolUse => "tool_call",
        Stop::MaxTokens => "length",
        Stop::Refusal => "content_filter",
        Stop::Paused => "paused",
    }
}

/// How a question was answered.
#[must_use]
pub const fn answer(answer: &Answer) -> &'static str {
    match answer {
        Answer::Once => "once",
        Answer::Turn => "turn",
        Answer::Session => "session",
        Answer::Always => "always",
        Answer::All => "all",
        Answer::Edit { .. } => "edit",
        Answer::Reject => "reject",
        Answer::Never => "never",
        Answer::Comment { .. } => "comment",
        Answer::Revise { .. } => "revise",
    }
}

/// How it ended without an answer.
#[must_use]
pub const fn closed(why: Closed) -> &'static str {
    match why {
        Closed::Expired => "expired",
        Closed::Withdrawn => "withdrawn",
    }
}
