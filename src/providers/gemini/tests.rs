//! Requests and answers of Gemini, from short texts made by hand.

use std::sync::Arc;

use greenroom_actors::domain::{
    agent::Sampling,
    conversation::{BlobRef, Block, Message, ReplyBlock, Stop},
    ids::{ModelName, PoolKind, ProviderName, ToolCallNo, ToolName},
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

const WIRE: Gemini = Gemini::new();

fn vertex() -> Gemini {
    Gemini::vertex("p".to_owned(), "l".to_owned())
}

type Read = Result<(Vec<ModelEvent>, Option<Reply>), Trouble>;

/// What a stream of these chunks says, and how it ends.
fn stream(chunks: &[&str]) -> Read {
    let mut decoder = WIRE.decoder();
    let mut out = Vec::new();
    for chunk in chunks {
        decoder.frame(&Frame { name: None, data: (*chunk).to_owned() }, &mut out)?;
    }
    decoder.end(&mut out)?;
    let reply = match out.last() {
        Some(ModelEvent::Finished { reply }) => Some((**reply).clone()),
        _ => None,
    };
    out.retain(|event| !matches!(event, ModelEvent::Finished { .. }));
    Ok((out, reply))
}

/// A chunk with these parts.
fn parts(parts: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"role":"model","parts":[{parts}]}},"index":0}}]}}"#)
}

/// The last chunk, which stops for this reason.
fn stops(reason: &str) -> String {
    format!(r#"{{"candidates":[{{"finishReason":"{reason}"}}]}}"#)
}

/// The blocks of an answer with these parts, each in a chunk of its own.
fn blocks(each: &[&str]) -> Vec<ReplyBlock> {
    let mut chunks: Vec<String> = each.iter().map(|part| parts(part)).collect();
    chunks.push(stops("STOP"));
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    stream(&chunks).unwrap().1.unwrap().blocks
}

fn opaque(json: &str) -> ReplyBlock {
    samples::opaque("gemini", json)
}

fn own(json: &str) -> Block {
    samples::own("gemini", json)
}

/// A request that sets nothing.
fn request(model: &str, messages: Vec<Message>) -> ModelRequest {
    ModelRequest { sampling: Sampling::default(), ..samples::request(model, messages) }
}

fn body(request: &ModelRequest) -> String {
    samples::body(&WIRE, request)
}

fn asked(no: u32, args: &str) -> Block {
    samples::asked(no, "f", args)
}

fn tool() -> Arc<Vec<ToolSpec>> {
    Arc::new(vec![ToolSpec {
        name: ToolName("f".to_owned()),
        description: "does".to_owned(),
        schema: r#"{"type":"object"}"#.to_owned(),
        effect: EffectClass::Pure,
        pool: PoolKind("p".to_owned()),
    }])
}

#[test]
fn text_and_thinking_come_in_pieces_and_the_last_usage_counts() {
    let (events, reply) = stream(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}]}}],"usageMetadata":{"promptTokenCount":9}}"#,
        &parts(r#"{"text":"He"}"#),
        r#"{"candidates":[{"content":{"parts":[{"text":"y"}]},"finishReason":"STOP"}],"modelVersion":"g-1","usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":60,"toolUsePromptTokenCount":5,"candidatesTokenCount":7,"thoughtsTokenCount":3,"totalTokenCount":115}}"#,
        "[DONE]",
        r#"{"usageMetadata":{}}"#,
    ])
    .unwrap();
    let told = [
        ModelEvent::Thinking { delta: "hm".to_owned() },
        ModelEvent::Text { delta: "He".to_owned() },
        ModelEvent::Text { delta: "y".to_owned() },
    ];
    assert_eq!(events, told);
    let reply = reply.unwrap();
    assert_eq!(reply.blocks, [thinking("hm"), text("Hey")]);
    assert_eq!(reply.stop, Stop::EndTurn);
    assert_eq!(reply.served_by, Some(ModelName("g-1".to_owned())));
    let usage = Usage { input: 45, cache_read: 60, cache_write: 0, output: 10, reasoning: 3 };
    assert_eq!(reply.usage, Some(usage));
}

#[test]
fn a_stream_without_a_reason_to_stop_has_not_ended() {
    assert_eq!(stream(&[&parts(r#"{"text":"all of it"}"#)]).unwrap().1, None);
    assert_eq!(stream(&[]).unwrap().1, None);
    let whole = WIRE.whole(parts(r#"{"text":"all of it"}"#).as_bytes());
    assert!(matches!(whole, Err(Trouble::Malformed(_))));
}

#[test]
fn signatures_go_back_in_the_part_that_they_came_in() {
    let kept = blocks(&[
        r#"{"text":"a"}"#,
        r#"{"text":"b","thoughtSignature":"s\u0031"}"#,
        r#"{"text":"c"}"#,
        r#"{"functionCall":{"name":"f","args":{"x": 1.50},"id":"theirs"},"thoughtSignature":"s2"}"#,
        r#"{"functionCall":{"name":"f","args":{}}}"#,
        r#"{"text":"","thoughtSignature":"s3"}"#,
    ]);
    let expected = [
        text("a"),
        opaque(r#"{"with_next":{"thoughtSignature":"s\u0031"}}"#),
        text("b"),
        text("c"),
        opaque(r#"{"with_next":{"thoughtSignature":"s2"}}"#),
        call("f", r#"{"x": 1.50}"#),
        call("f", "{}"),
        opaque(r#"{"text":"","thoughtSignature":"s3"}"#),
    ];
    assert_eq!(kept, expected);

    let mut no = 0;
    let back = kept.into_iter().map(|block| match block {
        ReplyBlock::Said { block } => block,
        ReplyBlock::ToolUse { name, args } => {
            no += 1;
            Block::ToolUse { call: ToolCallNo(no), name, args }
        }
    });
    let body = body(&request("gemini-3-pro", vec![assistant(back.collect())]));
    let parts = [
        r#"{"text":"a"}"#,
        r#"{"text":"b","thoughtSignature":"s\u0031"}"#,
        r#"{"text":"c"}"#,
        r#"{"functionCall":{"id":"call_1","name":"f","args":{"x": 1.50}},"thoughtSignature":"s2"}"#,
        r#"{"functionCall":{"id":"call_2","name":"f","args":{}}}"#,
        r#"{"text":"","thoughtSignature":"s3"}"#,
    ];
    assert!(body.contains(&format!("[{}]", parts.join(","))), "{body}");
}

#[test]
fn thoughts_go_back_only_where_they_are_signed() {
    let signed = r#"{"text":"so", "thought":true,"thoughtSignature":"s"}"#;
    let kept = blocks(&[r#"{"text":"hm ","thought":true}"#, signed, r#"{"text":"a"}"#]);
    assert_eq!(kept, [thinking("hm so"), opaque(signed), text("a")]);
    let shown = Block::Thinking { text: "hm so".to_owned(), signature: None };
    let body = body(&request("gemini-2.5-pro", vec![assistant(vec![shown, own(signed)])]));
    assert!(body.contains(&format!(r#""parts":[{signed}]"#)), "{body}");
}

#[test]
fn what_nobody_knows_goes_round_unchanged() {
    let each = [
        r#"{"executableCode":{"language":"PYTHON", "code":"1\n2"}}"#,
        r#"{"codeExecutionResult":{"outcome":"OUTCOME_OK"}}"#,
        r#"{"inlineData":{"mimeType":"image/png","data":"AA=="},"thoughtSignature":"s"}"#,
        r#"{"brandNew":{"n":1.50,"é":"\u00e9"}}"#,
    ];
    let expected: Vec<ReplyBlock> = each.iter().map(|part| opaque(part)).collect();
    assert_eq!(blocks(&each), expected);
    let back = assistant(each.iter().map(|part| own(part)).collect());
    let foreign = Block::Opaque {
        provider: ProviderName("vertex".to_owned()),
        json: r#"{"foreign":1}"#.to_owned(),
    };
    let body = body(&request("gemini-2.5-pro", vec![back, assistant(vec![foreign])]));
    assert!(body.contains(&format!("[{}]", each.join(","))), "{body}");
    assert!(!body.contains("foreign") && !body.contains(r#""parts":[]"#), "{body}");
}

#[test]
fn arguments_that_come_bit_by_bit_are_put_together() {
    let kept = blocks(&[
        r#"{"functionCall":{"name":"f","willContinue":true},"thoughtSignature":"s"}"#,
        r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.city","stringValue":"New ","willContinue":true}],"willContinue":true}}"#,
        r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.city","stringValue":"York"},{"jsonPath":"$.list[0].n","numberValue":4},{"jsonPath":"$.list[1]['a b']","boolValue":true}],"willContinue":true}}"#,
        r#"{"functionCall":{}}"#,
        r#"{"functionCall":{"name":"g","partialArgs":[{"jsonPath":"$.x","nullValue":"NULL_VALUE"}]}}"#,
    ]);
    let expected = [
        opaque(r#"{"with_next":{"thoughtSignature":"s"}}"#),
        call("f", r#"{"city":"New York","list":[{"n":4},{"a b":true}]}"#),
        call("g", r#"{"x":null}"#),
    ];
    assert_eq!(kept, expected);
    let deep = format!("${}", ".a".repeat(50_000));
    for path in ["city", "$", "$[0]", "$.a[9]", "$.a[x]", "$.a['b", "$.a[-1]", &deep] {
        let bit = format!(
            r#"{{"functionCall":{{"name":"f","partialArgs":[{{"jsonPath":"{path}","boolValue":true}}]}}}}"#
        );
        let read = stream(&[&parts(&bit), &stops("STOP")]);
        assert!(matches!(read, Err(Trouble::Malformed(_))), "{path}: {read:?}");
    }
}

#[test]
fn every_way_to_stop_is_told_apart() {
    let asks = r#"{"functionCall":{"name":"f"}}"#;
    let says = r#"{"text":"a"}"#;
    let table = [
        ("STOP", says, Ok(Stop::EndTurn)),
        ("STOP", asks, Ok(Stop::ToolUse)),
        ("MAX_TOKENS", says, Ok(Stop::MaxTokens)),
        ("MAX_TOKENS", "", Ok(Stop::MaxTokens)),
        ("SAFETY", "", Ok(Stop::Refusal)),
        ("RECITATION", says, Ok(Stop::Refusal)),
        ("PROHIBITED_CONTENT", "", Ok(Stop::Refusal)),
        ("BRAND_NEW", says, Ok(Stop::MaxTokens)),
        ("BRAND_NEW", "", Err("BRAND_NEW")),
        ("MALFORMED_FUNCTION_CALL", says, Err("MALFORMED_FUNCTION_CALL")),
        ("TOO_MANY_TOOL_CALLS", asks, Err("TOO_MANY_TOOL_CALLS")),
        ("MISSING_THOUGHT_SIGNATURE", "", Err("invalid_request MISSING_THOUGHT_SIGNATURE")),
    ];
    for (reason, part, expected) in table {
        let read = stream(&[&parts(part), &stops(reason)]);
        let stop = read.map(|(_, reply)| reply.unwrap().stop).map_err(code);
        assert_eq!(stop, expected.map_err(str::to_owned), "{reason} after {part:?}");
    }
}

#[test]
fn a_prompt_that_was_refused_is_an_answer_without_words() {
    let refused =
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}"#;
    let reply = stream(&[refused]).unwrap().1.unwrap();
    assert_eq!((reply.blocks.len(), reply.stop), (0, Stop::Refusal));
    assert_eq!(reply.usage.map(|usage| usage.input), Some(4));
    assert_eq!(WIRE.whole(refused.as_bytes()).unwrap().stop, Stop::Refusal);
}

#[test]
fn an_answer_as_a_whole_is_one_chunk_or_a_list_of_them() {
    let one = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#;
    assert_eq!(WIRE.whole(one.as_bytes()).unwrap().blocks, [text("a")]);
    let list = format!("[{}\n,{}]", parts(r#"{"text":"b"}"#), one);
    assert_eq!(WIRE.whole(list.as_bytes()).unwrap().blocks, [text("ba")]);
    let empty = r#"{"candidates":[{"content":{"role":"model"},"finishReason":"MAX_TOKENS"}]}"#;
    assert_eq!(WIRE.whole(empty.as_bytes()).unwrap().stop, Stop::MaxTokens);
}

#[test]
fn a_text_that_is_null_is_none_and_figures_are_read_as_they_are_written() {
    let odd = parts(r#"{"text":null},{"text":"hi"}"#);
    let end = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9.0,"candidatesTokenCount":"2","thoughtsTokenCount":null}}"#;
    let reply = stream(&[&odd, end]).unwrap().1.unwrap();
    assert_eq!(reply.blocks, [text("hi")]);
    assert_eq!(reply.usage, Some(Usage { input: 9, output: 2, ..Usage::default() }));
}

#[test]
fn what_the_protocol_does_not_allow_is_malformed() {
    for chunk in [
        "{".to_owned(),
        "[1]".to_owned(),
        parts(r#"{"functionCall":{}}"#),
        parts(r#"{"text":5}"#),
        parts("7"),
        parts(r#"{"text":"\ud800"}"#),
    ] {
        let read = stream(&[&chunk]);
        assert!(matches!(read, Err(Trouble::Malformed(_))), "{chunk}: {read:?}");
    }
    for body in ["", "[]", "{}", "<html>", r#"{"candidates":[]}"#] {
        assert!(matches!(WIRE.whole(body.as_bytes()), Err(Trouble::Malformed(_))), "{body}");
    }
}

const DAILY: &str = r#"{"error":{"code":429,"message":"used up","status":"RESOURCE_EXHAUSTED","details":[
    {"@type":"type.googleapis.com/google.rpc.Help","links":[]},
    {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"InputTokensPerMinute"},{"quotaId":"GenerateRequestsPerDayPerProject"}]},
    {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}"#;

#[test]
fn errors_are_read_from_their_details() {
    let table = [
        (DAILY, "GenerateRequestsPerDayPerProject InputTokensPerMinute RESOURCE_EXHAUSTED"),
        (
            r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
            "API_KEY_INVALID INVALID_ARGUMENT",
        ),
        (r#"[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]"#, "UNAVAILABLE"),
        (
            r#"{"error":{"code":401,"message":"m","status":"UNAUTHENTICATED"}}"#,
            "UNAUTHENTICATED unauthorized",
        ),
        (r#"{"error":{"code":500}}"#, "500"),
        (r#"{"error":"words"}"#, "error"),
    ];
    for (body, expected) in table {
        let trouble = WIRE.trouble(body.as_bytes()).unwrap();
        assert_eq!(code(trouble), expected, "{body}");
        assert_eq!(code(stream(&[body]).unwrap_err()), expected, "amid a stream: {body}");
        assert_eq!(code(WIRE.whole(body.as_bytes()).unwrap_err()), expected, "whole: {body}");
    }
    let Some(Trouble::Said(Said { retry_after_ms, .. })) = WIRE.trouble(DAILY.as_bytes()) else {
        panic!("no words");
    };
    assert_eq!(retry_after_ms, Some(34_400));
    for body in ["", "{}", "<html>", "[]", r#"{"error":null}"#, r#"{"error":{"co"#] {
        assert_eq!(WIRE.trouble(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn a_plain_request_says_no_more_than_it_must() {
    let ask = WIRE.ask(&request("gemini-2.5-flash", vec![Message::user("hi")]), true).unwrap();
    assert_eq!(ask.path, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    let body = String::from_utf8(ask.body.to_vec()).unwrap();
    assert_eq!(body, r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#);
}

#[test]
fn models_are_found_where_they_are() {
    let path = |wire: &Gemini, model| wire.ask(&request(model, vec![]), false).map(|ask| ask.path);
    let table = [
        (&WIRE, "models/g", "/v1beta/models/g:generateContent"),
        (&WIRE, "tunedModels/g", "/v1beta/tunedModels/g:generateContent"),
        (
            &vertex(),
            "g@001",
            "/v1/projects/p/locations/l/publishers/google/models/g@001:generateContent",
        ),
        (&vertex(), "endpoints/7", "/v1/projects/p/locations/l/endpoints/7:generateContent"),
    ];
    for (wire, model, expected) in table {
        assert_eq!(path(wire, model).as_deref(), Ok(expected));
    }
    for name in ["", "g?key=1", "../g", "g:x", "g h"] {
        assert!(path(&WIRE, name).unwrap_err().contains("no name"), "{name}");
    }
    assert_eq!(vertex().auth(), Auth::Bearer);
    assert_eq!(WIRE.auth(), Auth::Header("x-goog-api-key"));
}

#[test]
fn results_name_the_tools_of_their_calls() {
    let talk = request(
        "gemini-2.5-flash",
        vec![
            assistant(vec![asked(1, "{}"), asked(2, "not json")]),
            user(vec![done(1, "yes", false), done(2, "no", true)]),
        ],
    );
    let with = body(&talk);
    for part in [
        r#"{"functionCall":{"id":"call_1","name":"f","args":{}}}"#,
        r#"{"functionCall":{"id":"call_2","name":"f","args":{"unread":"not json"}}}"#,
        r#"{"functionResponse":{"id":"call_1","name":"f","response":{"output":"yes"}}}"#,
        r#"{"functionResponse":{"id":"call_2","name":"f","response":{"error":"no"}}}"#,
    ] {
        assert!(with.contains(part), "{part} is not in {with}");
    }
    assert!(!samples::body(&vertex(), &talk).contains("call_1"), "Vertex goes by order and name");
    let orphan = request("gemini-2.5-flash", vec![user(vec![done(9, "?", false)])]);
    assert!(WIRE.ask(&orphan, true).unwrap_err().contains("call 9"));
}

#[test]
fn a_call_that_another_model_made_is_let_pass() {
    let talk = |name| body(&request(name, vec![assistant(vec![asked(1, "{}"), asked(2, "{}")])]));
    let modern = talk("gemini-3-flash");
    assert_eq!(modern.matches("skip_thought_signature_validator").count(), 1, "{modern}");
    let first =
        r#""args":{}},"thoughtSignature":"skip_thought_signature_validator"},{"functionCall""#;
    assert!(modern.contains(first), "{modern}");
    assert!(!talk("gemini-2.5-flash").contains("thoughtSignature"));
}

#[test]
fn the_generation_of_a_model_stands_in_its_name() {
    let modern = ["gemini-3-pro", "models/gemini-3.1-pro", "gemini-12", "gemini-flash-latest"];
    let older = ["gemini-2.5-flash", "gemini-1.5-pro-latest", "gemini-flash", "gemma-3", ""];
    assert!(modern.iter().all(|name| is_modern(name)));
    assert!(!older.iter().any(|name| is_modern(name)));
}

#[test]
fn everything_that_is_set_is_said() {
    let image = Block::Image {
        media_type: "image/png".to_owned(),
        blob: BlobRef { sha256: "ab".to_owned(), bytes: 3 },
    };
    let mut request = request("gemini-2.5-flash", vec![user(vec![image])]);
    assert!(WIRE.ask(&request, true).unwrap_err().contains("image ab"));
    request.images.insert("ab".to_owned(), Arc::from(&b"abc"[..]));
    request.instructions = "be brief".to_owned();
    request.sampling = Sampling {
        temperature_milli: Some(300),
        output_tokens_max: Some(64),
        stop: vec!["END".to_owned()],
        thinking_tokens: Some(2_000),
        output_schema: Some(r#"{"type":"object"}"#.to_owned()),
    };
    let with = body(&request);
    for part in [
        r#""systemInstruction":{"parts":[{"text":"be brief"}]}"#,
        r#"{"inlineData":{"mimeType":"image/png","data":"YWJj"}}"#,
        r#""generationConfig":{"temperature":0.3,"maxOutputTokens":64,"stopSequences":["END"],"thinkingConfig":{"includeThoughts":true,"thinkingBudget":2000},"responseMimeType":"application/json","responseJsonSchema":{"type":"object"}}"#,
    ] {
        assert!(with.contains(part), "{part} is not in {with}");
    }
    request.model = ModelName("gemini-3-pro".to_owned());
    assert!(body(&request).contains(r#"{"includeThoughts":true,"thinkingLevel":"low"}"#));
}

#[test]
fn a_schema_beside_tools_is_held_or_told() {
    let mut request = request("gemini-2.5-flash", vec![Message::user("hi")]);
    request.tools = tool();
    request.sampling.output_schema = Some(r#"{"type":"object","title":"T"}"#.to_owned());
    let told = body(&request);
    let declared = r#""tools":[{"functionDeclarations":[{"name":"f","description":"does","parametersJsonSchema":{"type":"object"}}]}]"#;
    assert!(told.contains(declared), "{told}");
    assert!(!told.contains("responseJsonSchema") && told.contains(r#"\"title\":\"T\""#), "{told}");
    request.model = ModelName("gemini-3-pro".to_owned());
    assert!(body(&request).contains("responseJsonSchema"));
}

#[test]
fn models_are_listed_page_by_page() {
    let page = WIRE
        .models(
            br#"{"models":[{"name":"models/a","supportedGenerationMethods":["generateContent"]},
                {"name":"models/e","supportedGenerationMethods":["embedContent"]},
                {"name":"tunedModels/t"}],"nextPageToken":"x+/="}"#,
        )
        .unwrap();
    assert_eq!(page.names, ["a", "tunedModels/t"]);
    let next = WIRE.models_path(page.after.as_deref());
    assert_eq!(next, "/v1beta/models?pageSize=1000&pageToken=x%2B%2F%3D");
    let vertex = vertex();
    let page = vertex.models(br#"{"publisherModels":[{"name":"publishers/google/models/a"}]}"#);
    assert_eq!(page.unwrap(), ModelPage { names: vec!["a".to_owned()], after: None });
    assert_eq!(vertex.models_path(None), "/v1beta1/publishers/google/models?pageSize=200");
    assert!(WIRE.models(b"<html>").is_err());
}
