//! What the script says, as Chat Completions says it: events as chunks in small pieces, failures as
//! statuses, as errors amid the stream, or as streams that break off. Pure; who sends it has the
//! time and the connection.

use greenroom_actors::{
    domain::{
        conversation::{Reply, ReplyBlock, Stop},
        event::{FailureKind, ModelFailure},
        usage::Usage,
    },
    ports::ModelEvent,
};
use serde_json::{Value, json};

/// Characters of a piece: a token or two, as vendors send them.
const PIECE_CHARS: usize = 6;

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its data.
    pub(crate) data: String,
    /// How many bytes of the answer are in it.
    pub(crate) output_bytes: usize,
}

/// How a failure is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Instead of an answer.
    Status { status: u16, headers: String, body: String },
    /// Amid the answer, which is over then.
    Chunk(String),
    /// The body ends, the answer does not.
    EndsEarly,
    /// The connection breaks.
    Cut,
}

/// An event, in pieces. The end's last piece is `[DONE]`, which the whole answer comes before.
pub(crate) fn pieces(model: &str, event: &ModelEvent) -> Vec<Piece> {
    match event {
        ModelEvent::Text { delta } => said(model, "content", delta),
        ModelEvent::Thinking { delta } => said(model, "reasoning_content", delta),
        // The script knows of no limits.
        ModelEvent::Limits { .. } => Vec::new(),
        ModelEvent::Finished { reply } => end(model, reply),
    }
}

fn said(model: &str, field: &str, text: &str) -> Vec<Piece> {
    let pieces = cut(text).into_iter();
    pieces.map(|piece| delta(model, &json!({ field: piece }), piece.len())).collect()
}

/// In as many pieces as it takes.
fn cut(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(PIECE_CHARS).map(|piece| piece.iter().collect()).collect()
}

fn delta(model: &str, delta: &Value, output_bytes: usize) -> Piece {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": null });
    Piece { data: chunk(model, &json!([choice]), None), output_bytes }
}

fn chunk(model: &str, choices: &Value, usage: Option<Usage>) -> String {
    let usage = usage.map(|usage| {
        let prompt = usage.input + usage.cache_read + usage.cache_write;
        json!({
            "prompt_tokens": prompt,
            "completion_tokens": usage.output,
            "total_tokens": prompt + usage.output,
            "prompt_tokens_details":
                { "cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write },
            "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
        })
    });
    let object = "chat.completion.chunk";
    json!({ "object": object, "model": model, "choices": choices, "usage": usage }).to_string()
}

fn end(model: &str, reply: &Reply) -> Vec<Piece> {
    let calls = reply.blocks.iter().filter_map(|block| match block {
        ReplyBlock::ToolUse { name, args } => Some((name.as_str(), args.0.as_str())),
        // It was streamed.
        ReplyBlock::Said { .. } => None,
    });
    let mut all = Vec::new();
    for (index, (name, args)) in calls.enumerate() {
        let function = json!({ "name": name, "arguments": "" });
        let id = format!("of-the-vendor-{index}");
        let call = json!({ "index": index, "id": id, "type": "function", "function": function });
        all.push(delta(model, &json!({ "tool_calls": [call] }), name.len()));
        all.extend(cut(args).into_iter().map(|piece| {
            let call = json!({ "index": index, "function": { "arguments": piece } });
            delta(model, &json!({ "tool_calls": [call] }), piece.len())
        }));
    }
    let choice = json!({ "index": 0, "delta": {}, "finish_reason": reason(reply.stop) });
    let closing = [
        Some(chunk(model, &json!([choice]), None)),
        reply.usage.map(|usage| chunk(model, &json!([]), Some(usage))),
        Some("[DONE]".to_owned()),
    ];
    let piece = |data| Piece { data, output_bytes: 0 };
    all.extend(closing.into_iter().flatten().map(piece));
    all
}

const fn reason(stop: Stop) -> &'static str {
    match stop {
        // The format has no word for a pause.
        Stop::EndTurn | Stop::Paused => "stop",
        Stop::ToolUse => "tool_calls",
        Stop::MaxTokens => "length",
        Stop::StopSequence => "stop_sequence",
        Stop::Refusal => "content_filter",
    }
}

/// How a failure is said; `begun` when pieces of the answer are out. What may have been billed is
/// never said by a status, for the statuses here are those of calls that were not begun.
pub(crate) fn fault(failure: &ModelFailure, begun: bool) -> Fault {
    let (status, code) = match failure.kind {
        FailureKind::Auth => (401, "authentication_error"),
        FailureKind::Quota => (402, "insufficient_quota"),
        FailureKind::BadRequest => (400, "invalid_request_error"),
        FailureKind::RateLimited => (429, "rate_limit_exceeded"),
        FailureKind::Overloaded => (503, "overloaded_error"),
        FailureKind::TimedOut => return Fault::Chunk(problem("timeout", failure)),
        FailureKind::Malformed => return Fault::Chunk("no JSON".to_owned()),
        FailureKind::EndedEarly => return Fault::EndsEarly,
        FailureKind::Transport | FailureKind::Aborted | FailureKind::Lost => return Fault::Cut,
    };
    let body = problem(code, failure);
    if begun || !failure.unbilled {
        return Fault::Chunk(body);
    }
    // The form in milliseconds is read first; the other is in whole seconds, and rounds up.
    let wait = |ms: u64| format!("retry-after-ms: {ms}\r\nretry-after: {}\r\n", ms.div_ceil(1_000));
    let headers = failure.retry_after_ms.map(wait).unwrap_or_default();
    Fault::Status { status, headers, body }
}

fn problem(code: &str, failure: &ModelFailure) -> String {
    json!({ "error": { "message": failure.message, "type": code, "code": code } }).to_string()
}
