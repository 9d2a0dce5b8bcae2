//! Anthropic's answers, streamed and whole. The texts are made by hand after the vendor's protocol.

mod ask;

use greenroom_actors::domain::{
    conversation::{Block, Reply, ReplyBlock, Stop},
    ids::ModelName,
    usage::Usage,
};
use reqwest::header::HeaderValue;

use super::{
    super::{
        Said,
        samples::{self, call as tool, said, text},
    },
    *,
};

const WIRE: Anthropic = Anthropic::new(true);

/// A stream of these events' data between a beginning and an end.
fn stream(events: &[&str], stop: &str) -> String {
    let begin = r#"{"type":"message_start","message":{"model":"claude-x","content":[],"usage":{"input_tokens":9,"cache_read_input_tokens":4,"output_tokens":1}}}"#;
    let end = format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{stop}","stop_sequence":null}},"usage":{{"output_tokens":7}}}}"#
    );
    let all = std::iter::once(begin).chain(events.iter().copied());
    all.chain([end.as_str(), r#"{"type":"message_stop"}"#]).map(event).collect()
}

fn event(data: &str) -> String {
    format!("event: e\ndata: {data}\n\n")
}

fn opaque(json: &str) -> ReplyBlock {
    samples::opaque(FAMILY, json)
}

const TALK: [&str; 12] = [
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"So: "}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"två."}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"I "}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"lööök."}}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"look","input":{},"caller":{"type":"direct"}}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"at\": "}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"x\"}"}}"#,
    r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"wait","input":{}}}"#,
];

#[test]
fn an_answer_is_the_same_in_whatever_chunks_it_comes() {
    let wire = stream(&TALK, "tool_use");
    let expected = Reply {
        blocks: vec![
            said(Block::Thinking {
                text: "So: två.".to_owned(),
                signature: Some("c2ln".to_owned()),
            }),
            text("I lööök."),
            tool("look", r#"{"at": "x"}"#),
            tool("wait", "{}"),
        ],
        stop: Stop::ToolUse,
        usage: Some(Usage { input: 9, cache_read: 4, output: 7, ..Usage::default() }),
        served_by: Some(ModelName("claude-x".to_owned())),
    };
    assert_eq!(samples::answer(&WIRE, &wire), Ok(expected));
    let all = samples::events(&WIRE, &wire, wire.len()).unwrap();
    assert_eq!(all.len(), 5, "two of thinking, two of text, the end: {all:?}");
    for size in 1..70 {
        assert_eq!(samples::events(&WIRE, &wire, size).as_ref(), Ok(&all), "{size}");
    }
}

#[test]
fn a_stream_cut_anywhere_before_its_end_is_no_answer() {
    let whole = stream(&TALK, "tool_use");
    // The last event counts without the blank line behind it as well.
    for cut in 0..whole.len() - 2 {
        let ended = samples::answer(&WIRE, whole.as_bytes().get(..cut).unwrap()).is_ok();
        assert!(!ended, "cut at {cut}");
    }
}

#[test]
fn what_only_the_vendor_understands_keeps_its_bytes_or_its_fields() {
    let search = r#"{"type":"web_search_tool_result","tool_use_id":"s1","content":[ {"url":"x","page_age":null} ] }"#;
    let redacted = r#"{"type":"redacted_thinking", "data":"Zm9v"}"#;
    let begin = |index: u32, block: &str| {
        format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)
    };
    let delta = |index: u32, delta: &str| {
        format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#)
    };
    let events = [
        begin(0, redacted),
        begin(
            1,
            r#"{"type":"server_tool_use","id":"s1","name":"web_search","input":{},"extra":1.50}"#,
        ),
        delta(1, r#"{"type":"input_json_delta","partial_json":""}"#),
        delta(1, r#"{"type":"input_json_delta","partial_json":"{\"query\""}"#),
        delta(1, r#"{"type":"input_json_delta","partial_json":": \"a\"}"}"#),
        begin(2, search),
        begin(3, r#"{"type":"compaction","content":null}"#),
        delta(3, r#"{"type":"compaction_delta","content":"We \"met\"","encrypted":"e"}"#),
        begin(4, r#"{"type":"server_tool_use","id":"s2","name":"web_search","input":{}}"#),
        delta(4, r#"{"type":"input_json_delta","partial_json":"{\"cut"}"#),
        begin(5, r#"{"citations":[],"type":"text","text":""}"#),
        delta(5, r#"{"type":"citations_delta","citation":{"url":"x", "n":1}}"#),
        delta(5, r#"{"type":"text_delta","text":"Blue."}"#),
        delta(5, r#"{"type":"citations_delta","citation":{"url":"y"}}"#),
    ];
    let events: Vec<_> = events.iter().map(String::as_str).collect();
    let reply = samples::answer(&WIRE, stream(&events, "end_turn")).unwrap();
    let expected = [
        opaque(redacted),
        opaque(
            r#"{"type":"server_tool_use","id":"s1","name":"web_search","input":{"query": "a"},"extra":1.50}"#,
        ),
        opaque(search),
        opaque(r#"{"type":"compaction","content":"We \"met\"","encrypted":"e"}"#),
        opaque(r#"{"type":"server_tool_use","id":"s2","name":"web_search","input":{}}"#),
        text("Blue."),
        opaque(r#"{"citations":[{"url":"x", "n":1},{"url":"y"}]}"#),
    ];
    assert_eq!(reply.blocks, expected);

    // And all of it goes back.
    let request = samples::request("claude-x", vec![samples::assistant(samples::kept(&reply))]);
    let body = samples::body(&WIRE, &request);
    for part in [redacted, search, r#""input":{"query": "a"},"extra":1.50}"#] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
    let cited = r#"{"type":"text","text":"Blue.","citations":[{"url":"x", "n":1},{"url":"y"}]}"#;
    assert!(body.contains(cited), "{body}");
    assert!(!body.contains(r#"{"citations""#), "{body}");
}

#[test]
fn blocks_that_all_have_one_index_are_told_apart_where_each_is_closed() {
    let [begin, closed] = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":null}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
    ];
    let says =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#;
    let asks = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"look","input":{}}}"#;
    let args = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"at\":1}"}}"#;
    let events = [begin, says, closed, asks, args, closed, asks, closed];
    let reply = samples::answer(&WIRE, stream(&events, "tool_use")).unwrap();
    let calls = [tool("look", r#"{"at":1}"#), tool("look", "{}")];
    assert_eq!(reply.blocks, [vec![text("a")], calls.to_vec()].concat());
    let open = samples::answer(&WIRE, stream(&[begin, says, asks], "tool_use"));
    assert!(open.is_err(), "{open:?}");
}

#[test]
fn a_citation_never_lands_behind_another_text() {
    let events = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"A"}}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"B"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}"#,
    ];
    let answer = samples::answer(&WIRE, stream(&events, "end_turn"));
    assert!(matches!(answer, Err(Trouble::Malformed(_))), "{answer:?}");
}

#[test]
fn a_block_of_any_kind_that_never_stops_growing_is_refused() {
    let long = "a".repeat(1024 * 1024);
    for (kind, field) in [
        (r#""type":"text""#, r#""type":"text_delta","text""#),
        (r#""type":"thinking""#, r#""type":"thinking_delta","thinking""#),
        (r#""type":"thinking""#, r#""type":"signature_delta","signature""#),
        (r#""type":"tool_use","name":"look""#, r#""type":"input_json_delta","partial_json""#),
        (r#""type":"what_comes_next""#, r#""type":"what_comes_delta","what""#),
    ] {
        let begin =
            format!(r#"{{"type":"content_block_start","index":0,"content_block":{{{kind}}}}}"#);
        let more =
            format!(r#"{{"type":"content_block_delta","index":0,"delta":{{{field}:"{long}"}}}}"#);
        let mut events = vec![begin.as_str()];
        events.extend([more.as_str(); 9]);
        let answer = samples::events(&WIRE, stream(&events, "end_turn"), 64 * 1024);
        let refused = matches!(&answer, Err(Trouble::Malformed(why)) if why.contains("larger"));
        assert!(refused, "{kind}: {:?}", answer.map(|events| events.len()));
    }
}

#[test]
fn a_whole_answer_is_read_as_a_streamed_one() {
    let body = r#"{"type":"message","role":"assistant","model":"claude-x","content":[
        {"type":"thinking","thinking":"So.","signature":"c2ln"},
        {"type":"text","text":"Look:","citations":[{"url":"x"}]},
        {"type":"what_comes_next", "a":[1, 2]},
        {"type":"tool_use","id":"toolu_1","name":"look","input":{"b":1, "a":2}}],
        "stop_reason":"tool_use","usage":{"input_tokens":3,"cache_creation_input_tokens":null,
        "cache_creation":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":6},
        "output_tokens":8,"output_tokens_details":{"thinking_tokens":2}}}"#;
    let reply = WIRE.whole(body.as_bytes()).unwrap();
    let expected = [
        said(Block::Thinking { text: "So.".to_owned(), signature: Some("c2ln".to_owned()) }),
        text("Look:"),
        opaque(r#"{"citations":[{"url":"x"}]}"#),
        opaque(r#"{"type":"what_comes_next", "a":[1, 2]}"#),
        tool("look", r#"{"b":1, "a":2}"#),
    ];
    assert_eq!(reply.blocks, expected);
    let usage = Usage { input: 3, cache_write: 11, output: 8, reasoning: 2, cache_read: 0 };
    assert_eq!((reply.stop, reply.usage), (Stop::ToolUse, Some(usage)));
}

#[test]
fn the_last_report_counts_and_half_a_report_is_none() {
    let of = |start: &str, end: &str| {
        let wire = [
            &format!(r#"{{"type":"message_start","message":{{"usage":{start}}}}}"#),
            &format!(
                r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{end}}}"#
            ),
            r#"{"type":"message_stop"}"#,
        ];
        let wire: String = wire.iter().map(|data| event(data)).collect();
        samples::answer(&WIRE, &wire).unwrap().usage
    };
    let usage = |input, cache_read, cache_write, output| {
        Some(Usage { input, cache_read, cache_write, output, reasoning: 0 })
    };
    let table = [
        (r#"{"input_tokens":5,"output_tokens":1}"#, r#"{"output_tokens":9}"#, usage(5, 0, 0, 9)),
        (
            r#"{"input_tokens":0,"cache_read_input_tokens":null,"output_tokens":0}"#,
            r#"{"input_tokens":32,"cache_read_input_tokens":2,"cache_creation_input_tokens":3,"output_tokens":16}"#,
            usage(32, 2, 3, 16),
        ),
        (r#"{"input_tokens":5,"output_tokens":1}"#, "{}", None),
        (r#"{"input_tokens":5,"output_tokens":1}"#, "null", None),
        ("{}", r#"{"output_tokens":9}"#, None),
        (r#"{"input_tokens":5}"#, r#"{"output_tokens":"many"}"#, None),
    ];
    for (start, end, expected) in table {
        assert_eq!(of(start, end), expected, "{start} {end}");
    }
}

#[test]
fn every_reason_to_stop_is_known_and_an_unknown_one_is_no_whole_answer() {
    let call = [TALK[11]];
    let table: [(&str, &[&str], Stop); 9] = [
        ("end_turn", &[], Stop::EndTurn),
        ("tool_use", &call, Stop::ToolUse),
        ("max_tokens", &[], Stop::MaxTokens),
        ("model_context_window_exceeded", &[], Stop::MaxTokens),
        ("stop_sequence", &[], Stop::StopSequence),
        ("pause_turn", &[], Stop::Paused),
        ("refusal", &[], Stop::Refusal),
        ("tomorrow", &[], Stop::MaxTokens),
        ("tomorrow", &call, Stop::ToolUse),
    ];
    for (reason, events, expected) in table {
        let reply = samples::answer(&WIRE, stream(events, reason)).unwrap();
        assert_eq!(reply.stop, expected, "{reason}");
    }
}

#[test]
fn an_error_amid_an_answer_is_the_vendors_in_every_shape() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"},"request_id":"req_1"}"#;
    let table = [
        (event(overloaded), "overloaded_error", "Busy (request req_1)"),
        (event(r#"{"error":{"message":"no","code":5}}"#), "", "no"),
        (event(r#"{"error":"no"}"#), "", r#""no""#),
        ("event: error\ndata: <html>\n\n".to_owned(), "", "<html>"),
    ];
    for (end, code, message) in table {
        let wire = format!(
            "{}{end}",
            stream(&TALK, "end_turn")
                .split_once("event: e\ndata: {\"type\":\"message_delta")
                .unwrap()
                .0
        );
        let expected =
            Said { code: code.to_owned(), message: message.to_owned(), retry_after_ms: None };
        assert_eq!(samples::answer(&WIRE, &wire), Err(Trouble::Said(expected)), "{end}");
    }
    let Err(Trouble::Said(said)) = WIRE.whole(overloaded.as_bytes()) else {
        panic!("an error was taken for an answer");
    };
    assert_eq!(said.code, "overloaded_error");
}

#[test]
fn what_comes_after_the_end_and_what_nobody_knows_is_passed_over() {
    let wire = format!(
        "{}{}{}data: [DONE]\n\n",
        event(r#"{"type":"what_comes_next","index":"seven"}"#),
        stream(&TALK, "tool_use"),
        event(r#"{"type":"message_stop"}"#),
    );
    assert_eq!(samples::answer(&WIRE, &wire), samples::answer(&WIRE, stream(&TALK, "tool_use")));
}

#[test]
fn what_the_protocol_does_not_allow_is_said_and_never_an_answer() {
    let begin =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let table: [&[&str]; 9] = [
        &[r#"{"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"x"}}"#],
        &[begin, begin],
        &[begin, r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta"}}"#],
        &[r#"{"type":"content_block_start","index":0}"#],
        &[r#"{"type":"content_block_start","content_block":{"type":"text"}}"#],
        &[r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use"}}"#],
        &[r#"{"type":"message_start","message":{}}"#],
        &["{} {}"],
        &["not JSON"],
    ];
    for events in table {
        let answer = samples::answer(&WIRE, stream(events, "end_turn"));
        assert!(matches!(answer, Err(Trouble::Malformed(_))), "{events:?}: {answer:?}");
    }
    for body in ["", "{}", "[]", "<html>", r#"{"content":[{"text":"x"}]}"#, r#"{"content":[7]}"#] {
        let answer = WIRE.whole(body.as_bytes());
        assert!(matches!(answer, Err(Trouble::Malformed(_))), "{body}: {answer:?}");
    }
    for first in [begin, r#"{"type":"message_delta","delta":{}}"#, r#"{"type":"message_stop"}"#] {
        let answer = samples::answer(&WIRE, event(first));
        assert!(matches!(answer, Err(Trouble::Malformed(_))), "{first}: {answer:?}");
    }
}

#[test]
fn the_body_of_an_error_gives_its_codes_the_most_exact_first() {
    let table = [
        (
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Spent","details":{"error_code":"enforced_spend_limit_reached"}},"request_id":"req_1"}"#,
            Some(("enforced_spend_limit_reached rate_limit_error", "Spent (request req_1)")),
        ),
        (
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow","details":"soon"},"request_id":null}"#,
            Some(("rate_limit_error", "Slow")),
        ),
        (r#"{"message":"no"}"#, None),
        (r#"{"type":"error","error":{"type":"api"#, None),
        ("<html>502</html>", None),
        ("", None),
    ];
    for (body, expected) in table {
        let expected = expected.map(|(code, message)| {
            let (code, message) = (code.to_owned(), message.to_owned());
            Trouble::Said(Said { code, message, retry_after_ms: None })
        });
        assert_eq!(WIRE.trouble(body.as_bytes()), expected, "{body}");
    }
}

#[test]
fn limits_are_read_where_all_of_one_kind_is_said() {
    let pairs = [
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:05Z"),
        ("anthropic-ratelimit-tokens-limit", "10"),
        ("anthropic-ratelimit-tokens-remaining", "x"),
        ("anthropic-ratelimit-tokens-reset", "2026-01-01T00:00:05Z"),
        ("anthropic-ratelimit-output-tokens-limit", "80"),
        ("retry-after", "7"),
    ];
    let headers: HeaderMap = pairs
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect();
    // 2026-01-01T00:00:00Z.
    let now = Timestamp(1_767_225_600_000);
    let requests = Allowance { limit: 4_000, remaining: 3_999, reset_ms: 5_000 };
    let expected = RateLimits { requests: Some(requests), ..RateLimits::default() };
    assert_eq!(WIRE.limits(&headers, now), Some(expected));
    assert_eq!(WIRE.limits(&HeaderMap::new(), now), None);
}

#[test]
fn models_come_page_by_page() {
    let page = |body: &str| {
        let page = WIRE.models(body.as_bytes()).unwrap();
        (page.names.join(" "), page.after)
    };
    let more = r#"{"data":[{"id":"a"},{"id":"b","type":"model"}],"has_more":true,"last_id":"b"}"#;
    assert_eq!(page(more), ("a b".to_owned(), Some("b".to_owned())));
    assert_eq!(page(r#"{"data":[{"id":"c"}],"has_more":false,"last_id":"c"}"#).1, None);
    assert_eq!(page(r#"{"data":[],"has_more":true,"last_id":"c"}"#).1, None);
    assert!(WIRE.models(b"{}").is_err());
    assert_eq!(WIRE.models_path(None), "/v1/models?limit=1000");
    assert_eq!(WIRE.models_path(Some("a&b")), "/v1/models?limit=1000&after_id=a%26b");
}
