//! Errors, limits and lists of models.

use greenroom_actors::domain::model::Allowance;
use reqwest::header::{HeaderName, HeaderValue};

use super::{super::super::Said, *};

const WIRE: OpenAiChat = OpenAiChat::new("own", Quirks::COMPATIBLE);

#[test]
fn errors_are_read_in_every_shape() {
    for (body, code, message) in [
        (
            r#"{"error":{"message":"no","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            "insufficient_quota",
            "no",
        ),
        (r#"{"error":{"message":"no","type":"t","code":null}}"#, "t", "no"),
        (
            r#"{"error":{"code":429,"message":"no","metadata":{"raw":"slow down"}}}"#,
            "429 rate_limit",
            "no: slow down",
        ),
        (r#"{"error":"no"}"#, "", "no"),
        (r#"{"error":"no","code":"c"}"#, "c", "no"),
        (r#"{"detail":"no"}"#, "", "no"),
        (r#"{"detail":[{"loc":["body"],"msg":"no","type":"missing"}]}"#, "missing", "no"),
        (
            r#"{"object":"error","message":"no","type":"t","code":"3051","param":null}"#,
            "3051 t",
            "no",
        ),
        (r#"{"message":{"detail":[{"msg":"no","type":"t"}]}}"#, "t", "no"),
        (
            r#"[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]"#,
            "400 invalid_request INVALID_ARGUMENT",
            "no",
        ),
    ] {
        let said = Said { code: code.into(), message: message.into(), retry_after_ms: None };
        assert_eq!(WIRE.trouble(body.as_bytes()), Some(Trouble::Said(said)), "{body}");
    }
    for body in ["", "<html>", "{}", "[]", "null", "7", "{\"error\":", "{\"error\":{}}"] {
        assert_eq!(WIRE.trouble(body.as_bytes()), None, "{body}");
    }
    let deep = format!("{}1{}", r#"{"error":"#.repeat(100), "}".repeat(100));
    assert_eq!(WIRE.trouble(deep.as_bytes()), None);
}

#[test]
fn an_error_within_a_stream_ends_it_whatever_its_clothes() {
    for chunk in [
        r#"{"error":{"message":"no","code":502},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"error","error":{"message":"no","code":502}}]}"#,
        r#"{"error":{"message":"no","code":502}}"#,
        r#"{"object":"error","message":"no","code":502}"#,
    ] {
        let text = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
        let (out, ended) = read(false, &[text, chunk, "[DONE]"]);
        let Err(Trouble::Said(said)) = ended else { panic!("{chunk}: {out:?}") };
        assert_eq!((said.code.as_str(), said.message.as_str()), ("502 unavailable", "no"));
        assert!(finished(&out).is_none());
        assert!(matches!(WIRE.whole(chunk.as_bytes()), Err(Trouble::Said(_))), "{chunk}");
    }
    // A name says it as well, and then any words are the error's.
    for (data, message) in [(r#"{"error":{"message":"no"}}"#, "no"), ("gone", "gone")] {
        let frame = Frame { name: Some("error".to_owned()), data: data.to_owned() };
        let Err(Trouble::Said(said)) = WIRE.decoder().frame(&frame, &mut Vec::new()) else {
            panic!("{data} is an error");
        };
        assert_eq!(said.message, message);
    }
    // Groq says why it ended a stream early beside a reason that sounds fine.
    let groq = r#"{"x_groq":{"error":"gone"},"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    let (_, ended) = read(false, &[groq]);
    assert!(matches!(&ended, Err(Trouble::Said(said)) if said.message == "gone"), "{ended:?}");
    // An error that says nothing is none.
    let fine = r#"{"error":null,"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    assert!(finished(&read(true, &[fine, "[DONE]"]).0).is_some());
}

#[test]
fn limits_are_read_from_the_headers() {
    let read = |pairs: &[(&'static str, &'static str)]| {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        WIRE.limits(&headers, Timestamp(1_767_225_600_000))
    };
    let limits = read(&[
        ("x-ratelimit-limit-requests", "5000"),
        ("x-ratelimit-remaining-requests", "4999"),
        ("x-ratelimit-reset-requests", "12ms"),
        ("x-ratelimit-limit-tokens", "160000"),
        ("x-ratelimit-remaining-tokens", "159968"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ])
    .unwrap();
    assert_eq!(limits.requests, Some(Allowance { limit: 5_000, remaining: 4_999, reset_ms: 12 }));
    let tokens = Allowance { limit: 160_000, remaining: 159_968, reset_ms: 360_000 };
    assert_eq!(limits.tokens, Some(tokens));
    for (reset, expected) in [
        ("1767225605", 5_000),
        ("1767225605000", 5_000),
        ("2", 2_000),
        ("2026-01-01T00:00:05Z", 5_000),
        ("whenever", 60_000),
    ] {
        let limits = read(&[
            ("x-ratelimit-limit-requests", "5"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", reset),
        ]);
        assert_eq!(limits.unwrap().requests.unwrap().reset_ms, expected, "{reset}");
    }
    assert_eq!(read(&[]), None);
    assert_eq!(read(&[("x-ratelimit-limit-requests", "5")]), None);
}

#[test]
fn models_are_listed_in_every_shape() {
    for body in [
        r#"{"object":"list","data":[{"id":"a","object":"model"},{"id":"b"}]}"#,
        r#" [{"id":"a"},{"id":"b","name":"B"}]"#,
        r#"{"models":[{"name":"a"},{"name":"b"}]}"#,
    ] {
        assert_eq!(WIRE.models(body.as_bytes()).unwrap().names, ["a", "b"], "{body}");
    }
    for body in ["{}", "<html>", r#"{"data":7}"#] {
        assert!(matches!(WIRE.models(body.as_bytes()), Err(Trouble::Malformed(_))), "{body}");
    }
}
