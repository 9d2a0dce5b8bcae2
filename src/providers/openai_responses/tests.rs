//! Requests and answers of the Responses format, from short texts made by hand.

use std::sync::Arc;

use greenroom_actors::domain::{
    agent::Sampling,
    conversation::{BlobRef, Block, Message, ReplyBlock, Stop},
    ids::{ModelName, PoolKind, ProviderName, ToolName},
    model::ModelEvent,
    tool::{EffectClass, ToolSpec},
    usage::Usage,
};

use super::*;
use crate::{
    net::Frame,
    providers::{
        Said,
        samples::{self, assistant, call, code, done, text, thinking, user},
    },
};

mod slots;

const WIRE: OpenAiResponses = OpenAiResponses::new();

type Read = Result<(Vec<ModelEvent>, Option<Reply>), Trouble>;

/// What a stream of these events says, and how it ends.
fn stream(events: &[&str]) -> Read {
    let mut decoder = WIRE.decoder();
    let mut out = Vec::new();
    for event in events {
        decoder.frame(&Frame { name: None, data: (*event).to_owned() }, &mut out)?;
    }
    decoder.end(&mut out)?;
    let mut reply = None;
    out.retain(|event| match event {
        ModelEvent::Finished { reply: whole } => {
            assert!(reply.replace((**whole).clone()).is_none(), "an answer ends once");
            false
        }
        _ => true,
    });
    Ok((out, reply))
}

fn reply(events: &[&str]) -> Reply {
    stream(events).unwrap().1.unwrap()
}

fn whole(body: &str) -> Result<Reply, Trouble> {
    WIRE.whole(body.as_bytes())
}

fn opaque(json: &str) -> ReplyBlock {
    samples::opaque("openai_responses", json)
}

fn own(json: &str) -> Block {
    samples::own("openai_responses", json)
}

/// A request that sets nothing.
fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest { sampling: Sampling::default(), ..samples::request("gpt-5.2", messages) }
}

fn body(request: &ModelRequest) -> String {
    samples::body(&WIRE, request)
}

fn asked(no: u32, name: &str) -> Block {
    samples::asked(no, name, "{}")
}

const END: &str = r#"{"type":"response.completed","response":{"status":"completed","output":[]}}"#;

#[test]
fn text_comes_in_pieces_and_ends_with_usage_and_model() {
    let (events, reply) = stream(&[
        r#"{"type":"response.created","response":{}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"m","type":"message","content":[]}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"He"}"#,
        r#"{"type":"response.new_thing","delta":{"any":1}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"y"}"#,
        r#"{"type":"response.completed","response":{"status":"completed","model":"gpt-x","output":[{"id":"m","type":"message","content":[{"type":"output_text","text":"Hey!"}]}],"usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4}}}}"#,
        "[DONE]",
    ])
    .unwrap();
    let deltas: Vec<_> = ["He", "y", "!"]
        .map(|delta| ModelEvent::Text { delta: delta.to_owned() })
        .into_iter()
        .collect();
    assert_eq!(events, deltas);
    let reply = reply.unwrap();
    assert_eq!(reply.blocks, [text("Hey!")]);
    assert_eq!(reply.stop, Stop::EndTurn);
    assert_eq!(reply.served_by, Some(ModelName("gpt-x".to_owned())));
    let usage = Usage { input: 10, cache_read: 60, cache_write: 30, output: 9, reasoning: 4 };
    assert_eq!(reply.usage, Some(usage));
}

#[test]
fn a_stream_without_its_last_event_has_not_ended() {
    let pieces = [
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"all"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"all"}]}}"#,
        "[DONE]",
    ];
    assert_eq!(stream(&pieces).unwrap().1, None);
}

#[test]
fn what_a_silent_last_event_leaves_out_was_said_before() {
    let reply = reply(&[
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"all"}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","name":"f","arguments":"{}"}}"#,
        END,
    ]);
    assert_eq!(reply.blocks, [text("all"), call("f", "{}")]);
    assert_eq!(reply.stop, Stop::ToolUse);
}

#[test]
fn reasoning_is_shown_and_kept_byte_for_byte_before_its_call() {
    let item = r#"{"id":"rs_1", "type":"reasoning","summary":[{"type":"summary_text","text":"One"},{"type":"summary_text","text":"Two"}],"encrypted_content":"x\u0041"}"#;
    let done = format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{item}}}"#);
    let (events, reply) = stream(&[
        r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"early"}}"#,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"id":"fc","type":"function_call","name":"f","arguments":""}}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"One"}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"Two"}"#,
        &done,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\":1}"}"#,
        END,
    ])
    .unwrap();
    let shown: String = events
        .iter()
        .map(|event| match event {
            ModelEvent::Thinking { delta } => delta.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(shown, "One\n\nTwo");
    let reply = reply.unwrap();
    let expected = [thinking("One\n\nTwo"), opaque(item), call("f", r#"{"a":1}"#)];
    assert_eq!(reply.blocks, expected);

    let back = request(vec![
        Message::user("go"),
        assistant(vec![
            Block::Thinking { text: "One".to_owned(), signature: None },
            own(item),
            Block::Opaque { provider: ProviderName("gemini".to_owned()), json: "{}".to_owned() },
            asked(7, "f"),
        ]),
        user(vec![done_ok(7)]),
    ]);
    let body = body(&back);
    let order = format!(r#"{item},{{"type":"function_call","call_id":"call_7","name":"f""#);
    assert!(body.contains(&order), "{body}");
    assert!(!body.contains("gemini") && !body.contains(r#"text":"One"},{"type":"function"#));
}

fn done_ok(no: u32) -> Block {
    done(no, "ok", false)
}

#[test]
fn reasoning_that_no_one_can_restore_is_only_shown() {
    let lone = whole(
        r#"{"status":"completed","output":[{"type":"reasoning","id":"rs","summary":[{"text":"so"}]},{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}"#,
    );
    assert_eq!(lone.unwrap().blocks, [thinking("so"), text("hi")]);
    let full = r#"{"type":"reasoning","content":[{"type":"reasoning_text","text":"full"}]}"#;
    let open = whole(&format!(r#"{{"output":[{full}]}}"#));
    assert_eq!(open.unwrap().blocks, [thinking("full"), opaque(full)]);
}

#[test]
fn reasoning_that_led_to_nothing_does_not_go_back() {
    let item = r#"{"type":"reasoning","encrypted_content":"x"}"#;
    let relayed = r#"{"type":"reasoning","encrypted_content":"x","format":"some-v1"}"#;
    let cut = |json| {
        let said = Block::Text { text: "so far".to_owned() };
        body(&request(vec![assistant(vec![said, own(json)]), Message::user("go on")]))
    };
    assert!(!cut(item).contains("reasoning\",\"encrypted"));
    assert!(cut(relayed).contains(relayed));
}

#[test]
fn what_nobody_knows_goes_round_unchanged() {
    let item = r#"{"type":"brand_new_call","id":"b", "n":1.50,"deep":[null,{"é":"\u00e9"}]}"#;
    let reply = whole(&format!(r#"{{"status":"completed","output":[{item}]}}"#)).unwrap();
    assert_eq!(reply.blocks, [opaque(item)]);
    let body = body(&request(vec![Message::user("go"), assistant(vec![own(item)])]));
    assert!(body.contains(item), "{body}");

    let part = r#"{"type":"output_audio", "data":"AA=="}"#;
    let reply = whole(&format!(
        r#"{{"status":"completed","output":[{{"type":"message","content":[{part}]}}]}}"#
    ));
    let kept = format!(r#"{{"type":"message","role":"assistant","content":[{part}]}}"#);
    assert_eq!(reply.unwrap().blocks, [opaque(&kept)]);
}

#[test]
fn marks_go_back_in_the_items_that_they_came_in() {
    let reply = whole(
        r#"{"status":"completed","output":[
            {"type":"message","phase":"commentary","content":[{"type":"output_text","text":"hm"}]},
            {"type":"function_call","name":"f","namespace":"n","arguments":{"a": 1}},
            {"type":"custom_tool_call","name":"g","input":"free text"}]}"#,
    )
    .unwrap();
    let expected = [
        opaque(r#"{"phase":"commentary"}"#),
        text("hm"),
        opaque(r#"{"namespace":"n"}"#),
        call("f", r#"{"a": 1}"#),
        opaque(r#"{"custom":true}"#),
        call("g", "free text"),
    ];
    assert_eq!(reply.blocks, expected);
    let body = body(&request(vec![
        assistant(vec![
            own(r#"{"phase":"commentary"}"#),
            Block::Text { text: "hm".to_owned() },
            own(r#"{"namespace":"n"}"#),
            asked(1, "f"),
            own(r#"{"custom":true}"#),
            asked(2, "g"),
        ]),
        user(vec![done(1, "no", true), done(2, "yes", false)]),
    ]));
    for item in [
        r#"{"type":"message","role":"assistant","content":"hm","phase":"commentary"}"#,
        r#"{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}","namespace":"n"}"#,
        r#"{"type":"custom_tool_call","call_id":"call_2","name":"g","input":"{}"}"#,
        r#"{"type":"function_call_output","call_id":"call_1","output":"error: no"}"#,
        r#"{"type":"custom_tool_call_output","call_id":"call_2","output":"yes"}"#,
    ] {
        assert!(body.contains(item), "{item} is not in {body}");
    }
}

#[test]
fn every_way_to_stop_is_told_apart() {
    let message = r#"{"type":"message","content":[{"type":"output_text","text":"a"}]}"#;
    let call = r#"{"type":"function_call","name":"f","arguments":"{\"a"}"#;
    let refusal = r#"{"type":"message","content":[{"type":"refusal","refusal":"no"}]}"#;
    let table = [
        (r#""status":"completed""#, message, Stop::EndTurn),
        (r#""status":"complete""#, message, Stop::EndTurn),
        (r#""object":"response""#, message, Stop::EndTurn),
        (r#""status":"completed""#, call, Stop::ToolUse),
        (r#""status":"completed""#, refusal, Stop::Refusal),
        (
            r#""status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}"#,
            call,
            Stop::MaxTokens,
        ),
        (
            r#""status":"incomplete","incomplete_details":{"reason":"content_filter"}"#,
            message,
            Stop::Refusal,
        ),
        (
            r#""status":"incomplete","incomplete_details":{"reason":"new"}"#,
            message,
            Stop::MaxTokens,
        ),
        (r#""status":"incomplete","incomplete_details":null"#, message, Stop::MaxTokens),
    ];
    for (status, item, stop) in table {
        let reply = whole(&format!(r#"{{{status},"output":[{item}]}}"#)).unwrap();
        assert_eq!(reply.stop, stop, "{status}");
    }
    let (_, streamed) = stream(&[
        r#"{"type":"response.refusal.delta","output_index":0,"content_index":0,"delta":"I will not"}"#,
        END,
    ])
    .unwrap();
    let streamed = streamed.unwrap();
    assert_eq!((streamed.blocks, streamed.stop), (vec![text("I will not")], Stop::Refusal));
}

#[test]
fn errors_under_200_are_errors_in_every_shape() {
    let table = [
        (
            r#"{"type":"error","error":{"type":"insufficient_quota","code":"insufficient_quota","message":"pay"},"sequence_number":2}"#,
            "insufficient_quota",
        ),
        (
            r#"{"type":"error","code":"rate_limit_exceeded","message":"slow","param":null}"#,
            "rate_limit_exceeded",
        ),
        (
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"oops"},"output":[]}}"#,
            "server_error",
        ),
        (
            r#"{"type":"response.completed","response":{"status":"failed","error":{"code":"server_error","message":"oops"}}}"#,
            "server_error",
        ),
        (
            r#"{"type":"response.cancelled","response":{"status":"cancelled","error":null}}"#,
            "cancelled",
        ),
        (r#"{"error":{"code":502,"message":"upstream"}}"#, "502"),
        (r#"{"error":"just words"}"#, ""),
    ];
    for (event, expected) in table {
        assert_eq!(code(stream(&[event]).unwrap_err()), expected, "{event}");
    }
    let named = Frame {
        name: Some("error".to_owned()),
        data: r#"{"message":"bad","code":"x"}"#.to_owned(),
    };
    assert_eq!(code(WIRE.decoder().frame(&named, &mut Vec::new()).unwrap_err()), "x");
    let whole = whole(r#"{"error":{"code":"server_error","message":"oops"},"status":500}"#);
    assert_eq!(code(whole.unwrap_err()), "server_error");
}

#[test]
fn bodies_of_errors_are_read_in_every_shape() {
    let said = |body: &str| match WIRE.trouble(body.as_bytes()) {
        Some(Trouble::Said(Said { code, .. })) => Some(code),
        Some(Trouble::Malformed(what)) => panic!("{what}"),
        None => None,
    };
    let table = [
        (
            r#"{"error":{"code":"model_not_found","message":"m","type":"invalid_request_error"}}"#,
            Some("model_not_found invalid_request_error"),
        ),
        (
            r#"{"code":"invalid-argument","error":"Incorrect API key provided."}"#,
            Some("invalid_api_key invalid-argument"),
        ),
        (
            r#"{"code":"exhausted","error":"Your team has used all available credits"}"#,
            Some("insufficient_credits exhausted"),
        ),
        (r#"{"detail":"Not Found"}"#, Some("")),
        ("<html>", None),
        ("{}", None),
        ("", None),
        (r#"{"error":{"mess"#, None),
    ];
    for (body, expected) in table {
        assert_eq!(said(body).as_deref(), expected, "{body}");
    }
    let Some(Trouble::Said(said)) = WIRE.trouble(
        br#"{"error":{"code":"rate_limit_exceeded","message":"Please try again in 1.898s. More"}}"#,
    ) else {
        panic!("no words");
    };
    assert_eq!(said.retry_after_ms, Some(1_898));
}

#[test]
fn what_the_protocol_does_not_allow_is_malformed() {
    for event in [
        "{",
        "nonsense",
        r#"{"type":"response.completed"}"#,
        r#"{"type":"response.output_text.delta","output_index":0}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call"}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"delta":"\ud800"}"#,
        r#"{"type":"response.completed","response":{"status":"in_progress"}}"#,
    ] {
        let read = stream(&[event]);
        let tolerated = event.contains("in_progress");
        assert_eq!(matches!(read, Err(Trouble::Malformed(_))), !tolerated, "{event}: {read:?}");
    }
    let nameless =
        r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{}"}"#;
    assert!(matches!(stream(&[nameless, END]), Err(Trouble::Malformed(_))));
    for body in ["", "[]", "{}", r#"{"status":"queued"}"#, r#"{"output":[{}]}"#] {
        assert!(matches!(whole(body), Err(Trouble::Malformed(_))), "{body}");
    }
}

#[test]
fn missing_usage_is_unknown() {
    for usage in ["{}", "null", r#"{"input_tokens":null}"#, r#""many""#] {
        let reply = whole(&format!(r#"{{"status":"completed","output":[],"usage":{usage}}}"#));
        assert_eq!(reply.unwrap().usage, None, "{usage}");
    }
}

#[test]
fn items_are_known_by_id_when_the_end_counts_them_otherwise() {
    let reply = reply(&[
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"r","summary":[]}}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"message","id":"m","content":[{"type":"output_text","text":"once"}]}}"#,
        r#"{"type":"response.completed","response":{"output":[{"type":"message","id":"m","content":[{"type":"output_text","text":"once"}]}]}}"#,
    ]);
    assert_eq!(reply.blocks, [text("once")]);
}

#[test]
fn a_plain_request_says_no_more_than_it_must() {
    let mut request = request(vec![Message::user("hi")]);
    request.model = ModelName("gpt-4o".to_owned());
    let key = request.call.session;
    let expected = format!(
        r#"{{"model":"gpt-4o","input":[{{"type":"message","role":"user","content":[{{"type":"input_text","text":"hi"}}]}}],"store":false,"prompt_cache_key":"{key}","stream":true}}"#
    );
    assert_eq!(body(&request), expected);
    let ask = OpenAiResponses::compatible("xai_responses").ask(&request, false).unwrap();
    let body = String::from_utf8(ask.body.to_vec()).unwrap();
    assert!(!body.contains("prompt_cache_key") && body.contains(r#""stream":false"#), "{body}");
}

#[test]
fn everything_that_is_set_is_said() {
    let mut request = request(vec![user(vec![
        Block::Text { text: "see".to_owned() },
        Block::Image {
            media_type: "image/png".to_owned(),
            blob: BlobRef { sha256: "ab".to_owned(), bytes: 3 },
        },
    ])]);
    request.images.insert("ab".to_owned(), Arc::from(&b"abc"[..]));
    request.instructions = "be brief".to_owned();
    request.sampling = Sampling {
        temperature_milli: Some(300),
        output_tokens_max: Some(64),
        stop: Vec::new(),
        thinking_tokens: Some(8_000),
        output_schema: Some(r#"{"type":"object"}"#.to_owned()),
    };
    request.tools = Arc::new(vec![ToolSpec {
        name: ToolName("f".to_owned()),
        description: "does".to_owned(),
        schema: r#"{"type":"object"}"#.to_owned(),
        effect: EffectClass::Pure,
        pool: PoolKind("p".to_owned()),
    }]);
    let with = body(&request);
    for part in [
        r#""instructions":"be brief""#,
        r#"{"type":"input_text","text":"see"},{"type":"input_image","image_url":"data:image/png;base64,YWJj"}"#,
        r#"{"type":"function","name":"f","description":"does","parameters":{"properties":{},"type":"object"},"strict":false}"#,
        r#""include":["reasoning.encrypted_content"]"#,
        r#""reasoning":{"effort":"medium","summary":"auto"}"#,
        r#""max_output_tokens":64"#,
        r#""text":{"format":{"type":"json_schema","name":"answer","schema":{"type":"object"}}}"#,
    ] {
        assert!(with.contains(part), "{part} is not in {with}");
    }
    assert!(!with.contains("temperature"), "who thinks takes no temperature");
    request.sampling.thinking_tokens = None;
    assert!(body(&request).contains(r#""temperature":0.3"#));
}

#[test]
fn what_cannot_be_told_is_refused_in_words() {
    let mut stops = request(vec![Message::user("hi")]);
    stops.sampling.stop = vec!["END".to_owned()];
    assert!(WIRE.ask(&stops, true).unwrap_err().contains("stop"));
    let blob = BlobRef { sha256: "cd".to_owned(), bytes: 1 };
    let image = Block::Image { media_type: "image/png".to_owned(), blob };
    let missing = request(vec![user(vec![image])]);
    assert!(WIRE.ask(&missing, true).unwrap_err().contains("image cd"));
}

#[test]
fn models_are_listed_by_their_ids() {
    let page = WIRE.models(br#"{"object":"list","data":[{"id":"b"},{"id":"a","x":1}]}"#).unwrap();
    assert_eq!(page, ModelPage { names: vec!["b".to_owned(), "a".to_owned()], after: None });
    assert!(WIRE.models(b"<html>").is_err());
}

#[test]
fn an_answer_that_never_stops_growing_is_refused() {
    let mut decoder = WIRE.decoder();
    let mut out = Vec::new();
    let trouble = (0..100_000).find_map(|index| {
        let data = format!(
            r#"{{"type":"response.output_item.added","output_index":{index},"item":{{"type":"function_call","name":"f"}}}}"#
        );
        decoder.frame(&Frame { name: None, data }, &mut out).err()
    });
    assert!(matches!(trouble, Some(Trouble::Malformed(what)) if what.contains("parts")));
}
