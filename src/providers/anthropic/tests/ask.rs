//! Requests in Anthropic's words, as whole bodies: the same request is the same bytes.

use std::sync::Arc;

use greenroom_actors::domain::{
    agent::Sampling,
    conversation::{BlobRef, Block, Message},
    ids::{PoolKind, ProviderName, ToolCallNo, ToolName},
    model::ModelRequest,
    tool::{Args, EffectClass, Output, ToolSpec},
};

use super::{
    super::super::{Wire as _, samples},
    Anthropic, WIRE,
};

const PLAIN: Anthropic = Anthropic::new(false);

fn text(text: &str) -> Block {
    Block::Text { text: text.to_owned() }
}

fn uses(call: u32, args: &str) -> Block {
    Block::ToolUse {
        call: ToolCallNo(call),
        name: ToolName("look".to_owned()),
        args: Args(args.to_owned()),
    }
}

fn result(call: u32, said: &str, is_error: bool) -> Block {
    Block::ToolResult { call: ToolCallNo(call), output: Output::text(said), is_error }
}

fn tool(name: &str, schema: &str) -> ToolSpec {
    ToolSpec {
        name: ToolName(name.to_owned()),
        description: String::new(),
        schema: schema.to_owned(),
        effect: EffectClass::Pure,
        pool: PoolKind("any".to_owned()),
    }
}

/// The conversation part of the body.
fn messages(model: &str, messages: Vec<Message>) -> String {
    let body = samples::body(&PLAIN, &samples::request(model, messages));
    let begin = body.find("\"messages\":").unwrap() + "\"messages\":".len();
    let end = body.rfind(",\"stream\"").unwrap();
    body.get(begin..end).unwrap().to_owned()
}

#[test]
fn a_request_has_what_was_set_and_nothing_else() {
    let request = samples::request("claude-x", vec![Message::user("Hi")]);
    let expected = r#"{"model":"claude-x","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}],"stream":true}"#;
    assert_eq!(samples::body(&PLAIN, &request), expected);
    let ask = PLAIN.ask(&request, false).unwrap();
    assert!(!String::from_utf8_lossy(&ask.body).contains("stream"));
    assert_eq!(ask.path, "/v1/messages");
    assert_eq!(ask.headers, [("anthropic-version", "2023-06-01".to_owned())]);
}

#[test]
fn everything_that_can_be_set_stands_in_its_place_with_marks_for_the_cache() {
    let mut request = samples::request(
        "claude-haiku-4-5",
        vec![
            Message::user("One"),
            samples::assistant(vec![text("Two")]),
            Message::user("Three"),
            samples::assistant(vec![text("Four")]),
            samples::user(vec![text("Five"), text("Six")]),
        ],
    );
    request.instructions = "Be brief.".to_owned();
    request.tools = Arc::new(vec![tool("a", "{}"), tool("b", r#"{"type": "object"}"#)]);
    request.sampling = Sampling {
        temperature_milli: Some(250),
        output_tokens_max: Some(64),
        stop: vec!["END".to_owned()],
        thinking_tokens: None,
        output_schema: Some(r#"{"type": "object"}"#.to_owned()),
    };
    let expected = concat!(
        r#"{"model":"claude-haiku-4-5","max_tokens":64,"#,
        r#""tools":[{"name":"a","input_schema":{}},{"name":"b","input_schema":{"type": "object"},"#,
        r#""cache_control":{"type":"ephemeral"}}],"#,
        r#""system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],"#,
        r#""messages":[{"role":"user","content":[{"type":"text","text":"One"}]},"#,
        r#"{"role":"assistant","content":[{"type":"text","text":"Two"}]},"#,
        r#"{"role":"user","content":[{"type":"text","text":"Three","cache_control":{"type":"ephemeral"}}]},"#,
        r#"{"role":"assistant","content":[{"type":"text","text":"Four"}]},"#,
        r#"{"role":"user","content":[{"type":"text","text":"Five"},"#,
        r#"{"type":"text","text":"Six","cache_control":{"type":"ephemeral"}}]}],"#,
        r#""temperature":0.25,"stop_sequences":["END"],"#,
        r#""output_config":{"format":{"type":"json_schema","schema":{"type": "object"}}},"stream":true}"#,
    );
    assert_eq!(samples::body(&WIRE, &request), expected);
}

#[test]
fn results_of_all_calls_come_first_in_one_message() {
    let wire = messages(
        "claude-x",
        vec![
            samples::assistant(vec![text("I look."), uses(7, r#"{"b":1, "a":2}"#), uses(8, "{}")]),
            Message::user("Hurry"),
            samples::user(vec![result(7, "seen", false)]),
            samples::user(vec![text("Please"), result(8, "", true)]),
        ],
    );
    let expected = concat!(
        r#"[{"role":"assistant","content":[{"type":"text","text":"I look."},"#,
        r#"{"type":"tool_use","id":"call_7","name":"look","input":{"b":1, "a":2}},"#,
        r#"{"type":"tool_use","id":"call_8","name":"look","input":{}}]},"#,
        r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_7","content":"seen"},"#,
        r#"{"type":"tool_result","tool_use_id":"call_8","is_error":true},"#,
        r#"{"type":"text","text":"Hurry"},{"type":"text","text":"Please"}]}]"#,
    );
    assert_eq!(wire, expected);
}

#[test]
fn arguments_that_are_no_object_go_back_as_words_in_one() {
    for args in [r#"{"a":"#, "[1]", "", "{\"a\":1e999}"] {
        let wire = messages("claude-x", vec![samples::assistant(vec![uses(1, args)])]);
        let expected = serde_json::to_string(args).unwrap();
        assert!(wire.contains(&format!(r#""input":{{"unreadable":{expected}}}"#)), "{wire}");
    }
}

#[test]
fn only_its_own_thinking_and_blocks_go_back_to_the_vendor() {
    let own = |provider: &str, json: &str| Block::Opaque {
        provider: ProviderName(provider.to_owned()),
        json: json.to_owned(),
    };
    let thinks = |signature: Option<&str>| Block::Thinking {
        text: "Hm.".to_owned(),
        signature: signature.map(str::to_owned),
    };
    let wire = messages(
        "claude-x",
        vec![
            samples::assistant(vec![
                thinks(Some("c2ln")),
                thinks(None),
                own("openai", r#"{"type":"reasoning"}"#),
                own("anthropic", r#"{"type":"redacted_thinking", "data":"x"}"#),
                text(" \n"),
                own("anthropic", r#"{"citations":[{}]}"#),
            ]),
            samples::assistant(vec![thinks(None)]),
        ],
    );
    let expected = concat!(
        r#"[{"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"c2ln"},"#,
        r#"{"type":"redacted_thinking", "data":"x"}]}]"#,
    );
    assert_eq!(wire, expected);
    let broken = vec![samples::assistant(vec![own("anthropic", "{")])];
    assert!(PLAIN.ask(&samples::request("claude-x", broken), true).is_err());
}

#[test]
fn images_are_sent_as_text_and_a_missing_one_is_said() {
    let blob = BlobRef { sha256: "ab".to_owned(), bytes: 3 };
    let image = Block::Image { media_type: "image/png".to_owned(), blob: blob.clone() };
    let mut request = samples::request("claude-x", vec![samples::user(vec![image])]);
    assert!(WIRE.ask(&request, true).is_err_and(|why| why.contains("ab")));
    request.images.insert("ab".to_owned(), Arc::from(*b"\x00\x01\xff"));
    let expected = concat!(
        r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAH/"},"#,
        r#""cache_control":{"type":"ephemeral"}}"#,
    );
    assert!(samples::body(&WIRE, &request).contains(expected));
    request.messages = vec![Arc::new(samples::user(vec![Block::Stored { blob, whole: false }]))];
    assert!(WIRE.ask(&request, true).is_err());
}

/// The body with this much thinking.
fn thinking(
    model: &str,
    answer: u64,
    thinking: u64,
    history: Vec<Message>,
) -> Result<String, String> {
    let mut request: ModelRequest = samples::request(model, history);
    request.sampling.output_tokens_max = Some(answer);
    request.sampling.thinking_tokens = Some(thinking);
    request.sampling.temperature_milli = Some(500);
    let ask = PLAIN.ask(&request, true)?;
    Ok(String::from_utf8_lossy(&ask.body).into_owned())
}

#[test]
fn thinking_has_its_least_below_the_limit_and_no_temperature() {
    let hi = || vec![Message::user("Hi")];
    let enabled = r#""thinking":{"type":"enabled","budget_tokens":"#;
    let table = [
        (
            "claude-sonnet-4-20250514",
            100,
            2_000,
            "\"max_tokens\":2100,",
            format!("{enabled}2000}}"),
        ),
        (
            "claude-3-7-sonnet-latest",
            1_000,
            100,
            "\"max_tokens\":1100,",
            format!("{enabled}1024}}"),
        ),
        (
            "claude-opus-4-7",
            100,
            10,
            "\"max_tokens\":110,",
            r#""thinking":{"type":"adaptive","display":"summarized"}"#.to_owned(),
        ),
        (
            "claude-sonnet-5-20270101",
            100,
            10,
            "\"max_tokens\":110,",
            r#""thinking":{"type":"adaptive","display":"summarized"}"#.to_owned(),
        ),
    ];
    for (model, answer, wanted, max_tokens, expected) in table {
        let body = thinking(model, answer, wanted, hi()).unwrap();
        assert!(body.contains(max_tokens) && body.contains(&expected), "{body}");
        assert!(!body.contains("temperature"), "{body}");
    }
    let too_few = thinking("claude-haiku-4-5", 100, 900, hi()).unwrap_err();
    assert!(too_few.contains("900") && too_few.contains("1024"), "{too_few}");
}

#[test]
fn a_model_that_would_think_unasked_is_told_not_to_where_it_can_be() {
    let table = [
        ("claude-opus-4-8", ""),
        ("claude-opus-5", r#""thinking":{"type":"disabled"},"#),
        ("claude-sonnet-5-20260630", r#""thinking":{"type":"disabled"},"#),
        ("anthropic/claude-sonnet-5.5", r#""thinking":{"type":"between_tools"},"#),
        ("claude-opus-5-5", ""),
        ("claude-fable-5-1", ""),
    ];
    for (model, expected) in table {
        let mut request = samples::request(model, vec![Message::user("Hi")]);
        request.sampling.temperature_milli = Some(500);
        let body = samples::body(&PLAIN, &request);
        let end = format!("}}],{expected}\"stream\":true}}");
        assert!(body.ends_with(&end), "{body} ends with {end}");
    }
}

#[test]
fn after_calls_of_another_vendors_model_a_step_is_made_without_thinking() {
    let history = |first: Block| {
        vec![
            samples::assistant(vec![first, uses(1, "{}")]),
            samples::user(vec![result(1, "seen", false)]),
        ]
    };
    let foreign = Block::Thinking { text: "Hm.".to_owned(), signature: None };
    let body = thinking("claude-haiku-4-5", 100, 2_000, history(foreign.clone())).unwrap();
    assert!(!body.contains("\"enabled\"") && body.contains("\"max_tokens\":100,"), "{body}");
    let own = Block::Thinking { text: "Hm.".to_owned(), signature: Some("c2ln".to_owned()) };
    let body = thinking("claude-haiku-4-5", 100, 2_000, history(own)).unwrap();
    assert!(body.contains("\"enabled\""), "{body}");
    let body = thinking("claude-opus-4-8", 100, 2_000, history(foreign)).unwrap();
    assert!(body.contains("\"adaptive\""), "{body}");
}

#[test]
fn a_schema_that_is_no_json_is_said_before_anything_is_sent() {
    let mut request = samples::request("claude-x", vec![Message::user("Hi")]);
    request.tools = Arc::new(vec![tool("broken", "{")]);
    assert!(WIRE.ask(&request, true).is_err_and(|why| why.contains("broken")));
    request.tools = Arc::default();
    request.sampling.output_schema = Some("{".to_owned());
    assert!(WIRE.ask(&request, true).is_err());
}
