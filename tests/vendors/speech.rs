//! What vendors say, in the words of each: an answer with text and usage, calls under ids of the
//! vendor's choice, and streams from single frames. It knows the formats from outside, and shares
//! nothing with the adapters.

use greenroom::providers::Kind;
use serde_json::{Value, json};

use crate::server::Answer;

/// Formats that differ; Vertex speaks as Gemini does.
pub const KINDS: [Kind; 5] =
    [Kind::Anthropic, Kind::OpenAiChat, Kind::OpenAiResponses, Kind::Gemini, Kind::Ollama];

/// How each says what an answer cost: 20 in, 7 out.
pub const INPUT: u64 = 20;
pub const OUTPUT: u64 = 7;

/// Frames as the vendor sends them; without what closes the stream.
pub fn frames(kind: Kind, frames: &[Value]) -> String {
    let mut all = String::new();
    for frame in frames {
        match (kind, frame["type"].as_str()) {
            (Kind::Ollama, _) => all.push_str(&format!("{frame}\n")),
            (Kind::Anthropic | Kind::OpenAiResponses, Some(name)) => {
                all.push_str(&format!("event: {name}\ndata: {frame}\n\n"));
            }
            (_, _) => all.push_str(&format!("data: {frame}\n\n")),
        }
    }
    all
}

/// An answer that streams this body.
pub fn streams(kind: Kind, body: String) -> Answer {
    match kind {
        Kind::Ollama => Answer::lines(body),
        _events => Answer::events(body),
    }
}

/// A whole answer of this text.
pub fn says(kind: Kind, text: &str) -> Answer {
    streams(kind, body(kind, text))
}

/// Its bytes.
pub fn body(kind: Kind, text: &str) -> String {
    format!("{}{}{}", begins(kind), piece(kind, text), ends(kind))
}

/// What stands before the first piece of text.
pub fn begins(kind: Kind) -> String {
    match kind {
        Kind::Anthropic => frames(
            kind,
            &[
                json!({"type": "message_start", "message": {"id": "m", "type": "message",
                    "role": "assistant", "model": "model", "content": [],
                    "usage": {"input_tokens": INPUT, "output_tokens": 1}}}),
                json!({"type": "content_block_start", "index": 0,
                    "content_block": {"type": "text", "text": ""}}),
            ],
        ),
        Kind::OpenAiResponses => frames(
            kind,
            &[
                json!({"type": "response.created", "response": {"id": "r", "model": "model",
                    "status": "in_progress", "output": []}}),
                json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "i",
                    "type": "message", "role": "assistant", "content": []}}),
            ],
        ),
        _without => String::new(),
    }
}

/// A piece of text.
pub fn piece(kind: Kind, text: &str) -> String {
    let said = match kind {
        Kind::Anthropic => json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": text}}),
        Kind::OpenAiChat => json!({"model": "model", "choices": [{"index": 0,
            "delta": {"content": text}, "finish_reason": null}]}),
        Kind::OpenAiResponses => json!({"type": "response.output_text.delta", "item_id": "i",
            "output_index": 0, "content_index": 0, "delta": text}),
        Kind::Gemini | Kind::Vertex => {
            json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}]})
        }
        Kind::Ollama => json!({"model": "model", "message": {"role": "assistant",
            "content": text}, "done": false}),
    };
    frames(kind, &[said])
}

/// What stands behind the last piece of text.
pub fn ends(kind: Kind) -> String {
    closed(kind, "stop", &usage(kind))
}

/// Usage as this vendor writes it.
pub fn usage(kind: Kind) -> Value {
    match kind {
        Kind::Anthropic => json!({"output_tokens": OUTPUT}),
        Kind::OpenAiChat => json!({"prompt_tokens": INPUT, "completion_tokens": OUTPUT}),
        Kind::OpenAiResponses => json!({"input_tokens": INPUT, "output_tokens": OUTPUT}),
        Kind::Gemini | Kind::Vertex => {
            json!({"promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT})
        }
        Kind::Ollama => json!({"prompt_eval_count": INPUT, "eval_count": OUTPUT}),
    }
}

/// The end of an answer with this usage; of text, or of calls.
pub fn closed(kind: Kind, reason: &str, usage: &Value) -> String {
    let is_text = reason == "stop";
    match kind {
        Kind::Anthropic => {
            let reason = if is_text { "end_turn" } else { "tool_use" };
            let stop = json!({"type": "content_block_stop", "index": 0});
            let last = json!({"type": "message_delta", "delta": {"stop_reason": reason},
                "usage": usage});
            frames(kind, &[stop, last, json!({"type": "message_stop"})])
        }
        Kind::OpenAiChat => {
            let reason = if is_text { "stop" } else { "tool_calls" };
            let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]});
            let all = frames(kind, &[last, json!({"choices": [], "usage": usage})]);
            format!("{all}data: [DONE]\n\n")
        }
        Kind::OpenAiResponses => {
            let response = json!({"id": "r", "status": "completed", "model": "model",
                "output": [], "usage": usage});
            frames(kind, &[json!({"type": "response.completed", "response": response})])
        }
        Kind::Gemini | Kind::Vertex => {
            let candidate = json!({"content": {"parts": [], "role": "model"},
                "finishReason": "STOP"});
            frames(kind, &[json!({"candidates": [candidate], "usageMetadata": usage})])
        }
        Kind::Ollama => {
            let mut last = json!({"model": "model", "message": {"role": "assistant",
                "content": ""}, "done": true, "done_reason": "stop"});
            for (name, value) in usage.as_object().into_iter().flatten() {
                last[name] = value.clone();
            }
            frames(kind, &[last])
        }
    }
}

/// A call under the vendor's id.
pub struct Call<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub args: &'a str,
}

/// A whole answer of calls.
pub fn calls(kind: Kind, calls: &[Call<'_>]) -> String {
    let begun = match kind {
        Kind::Anthropic => frames(
            kind,
            &[json!({"type": "message_start", "message": {"model": "model", "content": [],
                "usage": {"input_tokens": INPUT}}})],
        ),
        _without => String::new(),
    };
    let all: String = calls.iter().enumerate().map(|(no, call)| called(kind, no, call)).collect();
    format!("{begun}{all}{}", closed(kind, "calls", &usage(kind)))
}

/// One call, whole.
pub fn called(kind: Kind, no: usize, Call { id, name, args }: &Call<'_>) -> String {
    let object: Value = serde_json::from_str(args).expect("arguments are JSON");
    let said = match kind {
        Kind::Anthropic => {
            vec![
                json!({"type": "content_block_start", "index": no + 1, "content_block":
                    {"type": "tool_use", "id": id, "name": name, "input": {}}}),
                json!({"type": "content_block_delta", "index": no + 1, "delta":
                    {"type": "input_json_delta", "partial_json": args}}),
                json!({"type": "content_block_stop", "index": no + 1}),
            ]
        }
        Kind::OpenAiChat => vec![json!({"choices": [{"index": 0, "delta": {"tool_calls": [{
            "index": no, "id": id, "type": "function",
            "function": {"name": name, "arguments": args}}]}}]})],
        Kind::OpenAiResponses => vec![json!({"type": "response.output_item.done",
            "output_index": no, "item": {"id": format!("f{no}"), "type": "function_call",
            "status": "completed", "call_id": id, "name": name, "arguments": args}})],
        Kind::Gemini | Kind::Vertex => {
            vec![json!({"candidates": [{"content": {"role": "model", "parts": [
                {"functionCall": {"id": id, "name": name, "args": object}}]}}]})]
        }
        Kind::Ollama => vec![json!({"model": "model", "done": false, "message": {
            "role": "assistant", "content": "", "tool_calls": [{"id": id,
            "function": {"name": name, "arguments": object}}]}})],
    };
    frames(kind, &said)
}
