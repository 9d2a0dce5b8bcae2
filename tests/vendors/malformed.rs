//! V3 and V8: what no protocol allows, and what every protocol must bear. Each fault is a failure
//! that says what it is, or is passed over with the answer whole; nothing panics, nothing is lost
//! without a word.

use greenroom::providers::{Kind, Setup, connect};
use greenroom_actors::domain::event::FailureKind;
use serde_json::{Value, json};

use crate::{
    house::{call, name, text, vendor, way},
    server::{Answer, Server},
    speech::{self, KINDS, frames, streams},
};

/// The body that a format makes of this answer, called at a server that says it.
async fn told(kind: Kind, answer: impl Fn() -> Answer + Send + Sync + 'static) -> Told {
    let server = Server::new(move |_asked, _no| answer()).await;
    match call(&vendor(&way(), kind, &server.url)).await {
        Ok(reply) => Told::Answer(text(&reply)),
        Err(failure) => Told::Failure(failure.kind, failure.retryable, failure.message),
    }
}

#[derive(Debug)]
enum Told {
    Answer(String),
    Failure(FailureKind, bool, String),
}

/// The answer "Aha" with this between its two pieces.
fn amid(kind: Kind, fault: &str) -> String {
    let (a, ha) = (speech::piece(kind, "A"), speech::piece(kind, "ha"));
    format!("{}{a}{fault}{ha}{}", speech::begins(kind), speech::ends(kind))
}

/// A frame that no version of a vendor's protocol has yet.
fn unknown(kind: Kind) -> String {
    let frame = match kind {
        Kind::Anthropic | Kind::OpenAiResponses => json!({"type": "from.the.future", "x": [1]}),
        Kind::OpenAiChat => json!({"object": "from.the.future", "choices": []}),
        Kind::Gemini | Kind::Vertex => json!({"fromTheFuture": {"x": 1}}),
        Kind::Ollama => json!({"model": "model", "from_the_future": 1, "done": false}),
    };
    frames(kind, &[frame])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_nobody_knows_are_passed_over_and_the_answer_is_whole() {
    for kind in KINDS {
        let body = amid(kind, &unknown(kind));
        let came = told(kind, move || streams(kind, body.clone())).await;
        assert!(matches!(&came, Told::Answer(text) if text == "Aha"), "{kind:?}: {came:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_pings_and_a_second_end_change_nothing() {
    for kind in KINDS {
        let noise = match kind {
            Kind::Ollama => "\n\r\n".to_owned(),
            _events => ": ping\n\nid: 7\nretry: 10\n\n".to_owned(),
        };
        let body = format!("{noise}{}{}{noise}", amid(kind, &noise), speech::ends(kind));
        let came = told(kind, move || streams(kind, body.clone())).await;
        assert!(matches!(&came, Told::Answer(text) if text == "Aha"), "{kind:?}: {came:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_is_none_and_two_objects_in_one_frame_are_said_to_be_malformed() {
    for kind in KINDS {
        let frame = |text: &str| match kind {
            Kind::Ollama => format!("{text}\n"),
            _events => format!("data: {text}\n\n"),
        };
        for fault in ["{\"choices\":[", "{\"a\":1}{\"b\":2}", "not json", "\"text\""] {
            let body = amid(kind, &frame(fault));
            let came = told(kind, move || streams(kind, body.clone())).await;
            let Told::Failure(FailureKind::Malformed, false, message) = came else {
                panic!("{kind:?} {fault}: {came:?}");
            };
            let says = format!("{} sent what its protocol does not allow", name(kind));
            assert!(message.starts_with(&says), "{kind:?} {fault}: {message}");
        }
    }
}

/// Frames of Anthropic's in an order that its protocol does not have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_out_of_order_are_malformed_or_the_answer_is_whole() {
    let kind = Kind::Anthropic;
    let delta = |index: u64| {
        json!({"type": "content_block_delta", "index": index,
            "delta": {"type": "text_delta", "text": "x"}})
    };
    let start = json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "text", "text": ""}});
    let stop = json!({"type": "content_block_stop", "index": 0});
    let begin = json!({"type": "message_start", "message": {"content": []}});
    let refused: [(&str, Vec<Value>); 4] = [
        ("a delta of a block that never began", vec![delta(9)]),
        ("a block that begins twice", vec![start]),
        ("an answer within an answer", vec![begin]),
        ("a block without an index", vec![json!({"type": "content_block_delta"})]),
    ];
    for (what, fault) in refused {
        let body = amid(kind, &frames(kind, &fault));
        let came = told(kind, move || streams(kind, body.clone())).await;
        assert!(
            matches!(came, Told::Failure(FailureKind::Malformed, false, _)),
            "{what}: {came:?}"
        );
    }
    // Closed twice or never: nothing is acted on before the end, so the answer is what it is.
    let twice = amid(kind, &frames(kind, &[stop.clone(), stop]));
    let never = amid(kind, "").replace("content_block_stop", "content_block_sleep");
    for body in [twice, never] {
        let came = told(kind, move || streams(kind, body.clone())).await;
        assert!(matches!(&came, Told::Answer(text) if text == "Aha"), "{came:?}");
    }
    let early = format!("{}{}", frames(kind, &[delta(0)]), amid(kind, ""));
    let came = told(kind, move || streams(kind, early.clone())).await;
    assert!(matches!(came, Told::Failure(FailureKind::Malformed, false, _)), "{came:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_is_missing_is_an_early_end_and_may_be_asked_for_again() {
    for kind in KINDS {
        let body = format!("{}{}", speech::begins(kind), speech::piece(kind, "Aha"));
        let came = told(kind, move || streams(kind, body.clone())).await;
        assert!(
            matches!(came, Told::Failure(FailureKind::EndedEarly, true, _)),
            "{kind:?}: {came:?}"
        );
    }
}

/// An error of the vendor's amid an answer under a status of 200, in the shape of each.
fn error_amid(kind: Kind) -> String {
    let error = json!({"code": 503, "status": "UNAVAILABLE", "type": "overloaded_error",
        "message": "Too busy for you"});
    let frame = match kind {
        Kind::Anthropic => json!({"type": "error", "error": error}),
        Kind::OpenAiChat | Kind::Gemini | Kind::Vertex => json!({"error": error}),
        Kind::OpenAiResponses => json!({"type": "response.failed", "response": {"id": "r",
            "status": "failed", "error": {"code": "server_is_overloaded",
            "message": "Too busy for you"}}}),
        Kind::Ollama => json!({"error": "Too busy for you: overloaded"}),
    };
    frames(kind, &[frame])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_after_a_good_status_is_the_vendors_error_in_its_words() {
    for kind in KINDS {
        let body = amid(kind, &error_amid(kind));
        let came = told(kind, move || streams(kind, body.clone())).await;
        let Told::Failure(failure, true, message) = came else { panic!("{kind:?}: {came:?}") };
        assert_eq!(failure, FailureKind::Overloaded, "{kind:?}: {message}");
        let says = format!("{} broke off its answer", name(kind));
        assert!(message.starts_with(&says), "{message}");
        assert!(message.contains("Too busy for you"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_utf_8_are_said_to_be_none_whatever_charset_is_claimed() {
    for kind in KINDS {
        let mut latin = amid(kind, "").into_bytes();
        let at = latin.windows(2).position(|pair| pair == b"ha").unwrap();
        latin[at] = 0xe4;
        for charset in ["", "; charset=iso-8859-1"] {
            let (body, kind_of) = (latin.clone(), format!("{}{charset}", media(kind)));
            let came = told(kind, move || Answer::new(200, &kind_of, body.clone())).await;
            assert!(
                matches!(&came, Told::Failure(FailureKind::Malformed, false, message)
                    if message.contains("not UTF-8")),
                "{kind:?}: {came:?}"
            );
        }
        // A charset that is claimed and does not hold changes nothing.
        let kind_of = format!("{}; charset=iso-8859-1", media(kind));
        let body = amid(kind, &speech::piece(kind, "ä"));
        let came = told(kind, move || Answer::new(200, &kind_of, body.clone())).await;
        assert!(matches!(&came, Told::Answer(text) if text == "Aäha"), "{kind:?}: {came:?}");
    }
}

const fn media(kind: Kind) -> &'static str {
    match kind {
        Kind::Ollama => "application/x-ndjson",
        _events => "text/event-stream",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secure_address_of_a_plain_port_and_the_other_way_round_are_no_connection() {
    let plain = Server::new(|_asked, _no| Answer::raw("HTTP/1.1 400 Bad\r\n\r\n")).await;
    let url = plain.url.replace("http://", "https://");
    let failure = call(&vendor(&way(), Kind::OpenAiChat, &url)).await.unwrap_err();
    assert_eq!((failure.kind, failure.retryable), (FailureKind::Transport, true), "{failure:?}");
    assert!(failure.unbilled, "nothing was asked: {failure:?}");
    assert!(failure.message.contains(": reach 127.0.0.1:"), "{failure:?}");
    // What a server that speaks TLS says to one who does not.
    let alert: &[u8] = &[0x15, 3, 1, 0, 2, 2, 70];
    let secure = Server::new(move |_asked, _no| Answer::raw(alert)).await;
    let failure = call(&vendor(&way(), Kind::OpenAiChat, &secure.url)).await.unwrap_err();
    assert_eq!((failure.kind, failure.retryable), (FailureKind::Transport, true), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_lies_cuts_an_answer_and_never_makes_a_short_one() {
    for kind in KINDS {
        let body = amid(kind, "");
        let length = body.len();
        for told_length in [length + 1, length + 99_999, length / 2, length / 2 + 1] {
            let head = format!("content-type: {}\r\ncontent-length: {told_length}", media(kind));
            let raw = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
            let came = told(kind, move || Answer::raw(raw.clone())).await;
            match came {
                // The end had come before the length was missed.
                Told::Answer(text) if told_length > length => assert_eq!(text, "Aha"),
                Told::Failure(FailureKind::EndedEarly | FailureKind::Transport, true, _) => {}
                other => panic!("{kind:?}, {told_length} for {length}: {other:?}"),
            }
        }
    }
}

/// An answer that was asked for as a whole, in the words of each.
fn whole(kind: Kind) -> Value {
    match kind {
        Kind::Anthropic => json!({"type": "message", "role": "assistant", "model": "model",
            "content": [{"type": "text", "text": "Ahä"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1}}),
        Kind::OpenAiChat => json!({"model": "model", "choices": [{"index": 0,
            "message": {"role": "assistant", "content": "Ahä"}, "finish_reason": "stop"}]}),
        Kind::OpenAiResponses => json!({"id": "r", "status": "completed", "output": [{"id": "i",
            "type": "message", "role": "assistant", "content": [{"type": "output_text",
            "text": "Ahä"}]}]}),
        Kind::Gemini | Kind::Vertex => json!({"candidates": [{"content": {"role": "model",
            "parts": [{"text": "Ahä"}]}, "finishReason": "STOP"}]}),
        Kind::Ollama => json!({"model": "model", "message": {"role": "assistant",
            "content": "Ahä"}, "done": true, "done_reason": "stop"}),
    }
}

/// Without a length the end of the connection is the end of the body, so a cut looks like an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_cut_at_any_byte_has_ended_early_and_may_be_asked_for_again() {
    for kind in KINDS {
        let body = whole(kind).to_string().into_bytes();
        let cuts = body.len();
        let server = Server::new(move |_asked, no| {
            let head =
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n";
            Answer::raw([head.as_bytes(), &body[..no]].concat())
        })
        .await;
        let mut setup = Setup::new(name(kind), kind, &server.url);
        setup.stream = false;
        let vendor = connect(&way(), setup).unwrap();
        for at in 0..cuts {
            let failure = call(&vendor).await.unwrap_err();
            let early = (failure.kind, failure.retryable, failure.unbilled);
            assert_eq!(
                early,
                (FailureKind::EndedEarly, true, false),
                "{kind:?} at {at}: {failure:?}"
            );
        }
        assert_eq!(text(&call(&vendor).await.unwrap()), "Ahä");
    }
}
