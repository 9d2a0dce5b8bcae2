//! Streams and whole answers.

use greenroom_actors::domain::{conversation::Stop, usage::Usage};

use super::*;

const TEXT: &str = r#"{"model":"m-1","choices":[{"delta":{"role":"assistant","content":"hi"}}]}"#;
const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
const USED: Usage = Usage { input: 9, cache_read: 0, cache_write: 0, output: 2, reasoning: 0 };

#[test]
fn a_stream_is_read_piece_by_piece_and_ends_once() {
    let (out, ended) = read(true, &[TEXT, STOP, USAGE, "[DONE]", TEXT, "[DONE]"]);
    assert_eq!(ended, Ok(()));
    assert_eq!(out.first(), Some(&ModelEvent::Text { delta: "hi".to_owned() }));
    assert_eq!(out.len(), 2, "{out:?}");
    let reply = finished(&out).unwrap();
    assert_eq!((short(reply), reply.stop), (vec!["hi".to_owned()], Stop::EndTurn));
    assert_eq!(reply.usage, Some(USED));
    assert_eq!(reply.served_by.as_ref().map(|model| model.as_str()), Some("m-1"));
}

#[test]
fn a_stream_that_breaks_off_before_its_end_is_no_answer() {
    for (closes, chunks) in [
        (true, &[][..]),
        (false, &[]),
        (true, &[TEXT]),
        (false, &[TEXT]),
        (false, &[TEXT, USAGE]),
        // Where streams always close, one that does not has broken off.
        (true, &[TEXT, STOP]),
        (true, &[TEXT, STOP, USAGE]),
        // A reason that is none.
        (false, &[r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}"#]),
        // Closed without a word.
        (true, &["[DONE]"]),
        (false, &[USAGE, "[DONE]"]),
    ] {
        let (out, ended) = read(closes, chunks);
        assert_eq!(ended, Ok(()), "{chunks:?}");
        assert!(finished(&out).is_none(), "{closes} {chunks:?} {out:?}");
    }
}

#[test]
fn a_server_that_does_not_close_its_streams_ends_them_with_a_reason() {
    let (out, _) = read(false, &[TEXT, STOP]);
    assert_eq!(
        finished(&out).map(|reply| (short(reply), reply.usage)),
        Some((vec!["hi".into()], None))
    );
    let (out, _) = read(false, &[TEXT, STOP, USAGE]);
    assert_eq!(finished(&out).and_then(|reply| reply.usage), Some(USED));
    // Closed, but the reason is missing: some servers never give one.
    let (out, _) = read(true, &[TEXT, "[DONE]"]);
    assert_eq!(finished(&out).map(|reply| reply.stop), Some(Stop::EndTurn));
}

/// What it is, its deltas, the calls that they are.
const CALLS: [(&str, &[&str], &[&str]); 13] = [
    (
        "by the book, two at once",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":1,"function":{"arguments":"{\"y\""}},{"index":0,"function":{"arguments":"{\"x\""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}},{"index":1,"function":{"arguments":":2}"}}]}"#,
        ],
        &[r#"f{"x":1}"#, r#"g{"y":2}"#],
    ),
    (
        "whole, all with index 0 and ids of their own",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}]}"#,
        ],
        &["f{}", "f{}"],
    ),
    (
        "whole, all with index 0 and no ids",
        &[
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#,
        ],
        &["f{}", "f{}"],
    ),
    (
        "whole, without index or id",
        &[
            r#"{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &["f{}", "g{}"],
    ),
    (
        "fragments without an index, each with the id",
        &[
            r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}},{"id":"b","function":{"name":"g","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"id":"a","function":{"name":null,"arguments":"}"}}]}"#,
            r#"{"tool_calls":[{"id":"b","function":{"name":"","arguments":"}"}}]}"#,
        ],
        &["f{}", "g{}"],
    ),
    (
        "a new id on each fragment",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"b","function":{"arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"","arguments":"}"}}]}"#,
        ],
        &["f{}"],
    ),
    (
        "the name on each fragment",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"}}]}"#,
        ],
        &["f{}"],
    ),
    (
        "the name after an empty one",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#,
        ],
        &["f{}"],
    ),
    (
        "arguments as an object, and none",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}},{"index":1,"id":"b","function":{"name":"g","arguments":null}}]}"#,
        ],
        &[r#"f{"x":1}"#, "g{}"],
    ),
    (
        "the one call of old",
        &[
            r#"{"function_call":{"name":"f","arguments":"{"}}"#,
            r#"{"function_call":{"arguments":"}"}}"#,
        ],
        &["f{}"],
    ),
    (
        "an index as text and a number as the id",
        &[
            r#"{"tool_calls":[{"index":"0","id":7,"function":{"name":"f","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":"1","id":8,"function":{"name":"g","arguments":"{"}}]}"#,
            r#"{"tool_calls":[{"index":"0","function":{"arguments":"}"}},{"index":"1","function":{"arguments":"}"}}]}"#,
        ],
        &["f{}", "g{}"],
    ),
    (
        "a tool whose arguments are a text of its own",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","type":"custom","custom":{"name":"f","input":"row 4"}}]}"#,
        ],
        &["frow 4"],
    ),
    (
        "hostile: the same id for two",
        &[
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"a","function":{"name":"g","arguments":"{}"}}]}"#,
        ],
        &["f{}", "g{}"],
    ),
];

#[test]
fn calls_are_told_apart_however_a_server_cuts_them() {
    for (what, deltas, expected) in CALLS {
        let reply = answer(deltas, "stop").unwrap();
        assert_eq!(short(&reply), expected, "{what}");
        assert_eq!(reply.stop, Stop::ToolUse, "{what}");
    }
}

#[test]
fn a_call_without_a_name_is_no_answer() {
    let call = r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{}"}}]}"#;
    assert!(matches!(answer(&[call], "tool_calls"), Err(Trouble::Malformed(_))));
}

#[test]
fn reasons_to_stop_are_told_apart() {
    for (reason, expected) in [
        ("stop", Stop::EndTurn),
        ("eos", Stop::EndTurn),
        ("tool_calls", Stop::EndTurn),
        ("length", Stop::MaxTokens),
        ("model_length", Stop::MaxTokens),
        ("content_filter", Stop::Refusal),
        ("STOP_SEQUENCE", Stop::StopSequence),
    ] {
        assert_eq!(answer(&[r#"{"content":"a"}"#], reason).unwrap().stop, expected, "{reason}");
    }
    for reason in ["error", "network_error", "insufficient_system_resource"] {
        let Err(Trouble::Said(said)) = answer(&[r#"{"content":"a"}"#], reason) else {
            panic!("{reason} is no answer");
        };
        assert_eq!(said.code, reason);
    }
    let refused = answer(&[r#"{"content":null,"refusal":"No"}"#, r#"{"refusal":"."}"#], "stop");
    assert_eq!(
        refused.map(|reply| (short(&reply), reply.stop)),
        Ok((vec!["No.".into()], Stop::Refusal))
    );
}

#[test]
fn reasoning_is_read_under_every_name_and_once() {
    let table: [(&[&str], &[&str]); 7] = [
        (&[r#"{"reasoning_content":"a","content":null}"#, r#"{"content":"b"}"#], &["(a)", "b"]),
        (&[r#"{"reasoning":"a","content":""}"#, r#"{"content":"b"}"#], &["(a)", "b"]),
        (&[r#"{"reasoning_text":"a"}"#, r#"{"content":"b"}"#], &["(a)", "b"]),
        (&[r#"{"reasoning":"a","reasoning_content":"a"}"#], &["(a)"]),
        (
            &[
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]},{"type":"text","text":"b"}]}"#,
            ],
            &["(a)", "b"],
        ),
        // What is of one piece stays as it is, spaces and all.
        (
            &[
                r#"{"reasoning":null,"reasoning_details":[{"type": "reasoning.encrypted","data":"x"}]}"#,
            ],
            &[r#"<[{"type": "reasoning.encrypted","data":"x"}]>"#],
        ),
        // Fragments become what they are fragments of.
        (
            &[
                r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","index":0,"format":"f","signature":null}]}"#,
                r#"{"reasoning":"b","reasoning_details":[{"type":"reasoning.text","text":"b","index":0}]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"x","index":0}]}"#,
            ],
            &[
                r#"<[{"format":"f","index":0,"signature":"s","text":"ab","type":"reasoning.text"},{"type":"reasoning.encrypted","data":"x","index":0}]>"#,
                "(ab)",
            ],
        ),
    ];
    for (deltas, expected) in table {
        assert_eq!(short(&answer(deltas, "stop").unwrap()), expected, "{deltas:?}");
    }
}

#[test]
fn what_is_said_so_far_is_not_said_again_beside_what_is_new() {
    let first = r#"{"choices":[{"message":{"content":"a"},"delta":{"content":"a"}}]}"#;
    let last = r#"{"choices":[{"message":{"content":"ab"},"delta":{"content":"b"},"finish_reason":"stop"}]}"#;
    let (out, _) = read(false, &[first, last]);
    assert_eq!(finished(&out).map(short), Some(vec!["ab".to_owned()]));
}

#[test]
fn a_content_is_read_as_text_as_a_part_and_as_a_list_of_either() {
    for content in [
        r#""ab""#,
        r#"{"type":"text","text":"ab"}"#,
        r#"["a","b"]"#,
        r#"["a",{"type":"text","text":"b"}]"#,
    ] {
        let reply = answer(&[&format!(r#"{{"content":{content}}}"#)], "stop").unwrap();
        assert_eq!(short(&reply), ["ab"], "{content}");
    }
}

#[test]
fn usage_is_read_wherever_it_stands_and_however_its_figures_are_written() {
    for chunk in [
        r#"{"choices":[],"usage":{"prompt_tokens":"9","completion_tokens":2.0}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":[],"completion_tokens_details":""}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":-1}}}"#,
        r#"{"choices":[{"delta":{},"usage":{"prompt_tokens":9,"completion_tokens":2}}]}"#,
    ] {
        let (out, _) = read(false, &[TEXT, STOP, chunk]);
        assert_eq!(finished(&out).and_then(|reply| reply.usage), Some(USED), "{chunk}");
    }
}

#[test]
fn a_reason_that_is_no_word_is_none_and_a_named_event_without_an_object_a_sign_of_life() {
    let odd = r#"{"choices":[{"delta":{"content":"!"},"finish_reason":false}]}"#;
    let (out, _) = read(false, &[TEXT, odd]);
    assert!(finished(&out).is_none(), "{out:?}");
    let ping = Frame { name: Some("ping".to_owned()), data: "2026-01-01T00:00:00Z".to_owned() };
    let mut decoder = OpenAiChat::new("own", Quirks::COMPATIBLE).decoder();
    assert_eq!(decoder.frame(&ping, &mut Vec::new()), Ok(()));
    let unnamed = Frame { name: None, ..ping };
    assert!(decoder.frame(&unnamed, &mut Vec::new()).is_err());
}

#[test]
fn a_part_that_nobody_knows_is_kept_as_it_is() {
    let delta = r#"{"content":[{"type":"text","text":"a"},{"type":"reference", "ids":[1]},{"type":"text","text":"b"}]}"#;
    let reply = answer(&[delta], "stop").unwrap();
    assert_eq!(short(&reply), ["a", r#"<{"type":"reference", "ids":[1]}>"#, "b"]);
}

#[test]
fn usage_is_the_last_word_with_cached_tokens_apart() {
    let usage = |input, cache_read, cache_write, output, reasoning| {
        Some(Usage { input, cache_read, cache_write, output, reasoning })
    };
    for (said, expected) in [
        (r#"{"prompt_tokens":10,"completion_tokens":3}"#, usage(10, 0, 0, 3, 0)),
        (
            r#"{"prompt_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":5},"completion_tokens_details":{"reasoning_tokens":2},"total_tokens":13}"#,
            usage(1, 4, 5, 3, 2),
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":3,"prompt_cache_hit_tokens":4}"#,
            usage(6, 4, 0, 3, 0),
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":3,"cached_tokens":4,"prompt_tokens_details":null}"#,
            usage(6, 4, 0, 3, 0),
        ),
        // Reasoning beside the completion, as the total shows.
        (
            r#"{"prompt_tokens":10,"completion_tokens":3,"completion_tokens_details":{"reasoning_tokens":7},"total_tokens":20}"#,
            usage(10, 0, 0, 10, 7),
        ),
        ("{}", None),
        ("null", None),
        (r#"{"prompt_tokens":"many"}"#, None),
    ] {
        let chunk = format!(r#"{{"choices":[],"usage":{said}}}"#);
        let (out, _) = read(true, &[TEXT, STOP, &chunk, "[DONE]"]);
        assert_eq!(finished(&out).unwrap().usage, expected, "{said}");
    }
    let groq = r#"{"choices":[],"x_groq":{"usage":{"prompt_tokens":9,"completion_tokens":2}}}"#;
    let (out, _) =
        read(true, &[USAGE, TEXT, groq, groq, STOP, r#"{"choices":[],"usage":{}}"#, "[DONE]"]);
    assert_eq!(finished(&out).unwrap().usage, Some(USED), "assigned, not added, not taken away");
}

#[test]
fn what_no_protocol_allows_is_malformed_and_never_a_panic() {
    for chunk in [
        "{",
        "nonsense",
        "[]",
        r#"{"choices":[{"delta":{"content":"a"}}]}{"choices":[]}"#,
        r#"{"choices":[{"delta":{"content":"\ud800"}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":"first"}]}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_details":7}}]}"#,
        r#"{"choices":[{"delta":{"content":[7]}}]}"#,
    ] {
        let (_, ended) = read(true, &[TEXT, chunk]);
        assert!(matches!(ended, Err(Trouble::Malformed(_))), "{chunk} {ended:?}");
    }
}

#[test]
fn an_answer_that_comes_as_a_whole_is_read_the_same() {
    let wire = OpenAiChat::new("own", Quirks::COMPATIBLE);
    let body = r#"

        {"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a","reasoning":"t",
        "tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}},
        {"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]},
        "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
    let reply = wire.whole(body.as_bytes()).unwrap();
    assert_eq!(short(&reply), ["(t)", "a", "f{}", "f{}"]);
    assert_eq!((reply.stop, reply.usage), (Stop::ToolUse, Some(USED)));
    for body in ["", "{}", r#"{"choices":[]}"#, "<html>"] {
        let read = wire.whole(body.as_bytes());
        assert!(matches!(read, Err(Trouble::Malformed(_))), "{body} {read:?}");
    }
}
