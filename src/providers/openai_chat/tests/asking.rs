//! Requests: what is sent, and what is not.

use std::{collections::BTreeMap, sync::Arc};

use greenroom_actors::domain::{
    agent::Sampling,
    conversation::{BlobRef, Message, Speaker},
    ids::{CallId, ModelCallNo, PoolKind, SessionId, ToolCallNo, ToolName, TurnId},
    tool::{Args, EffectClass, Output, ToolSpec},
};
use serde_json::{Value, json};

use super::*;

fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        call: CallId::model(SessionId(uuid::Uuid::nil()), ModelCallNo(1)),
        agent: "a".into(),
        turn: TurnId(1),
        deadline: Timestamp(0),
        model: "m".into(),
        instructions: String::new(),
        tools: Arc::new(vec![]),
        messages: messages.into_iter().map(Arc::new).collect(),
        sampling: Sampling::default(),
        images: BTreeMap::new(),
    }
}

fn message(speaker: Speaker, blocks: Vec<Block>) -> Message {
    Message { speaker, blocks }
}

fn text(text: &str) -> Block {
    Block::Text { text: text.to_owned() }
}

fn opaque(family: &str, json: &str) -> Block {
    Block::Opaque { provider: family.into(), json: json.to_owned() }
}

fn thought(signature: Option<&str>) -> Block {
    Block::Thinking { text: "hm".to_owned(), signature: signature.map(Into::into) }
}

fn call(no: u32) -> Block {
    Block::ToolUse { call: ToolCallNo(no), name: ToolName("f".into()), args: Args("{}".into()) }
}

fn result(no: u32, is_error: bool) -> Block {
    Block::ToolResult { call: ToolCallNo(no), output: Output::text("done"), is_error }
}

fn sent(quirks: Quirks, request: &ModelRequest) -> Value {
    let ask = OpenAiChat::new("own", quirks).ask(request, true).unwrap();
    assert_eq!(ask.path, "/chat/completions");
    let again = OpenAiChat::new("own", quirks).ask(request, true).unwrap();
    assert_eq!(ask, again, "the same request is the same bytes");
    serde_json::from_slice(&ask.body).unwrap()
}

#[test]
fn what_is_not_set_is_left_out() {
    let request = request(vec![Message::user("hi")]);
    let expected = json!({
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    assert_eq!(sent(Quirks::COMPATIBLE, &request), expected);
    let whole = OpenAiChat::new("own", Quirks::COMPATIBLE).ask(&request, false).unwrap();
    let whole: Value = serde_json::from_slice(&whole.body).unwrap();
    assert_eq!((&whole["stream"], whole.get("stream_options")), (&json!(false), None));
    let unasked = sent(Quirks { usage_asked: false, ..Quirks::COMPATIBLE }, &request);
    assert_eq!(unasked.get("stream_options"), None);
}

#[test]
fn a_conversation_with_tools_is_sent_in_the_vendors_shape() {
    let mut request = request(vec![
        Message::user("do"),
        message(Speaker::Assistant, vec![text("so"), call(1), call(2)]),
        message(Speaker::User, vec![text("and then"), result(1, false), result(2, true)]),
        message(Speaker::Assistant, vec![call(100_000)]),
        message(Speaker::Assistant, vec![thought(None)]),
    ]);
    request.instructions = "be good".to_owned();
    request.tools = Arc::new(vec![ToolSpec {
        name: "f".into(),
        description: "Does.".to_owned(),
        schema: r#"{"type": "object", "b":1, "a":2}"#.to_owned(),
        effect: EffectClass::Pure,
        pool: PoolKind("p".to_owned()),
    }]);
    let body = sent(Quirks::COMPATIBLE, &request);
    let called = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "be good"},
            {"role": "user", "content": "do"},
            {"role": "assistant", "content": "so", "tool_calls": [called("call00001"), called("call00002")]},
            {"role": "tool", "content": "done", "tool_call_id": "call00001"},
            {"role": "tool", "content": "error: done", "tool_call_id": "call00002"},
            {"role": "user", "content": "and then"},
            {"role": "assistant", "content": null, "tool_calls": [called("call100000")]},
        ])
    );
    // The schema goes as it was written, byte for byte.
    let ask = OpenAiChat::new("own", Quirks::COMPATIBLE).ask(&request, true).unwrap();
    let bytes = String::from_utf8(ask.body.to_vec()).unwrap();
    assert!(bytes.contains(r#""parameters":{"type": "object", "b":1, "a":2}"#), "{bytes}");
}

#[test]
fn thoughts_go_back_only_as_a_vendor_wants_them() {
    let back = |thinking, thinking_back, tokens| {
        let details = opaque("own", r#"[{"type": "reasoning.text"},{"b":1, "a":2}]"#);
        let foreign = opaque("other", r#"[{"type":"x"}]"#);
        let thinks = vec![details, foreign, thought(None), thought(Some("s")), text("a")];
        let silent = message(Speaker::Assistant, vec![text("b")]);
        let mut request = request(vec![message(Speaker::Assistant, thinks), silent]);
        request.sampling.thinking_tokens = tokens;
        let quirks = Quirks { thinking, thinking_back, ..Quirks::COMPATIBLE };
        let bytes = OpenAiChat::new("own", quirks).ask(&request, true).unwrap().body.to_vec();
        String::from_utf8(bytes).unwrap()
    };
    let table = [
        (
            Thinking::Unasked,
            ThinkingBack::Dropped,
            None,
            r#"[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]"#,
        ),
        (
            Thinking::Unasked,
            ThinkingBack::Content,
            None,
            r#"[{"role":"assistant","content":"a","reasoning_content":"hm"},{"role":"assistant","content":"b"}]"#,
        ),
        (
            Thinking::Switch,
            ThinkingBack::ContentAlways,
            Some(9),
            r#"[{"role":"assistant","content":"a","reasoning_content":"hm"},{"role":"assistant","content":"b","reasoning_content":""}]"#,
        ),
        // Told not to think, it wants no thoughts.
        (
            Thinking::Switch,
            ThinkingBack::ContentAlways,
            None,
            r#"[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]"#,
        ),
        (
            Thinking::Unasked,
            ThinkingBack::Reasoning,
            None,
            r#"[{"role":"assistant","content":"a","reasoning":"hm"},{"role":"assistant","content":"b"}]"#,
        ),
        // Byte for byte, to its own family alone.
        (
            Thinking::Unasked,
            ThinkingBack::Details,
            None,
            r#"[{"role":"assistant","content":"a","reasoning_details":[{"type": "reasoning.text"},{"b":1, "a":2}]},{"role":"assistant","content":"b"}]"#,
        ),
    ];
    for (thinking, how, tokens, expected) in table {
        let body = back(thinking, how, tokens);
        assert!(body.contains(&format!("\"messages\":{expected}")), "{how:?}: {body}");
    }
}

#[test]
fn a_part_that_nobody_knows_goes_back_byte_for_byte() {
    let part = r#"{"type":"reference", "ids":[1]}"#;
    let foreign = opaque("other", r#"{"type":"redacted"}"#);
    let said = vec![text("a"), opaque("own", part), foreign, text("b")];
    let request = request(vec![message(Speaker::Assistant, said)]);
    let bytes = OpenAiChat::new("own", Quirks::COMPATIBLE).ask(&request, true).unwrap().body;
    let body = String::from_utf8(bytes.to_vec()).unwrap();
    let expected =
        format!(r#""content":[{{"type":"text","text":"a"}},{part},{{"type":"text","text":"b"}}]"#);
    assert!(body.contains(&expected), "{body}");
}

#[test]
fn sampling_is_said_in_the_words_of_the_vendor() {
    let mut request = request(vec![Message::user("hi")]);
    request.instructions = "be good".to_owned();
    request.sampling = Sampling {
        temperature_milli: Some(700),
        output_tokens_max: Some(64),
        stop: vec!["END".to_owned()],
        thinking_tokens: None,
        output_schema: Some(r#"{"type":"object"}"#.to_owned()),
    };
    let plain = sent(Quirks::COMPATIBLE, &request);
    assert_eq!((&plain["temperature"], &plain["max_tokens"]), (&json!(0.7), &json!(64)));
    assert_eq!(plain["stop"], json!(["END"]));
    let schema = json!({"name": "answer", "schema": {"type": "object"}});
    assert_eq!(plain["response_format"], json!({"type": "json_schema", "json_schema": schema}));
    let other = Quirks {
        instructions: Instructions::Developer,
        output_max: OutputMax::CompletionTokens,
        schemas: Schemas::Worded,
        ..Quirks::COMPATIBLE
    };
    let body = sent(other, &request);
    assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(64), None));
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    assert_eq!(body["messages"][0]["role"], "developer");
    let told = body["messages"][0]["content"].as_str().unwrap();
    assert!(told.starts_with("be good\n\n") && told.ends_with(r#"{"type":"object"}"#), "{told}");
    // With thinking there is no temperature.
    request.sampling.thinking_tokens = Some(4_096);
    for (thinking, field, expected) in [
        (Thinking::Unasked, "reasoning_effort", None),
        (Thinking::Effort, "reasoning_effort", Some(json!("medium"))),
        (Thinking::Budget, "reasoning", Some(json!({"max_tokens": 4_096}))),
        (Thinking::Switch, "thinking", Some(json!({"type": "enabled"}))),
        (Thinking::SwitchOn, "thinking", Some(json!({"type": "enabled"}))),
    ] {
        let body = sent(Quirks { thinking, ..Quirks::COMPATIBLE }, &request);
        assert_eq!(body.get(field), expected.as_ref(), "{thinking:?}");
        assert_eq!(body.get("temperature"), None);
    }
    request.sampling.thinking_tokens = None;
    for (thinking, expected) in
        [(Thinking::Switch, Some(json!({"type": "disabled"}))), (Thinking::SwitchOn, None)]
    {
        let body = sent(Quirks { thinking, ..Quirks::COMPATIBLE }, &request);
        assert_eq!(body.get("thinking"), expected.as_ref(), "{thinking:?}");
    }
}

#[test]
fn strict_schemas_are_asked_for_only_where_the_schema_allows_it() {
    for (schema, expected) in [
        (
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
            true,
        ),
        (r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#, false),
        (
            r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a"],"additionalProperties":false}"#,
            false,
        ),
        (
            r#"{"type":"object","properties":{"a":{"type":["object","null"]}},"required":["a"],"additionalProperties":false}"#,
            false,
        ),
    ] {
        let mut request = request(vec![Message::user("hi")]);
        request.sampling.output_schema = Some(schema.to_owned());
        let body = sent(Quirks { schemas: Schemas::Strict, ..Quirks::COMPATIBLE }, &request);
        assert_eq!(body["response_format"]["json_schema"]["strict"], expected, "{schema}");
    }
}

#[test]
fn an_image_is_sent_with_its_bytes_or_not_at_all() {
    let blob = BlobRef { sha256: "aa".to_owned(), bytes: 3 };
    let image = Block::Image { media_type: "image/png".to_owned(), blob };
    let mut request = request(vec![message(Speaker::User, vec![text("see"), image])]);
    let missing = OpenAiChat::new("own", Quirks::COMPATIBLE).ask(&request, true);
    assert!(missing.unwrap_err().contains("blob aa"));
    request.images.insert("aa".to_owned(), Arc::from(&b"abc"[..]));
    let parts = json!([
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}},
    ]);
    assert_eq!(sent(Quirks::COMPATIBLE, &request)["messages"][0]["content"], parts);
}

#[test]
fn prompts_of_anthropics_models_are_marked_for_the_cache() {
    let mut request = request(vec![
        Message::user("do"),
        message(Speaker::Assistant, vec![call(1)]),
        message(Speaker::User, vec![result(1, false)]),
    ]);
    request.instructions = "be good".to_owned();
    let quirks = Quirks { cache_marks: true, ..Quirks::COMPATIBLE };
    assert_eq!(sent(quirks, &request), sent(Quirks::COMPATIBLE, &request));
    request.model = "anthropic/claude".into();
    let body = sent(quirks, &request);
    let marked = |text: &str| json!([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]);
    assert_eq!(body["messages"][0]["content"], marked("be good"));
    assert_eq!(body["messages"][1]["content"], "do");
    assert_eq!(body["messages"][3]["content"], marked("done"));
}

#[test]
fn a_schema_that_is_no_json_is_refused_in_words() {
    let mut request = request(vec![Message::user("hi")]);
    request.sampling.output_schema = Some("{".to_owned());
    let error = OpenAiChat::new("own", Quirks::COMPATIBLE).ask(&request, true).unwrap_err();
    assert!(error.contains("schema of the answer"), "{error}");
}
