//! What a recorded answer says, read a second time without the adapters: from what the vendor's own
//! SDK made of it where that is recorded, from the whole body where it is one object, and by a naive
//! reader of its lines for the vendors whose answers are recorded without.

use greenroom::providers::Kind;
use serde_json::{Value, json};

/// What must come of an answer. What is `None` is not known.
#[derive(Debug, Default)]
pub struct Wanted {
    pub text: Option<String>,
    pub thinking: Option<String>,
    /// Names and arguments.
    pub tools: Option<Vec<(String, Value)>>,
    /// Words of which our stop must be one.
    pub stops: Option<&'static [&'static str]>,
    /// Input without cache, read from cache, written to cache, output, reasoning.
    pub usage: Option<[u64; 5]>,
    /// Parts that only the vendor understands and that must come back unchanged.
    pub opaque: Vec<Value>,
    /// Whether the vendor itself says that this is no answer: then it must fail.
    pub unusable: bool,
}

/// What must come of an answer to a request of this kind; nothing where nobody knows.
pub fn wanted(kind: Kind, expected: Option<&Value>, body: &[u8]) -> Option<Wanted> {
    let whole = || serde_json::from_slice::<Value>(body).ok();
    match kind {
        Kind::Anthropic => messages(&expected.cloned().or_else(whole)?),
        Kind::OpenAiResponses => match expected {
            Some(expected) => {
                let last = expected.get("final").unwrap_or(expected);
                let mut wanted = responses(last)?;
                // Some services tell the items by their events alone.
                if last["output"] == json!([]) && last["status"] == "completed" {
                    (wanted.text, wanted.tools, wanted.stops) = (None, None, None);
                }
                Some(wanted)
            }
            None => responses(&whole()?),
        },
        Kind::OpenAiChat => match expected {
            Some(expected) => chat_chunks(expected),
            None => chat_whole(&whole()?),
        },
        Kind::Gemini | Kind::Vertex => gemini(body),
        Kind::Ollama => ollama(body),
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn messages(message: &Value) -> Option<Wanted> {
    let mut wanted = Wanted { text: Some(String::new()), ..Wanted::default() };
    let (mut thinking, mut tools) = (String::new(), Vec::new());
    for part in message["content"].as_array()? {
        match part["type"].as_str()? {
            "text" => push(&mut wanted.text, &part["text"]),
            "thinking" => thinking.push_str(part["thinking"].as_str().unwrap_or_default()),
            "tool_use" => tools.push(tool(&part["name"], part["input"].clone())),
            _foreign => wanted.opaque.push(part.clone()),
        }
    }
    (wanted.thinking, wanted.tools) = (Some(thinking), Some(tools));
    wanted.stops = Some(match message["stop_reason"].as_str()? {
        "end_turn" => &["EndTurn"],
        "tool_use" => &["ToolUse"],
        "max_tokens" | "model_context_window_exceeded" => &["MaxTokens"],
        "stop_sequence" => &["StopSequence"],
        "refusal" => &["Refusal"],
        "pause_turn" => &["Paused"],
        _foreign => &["EndTurn", "ToolUse", "MaxTokens", "StopSequence", "Refusal", "Paused"],
    });
    let usage = &message["usage"];
    let reasoning = number(&usage["output_tokens_details"]["thinking_tokens"]);
    wanted.usage = usage.is_object().then(|| {
        [
            number(&usage["input_tokens"]),
            number(&usage["cache_read_input_tokens"]),
            number(&usage["cache_creation_input_tokens"]),
            number(&usage["output_tokens"]),
            reasoning.min(number(&usage["output_tokens"])),
        ]
    });
    Some(wanted)
}

fn responses(response: &Value) -> Option<Wanted> {
    let mut wanted = Wanted { text: Some(String::new()), ..Wanted::default() };
    let (mut refused, mut tools) = (false, Vec::new());
    for item in response["output"].as_array()? {
        match item["type"].as_str()? {
            "message" => {
                for part in item["content"].as_array().into_iter().flatten() {
                    refused |= part["type"] == "refusal";
                    push(&mut wanted.text, &part["text"]);
                    push(&mut wanted.text, &part["refusal"]);
                }
            }
            "function_call" => {
                tools.push(tool(&item["name"], item["arguments"].clone()));
            }
            "custom_tool_call" => return None,
            _foreign => {}
        }
    }
    wanted.stops = match response["status"].as_str()? {
        "completed" if refused => Some(&["Refusal"]),
        "completed" if tools.is_empty() => Some(&["EndTurn"]),
        "completed" => Some(&["ToolUse"]),
        "incomplete" => Some(&["MaxTokens", "Refusal"]),
        // Or still being worked on.
        "failed" | "cancelled" | "queued" | "in_progress" => {
            wanted.unusable = true;
            None
        }
        _foreign => None,
    };
    wanted.tools = Some(tools);
    let usage = &response["usage"];
    wanted.usage = usage.is_object().then(|| openai_usage(usage, "input_tokens", "output_tokens"));
    Some(wanted)
}

fn chat_chunks(all: &Value) -> Option<Wanted> {
    let message = json!({ "content": all["text"], "tool_calls": all["tool_calls"] });
    let mut wanted = chat(&message, &all["finish_reason"], &all["usage"])?;
    wanted.thinking = all["reasoning"].as_str().map(str::to_owned);
    Some(wanted)
}

fn chat_whole(body: &Value) -> Option<Wanted> {
    let choices = body["choices"].as_array()?;
    let mut message = choices.first()?["message"].clone();
    // Where several answers were asked for, a stream of them is put together as one text.
    let texts = choices.iter().filter_map(|choice| choice["message"]["content"].as_str());
    if message["content"].is_string() {
        message["content"] = Value::String(texts.collect());
    }
    // Copilot says the calls of one answer in a choice of their own.
    let calls = choices.iter().filter_map(|choice| choice["message"]["tool_calls"].as_array());
    message["tool_calls"] = Value::Array(calls.flatten().cloned().collect());
    chat(&message, &choices[0]["finish_reason"], &body["usage"])
}

fn chat(message: &Value, finish: &Value, usage: &Value) -> Option<Wanted> {
    let mut wanted = Wanted::default();
    if message["content"].is_string() {
        wanted.text = message["content"].as_str().map(str::to_owned);
    }
    // How one call was said before there could be several.
    let old = message.get("function_call").filter(|call| call.is_object());
    let mut tools = Vec::new();
    for call in message["tool_calls"].as_array().into_iter().flatten().chain(old) {
        let call = call.get("function").or_else(|| call.get("custom")).unwrap_or(call);
        let args = call.get("arguments").or_else(|| call.get("input")).cloned();
        tools.push(tool(&call["name"], args.unwrap_or_default()));
    }
    wanted.stops = match finish.as_str() {
        Some("stop") if tools.is_empty() => Some(&["EndTurn"]),
        Some("stop" | "tool_calls" | "function_call") if !tools.is_empty() => Some(&["ToolUse"]),
        Some("length") => Some(&["MaxTokens"]),
        Some("content_filter") => Some(&["Refusal"]),
        _foreign => None,
    };
    wanted.tools = Some(tools);
    let known = usage.get("prompt_tokens").is_some_and(Value::is_u64);
    wanted.usage = known.then(|| chat_usage(usage));
    Some(wanted)
}

/// What differs: who names the cache elsewhere, and who counts the reasoning beside the completion,
/// as the total then shows.
fn chat_usage(usage: &Value) -> [u64; 5] {
    let [mut input, mut cached, written, mut output, mut reasoning] =
        openai_usage(usage, "prompt_tokens", "completion_tokens");
    if usage["prompt_tokens_details"]["cached_tokens"].is_null() {
        let elsewhere = [&usage["prompt_cache_hit_tokens"], &usage["cached_tokens"]];
        cached = elsewhere.into_iter().find_map(Value::as_u64).unwrap_or(0);
        input = input.saturating_sub(cached);
    }
    if usage["completion_tokens_details"]["reasoning_tokens"].is_null() {
        reasoning = number(&usage["reasoning_tokens"]);
    }
    let all = number(&usage["prompt_tokens"]) + output + reasoning;
    if reasoning > 0 && usage["total_tokens"].as_u64() == Some(all) {
        output += reasoning;
    }
    // Of an answer no more can be reasoning than there is of it.
    [input, cached, written, output, reasoning.min(output)]
}

fn openai_usage(usage: &Value, input: &str, output: &str) -> [u64; 5] {
    let (into, out) = (&usage[format!("{input}_details")], &usage[format!("{output}_details")]);
    let (cached, written) = (number(&into["cached_tokens"]), number(&into["cache_write_tokens"]));
    let fresh = number(&usage[input]).saturating_sub(cached).saturating_sub(written);
    [fresh, cached, written, number(&usage[output]), number(&out["reasoning_tokens"])]
}

/// Objects of a body: one, an array of them, events or lines.
fn objects(body: &[u8]) -> Option<Vec<Value>> {
    if let Ok(whole) = serde_json::from_slice::<Value>(body) {
        return Some(match whole {
            Value::Array(all) => all,
            one => vec![one],
        });
    }
    let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}');
    let lines = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
    let lines = lines.filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).ok()).collect()
}

fn gemini(body: &[u8]) -> Option<Wanted> {
    let mut wanted = Wanted { text: Some(String::new()), ..Wanted::default() };
    let (mut thinking, mut tools) = (String::new(), Vec::new());
    let mut usage = Value::Null;
    let (mut finish, mut begun, mut in_bits) = (String::new(), false, false);
    for object in objects(body)? {
        let candidate = &object["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            begun = true;
            if part["thought"] == true {
                thinking.push_str(part["text"].as_str().unwrap_or_default());
            } else if let Some(call) = part.get("functionCall") {
                in_bits |= call.get("willContinue").is_some();
                tools.push(tool(&call["name"], call["args"].clone()));
            } else {
                push(&mut wanted.text, &part["text"]);
            }
        }
        if let Some(reason) = candidate["finishReason"].as_str() {
            reason.clone_into(&mut finish);
        }
        if object["usageMetadata"].is_object() {
            usage = object["usageMetadata"].clone();
        }
    }
    wanted.stops = match finish.as_str() {
        "STOP" if tools.is_empty() => Some(&["EndTurn"]),
        "STOP" => Some(&["ToolUse"]),
        "MAX_TOKENS" => Some(&["MaxTokens"]),
        _foreign => None,
    };
    wanted.unusable = match finish.as_str() {
        "MALFORMED_FUNCTION_CALL"
        | "MALFORMED_RESPONSE"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE" => true,
        ""
        | "STOP"
        | "MAX_TOKENS"
        | "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => false,
        // A reason that nobody knows, and not a part of an answer.
        _foreign => !begun,
    };
    wanted.thinking = Some(thinking);
    // A call that comes bit by bit is no list of calls.
    wanted.tools = (!in_bits).then_some(tools);
    wanted.usage = usage.is_object().then(|| {
        let cached = number(&usage["cachedContentTokenCount"]);
        let thoughts = number(&usage["thoughtsTokenCount"]);
        let input = number(&usage["promptTokenCount"]).saturating_sub(cached)
            + number(&usage["toolUsePromptTokenCount"]);
        [input, cached, 0, number(&usage["candidatesTokenCount"]) + thoughts, thoughts]
    });
    Some(wanted)
}

fn ollama(body: &[u8]) -> Option<Wanted> {
    let mut wanted = Wanted { text: Some(String::new()), ..Wanted::default() };
    let (mut thinking, mut tools) = (String::new(), Vec::new());
    for object in objects(body)? {
        let message = &object["message"];
        push(&mut wanted.text, &message["content"]);
        thinking.push_str(message["thinking"].as_str().unwrap_or_default());
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            tools.push(tool(&function["name"], function["arguments"].clone()));
        }
        if object["done"] == true {
            wanted.stops = match object["done_reason"].as_str() {
                Some("stop") | None if tools.is_empty() => Some(&["EndTurn"]),
                Some("stop") => Some(&["ToolUse"]),
                Some("length") => Some(&["MaxTokens"]),
                _foreign => None,
            };
            let counted = object["eval_count"].is_u64();
            let (input, output) = (&object["prompt_eval_count"], &object["eval_count"]);
            wanted.usage = counted.then(|| [number(input), 0, 0, number(output), 0]);
        }
    }
    (wanted.thinking, wanted.tools) = (Some(thinking), Some(tools));
    Some(wanted)
}

fn push(text: &mut Option<String>, more: &Value) {
    if let (Some(text), Some(more)) = (text.as_mut(), more.as_str()) {
        text.push_str(more);
    }
}

/// A call: its arguments as an object, also where they came as its text, or not at all.
fn tool(name: &Value, args: Value) -> (String, Value) {
    let args = match args {
        Value::String(text) => parsed(&text),
        Value::Null => json!({}),
        other => other,
    };
    (name.as_str().unwrap_or_default().to_owned(), args)
}

/// Arguments as an object; none at all are an empty one.
fn parsed(args: &str) -> Value {
    if args.trim().is_empty() {
        return json!({});
    }
    serde_json::from_str(args).unwrap_or_else(|_broken| Value::String(args.to_owned()))
}
