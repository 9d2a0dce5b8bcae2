//! Ollama's requests and answers. The texts are made by hand after the vendor's protocol.

use std::sync::Arc;

use greenroom_actors::domain::{
    conversation::{BlobRef, Block, Message, Reply, Stop},
    ids::{ModelName, PoolKind, ProviderName, ToolCallNo, ToolName},
    tool::{Args, EffectClass, Output, ToolSpec},
    usage::Usage,
};

use super::{
    super::{
        Said,
        samples::{self, call as tool, said},
    },
    *,
};

const WIRE: Ollama = Ollama::new();

const TALK: &str = concat!(
    r#"{"model":"qwen3","message":{"role":"assistant","content":"","thinking":"So: "},"done":false}"#,
    "\n",
    r#"{"model":"qwen3","message":{"role":"assistant","content":"","thinking":"två."},"done":false}"#,
    "\r\n\n",
    r#"{"model":"qwen3","message":{"role":"assistant","content":"I "},"done":false}"#,
    "\n",
    r#"{"model":"qwen3","message":{"role":"assistant","content":"lööök."},"done":false,"new":[1]}"#,
    "\n",
    r#"{"model":"qwen3","message":{"content":"","tool_calls":[{"id":"c","function":{"index":0,"name":"look","arguments":{"b":1, "a":2}}}]},"done":false}"#,
    "\n",
    r#"{"model":"qwen3","message":{"content":"","tool_calls":[{"function":{"name":"wait"}}]},"done":false}"#,
    "\n",
    r#"{"model":"qwen3","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":17,"eval_count":50}"#,
    "\n",
);

fn talk() -> Reply {
    Reply {
        blocks: vec![
            said(Block::Thinking { text: "So: två.".to_owned(), signature: None }),
            said(Block::Text { text: "I lööök.".to_owned() }),
            tool("look", r#"{"b":1, "a":2}"#),
            tool("wait", "{}"),
        ],
        stop: Stop::ToolUse,
        usage: Some(Usage { input: 17, output: 50, ..Usage::default() }),
        served_by: Some(ModelName("qwen3".to_owned())),
    }
}

#[test]
fn an_answer_is_the_same_in_whatever_chunks_it_comes() {
    assert_eq!(samples::answer(&WIRE, TALK), Ok(talk()));
    let all = samples::events(&WIRE, TALK, TALK.len()).unwrap();
    assert_eq!(all.len(), 5, "two of thinking, two of text, the end: {all:?}");
    for size in 1..70 {
        assert_eq!(samples::events(&WIRE, TALK, size).as_ref(), Ok(&all), "{size}");
    }
}

#[test]
fn a_stream_cut_anywhere_before_its_end_is_no_answer() {
    // The last line is whole without its newline.
    for cut in 0..TALK.len() - 1 {
        let cut = TALK.as_bytes().get(..cut).unwrap();
        // It has ended early, also within a character, and may be asked for again.
        let read = samples::events(&WIRE, cut, cut.len().max(1));
        assert!(read.is_ok(), "cut at {}: {read:?}", cut.len());
        assert!(samples::answer(&WIRE, cut).is_err(), "cut at {}", cut.len());
    }
    let amid = TALK.replacen("\"done\":false}\n", "\"done\":fal\n", 2);
    assert!(matches!(samples::events(&WIRE, amid, 7), Err(Trouble::Malformed(_))));
}

#[test]
fn a_whole_answer_is_read_as_a_streamed_one() {
    let body = r#"{"model":"qwen3","message":{"role":"assistant","content":"I lööök.","thinking":"So: två.",
        "tool_calls":[{"function":{"name":"look","arguments":{"b":1, "a":2}}},
        {"id":"c","function":{"name":"wait","arguments":"{}"}}]},
        "done":true,"done_reason":"stop","prompt_eval_count":17,"eval_count":50}"#;
    assert_eq!(WIRE.whole(body.as_bytes()), Ok(talk()));
    for body in ["", "[]", "<html>", r#"{"message":{"content":"x"}}"#, r#"{"done":7}"#] {
        let answer = WIRE.whole(body.as_bytes());
        assert!(matches!(answer, Err(Trouble::Malformed(_))), "{body}: {answer:?}");
    }
}

#[test]
fn the_end_says_why_it_stopped_and_what_it_used() {
    let usage = |input, output| Some(Usage { input, output, ..Usage::default() });
    let calls = r#""message":{"tool_calls":[{"function":{"name":"look"}}]},"#;
    let table = [
        (
            "",
            r#","done_reason":"stop","prompt_eval_count":1,"eval_count":2"#,
            Stop::EndTurn,
            usage(1, 2),
        ),
        ("", r#","done_reason":"length","eval_count":2"#, Stop::MaxTokens, usage(0, 2)),
        ("", r#","done_reason":"unload","prompt_eval_count":1"#, Stop::MaxTokens, None),
        ("", r#","prompt_eval_count":"a","eval_count":null"#, Stop::EndTurn, None),
        (calls, r#","done_reason":"stop""#, Stop::ToolUse, None),
        (calls, r#","done_reason":"length""#, Stop::MaxTokens, None),
    ];
    for (message, end, stop, usage) in table {
        let line = format!("{{{message}\"done\":true{end}}}\n");
        let reply = samples::answer(&WIRE, &line).unwrap();
        assert_eq!((reply.stop, reply.usage), (stop, usage), "{line}");
    }
}

#[test]
fn an_error_is_the_servers_in_a_line_a_body_or_an_answer() {
    let begun = r#"{"message":{"content":"I"},"done":false}"#;
    let table = [
        (r#"{"error":"the model has gone"}"#, "", "the model has gone"),
        (r#"{"error":{"message":"no","type":"server_error"}}"#, "server_error", "no"),
        (r#"{"error":[1]}"#, "", "[1]"),
    ];
    for (body, code, message) in table {
        let (code, message) = (code.to_owned(), message.to_owned());
        let expected = Trouble::Said(Said { code, message, retry_after_ms: None });
        assert_eq!(WIRE.trouble(body.as_bytes()).as_ref(), Some(&expected));
        assert_eq!(WIRE.whole(body.as_bytes()).as_ref(), Err(&expected));
        assert_eq!(samples::answer(&WIRE, format!("{begun}\n{body}\n")), Err(expected));
    }
    for body in ["", "<html>", "404 page not found", r#"{"error":"cut"#, "{}"] {
        assert_eq!(WIRE.trouble(body.as_bytes()), None, "{body}");
    }
    for line in ["not JSON", "{} {}", r#"{"message":{"tool_calls":[{}]}}"#, r#"{"message":7}"#] {
        let answer = samples::answer(&WIRE, format!("{line}\n"));
        assert!(matches!(answer, Err(Trouble::Malformed(_))), "{line}: {answer:?}");
    }
}

#[test]
fn what_comes_after_the_end_is_passed_over() {
    let more = format!("{TALK}not JSON\n{{\"error\":\"late\"}}\n");
    assert_eq!(samples::answer(&WIRE, more), Ok(talk()));
}

#[test]
fn a_request_has_what_was_set_and_nothing_else() {
    let request = samples::request("qwen3", vec![Message::user("Hi")]);
    let expected = r#"{"model":"qwen3","messages":[{"role":"user","content":"Hi"}],"think":false,"options":{"num_predict":100},"stream":true}"#;
    assert_eq!(samples::body(&WIRE, &request), expected);
    let ask = WIRE.ask(&request, false).unwrap();
    assert!(String::from_utf8_lossy(&ask.body).contains(r#""stream":false"#));
    assert_eq!((ask.path.as_str(), ask.headers.len()), ("/api/chat", 0));
}

#[test]
fn everything_that_can_be_set_stands_in_its_place() {
    let text = |text: &str| Block::Text { text: text.to_owned() };
    let thinking = |signature: Option<&str>| Block::Thinking {
        text: "Hm.".to_owned(),
        signature: signature.map(str::to_owned),
    };
    let image = Block::Image {
        media_type: "image/png".to_owned(),
        blob: BlobRef { sha256: "ab".to_owned(), bytes: 3 },
    };
    let uses = |call, name: &str, args: &str| Block::ToolUse {
        call: ToolCallNo(call),
        name: ToolName(name.to_owned()),
        args: Args(args.to_owned()),
    };
    let result = |call, said: &str| Block::ToolResult {
        call: ToolCallNo(call),
        output: Output::text(said),
        is_error: true,
    };
    let foreign =
        Block::Opaque { provider: ProviderName("openai".to_owned()), json: "{}".to_owned() };
    let mut request = samples::request(
        "qwen3",
        vec![
            samples::user(vec![text("See"), image, text("this")]),
            samples::assistant(vec![thinking(Some("c2ln")), foreign.clone()]),
            samples::assistant(vec![
                thinking(Some("c2ln")),
                thinking(None),
                text("I "),
                foreign,
                text("look."),
                uses(1, "look", r#"{"b":1, "a":2}"#),
                uses(2, "wait", "[]"),
            ]),
            samples::user(vec![text("Hurry"), result(1, "seen"), result(2, ""), result(9, "?")]),
        ],
    );
    assert!(WIRE.ask(&request, true).is_err_and(|why| why.contains("ab")));
    request.images.insert("ab".to_owned(), Arc::from(*b"\x00\x01\xff"));
    request.instructions = "Be brief.".to_owned();
    request.tools = Arc::new(vec![ToolSpec {
        name: ToolName("look".to_owned()),
        description: "Looks.".to_owned(),
        schema: r#"{"type": "object"}"#.to_owned(),
        effect: EffectClass::Pure,
        pool: PoolKind("any".to_owned()),
    }]);
    request.sampling.temperature_milli = Some(250);
    request.sampling.stop = vec!["END".to_owned()];
    request.sampling.thinking_tokens = Some(28);
    request.sampling.output_schema = Some(r#"{"type": "object"}"#.to_owned());
    let expected = concat!(
        r#"{"model":"qwen3","messages":[{"role":"system","content":"Be brief."},"#,
        r#"{"role":"user","content":"See\nthis","images":["AAH/"]},"#,
        r#"{"role":"assistant","content":"I look.","thinking":"Hm.","tool_calls":["#,
        r#"{"type":"function","function":{"name":"look","arguments":{"b":1, "a":2}}},"#,
        r#"{"type":"function","function":{"name":"wait","arguments":{"unreadable":"[]"}}}]},"#,
        r#"{"role":"tool","content":"seen","tool_name":"look"},"#,
        r#"{"role":"tool","content":"","tool_name":"wait"},"#,
        r#"{"role":"tool","content":"?"},{"role":"user","content":"Hurry"}],"#,
        r#""tools":[{"type":"function","function":{"name":"look","description":"Looks.","#,
        r#""parameters":{"type": "object"}}}],"think":true,"format":{"type": "object"},"#,
        r#""options":{"num_predict":128,"temperature":0.25,"stop":["END"]},"stream":true}"#,
    );
    assert_eq!(samples::body(&WIRE, &request), expected);
}

#[test]
fn models_are_the_names_of_the_tags() {
    let body = r#"{"models":[{"name":"a:latest","model":"a:latest","size":1},{"name":"b"}]}"#;
    let page = WIRE.models(body.as_bytes()).unwrap();
    assert_eq!((page.names.join(" "), page.after), ("a:latest b".to_owned(), None));
    assert!(WIRE.models(b"{}").is_err());
    assert_eq!(WIRE.models_path(None), "/api/tags");
}
