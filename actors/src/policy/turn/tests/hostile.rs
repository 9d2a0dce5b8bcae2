//! Replies that a vendor's model should never give: arguments that are no arguments. The model reads
//! what to mend, no tool is started, and nothing of it stops the session.

use super::play::*;
use crate::{domain::tool::Args, policy::turn::Input};

/// What a row shows of the result that the model reads.
const SHOWN: usize = 60;

fn deep(open: &str, close: &str, times: usize) -> String {
    format!(r#"{{"a":{}1{}}}"#, open.repeat(times), close.repeat(times))
}

/// Arguments, and how the model is told of what is wrong with them.
fn rows() -> Vec<(&'static str, String, &'static str)> {
    let plain = |text: &str| text.to_owned();
    vec![
        ("nothing", plain(""), "expected a JSON object: EOF"),
        ("cut off", plain(r#"{"agent":"ha"#), "expected a JSON object: EOF while parsing a string"),
        ("cut off in a number", plain(r#"{"a":-"#), "expected a JSON object: EOF"),
        ("a list", plain("[]"), "expected a JSON object, found an array"),
        ("null", plain("null"), "expected a JSON object, found null"),
        ("a text", plain(r#""{}""#), "expected a JSON object, found a string"),
        ("two objects", plain("{}{}"), "expected a JSON object: trailing characters"),
        ("10,000 lists deep", deep("[", "]", 10_000), "expected a JSON object: recursion limit"),
        (
            "10,000 objects deep",
            deep(r#"{"a":"#, "}", 10_000),
            "expected a JSON object: recursion limit",
        ),
        ("a number beyond all", plain(r#"{"a":1e999}"#), "expected a JSON object: number out of"),
        ("half a character", plain(r#"{"a":"\ud800"}"#), "expected a JSON object: "),
        ("NUL in a text", plain("{\"a\":\"\0\"}"), "expected a JSON object: control character"),
        ("NUL for white space", plain("\0{}"), "expected a JSON object: expected value"),
        ("a key twice", plain(r#"{"a":1,"a":2}"#), "the key \\\"a\\\" stands there twice"),
        (
            "a key twice within",
            plain(r#"{"a":[{"b":1,"\u0062":2}]}"#),
            "the key \\\"b\\\" stands there twice",
        ),
        ("no quotes", plain("{a:1}"), "expected a JSON object: key must be a string"),
    ]
}

#[test]
fn arguments_that_are_none_are_told_to_the_model_and_start_nothing() {
    for (what, args, told) in rows() {
        // A tool that is allowed, with a slot at hand, and one of the runtime's own.
        for tool in ["read", "spawn_agent"] {
            let mut play = Play::of(agent()).with(say("k1"));
            let (events, _) = play.step(wants_now(1, &[(tool, &args)])).unwrap();
            let names: Vec<&str> = events.iter().map(|event| event.name()).collect();
            assert_eq!(
                names,
                [
                    "model_call_finished",
                    "usage_settled",
                    "tool_requested",
                    "tool_finished",
                    "model_call_started"
                ],
                "{what}: {tool}"
            );
            let last = play.state.conversation.last().unwrap();
            let said = format!("{:?}", last.blocks);
            assert!(said.contains("is_error: true"), "{what}: {tool}: {said}");
            let shown: String = said.chars().take(9 * SHOWN).collect();
            assert!(said.contains(told), "{what}: {tool}: {shown}");
            // And it goes on.
            let ended = play.with(answers(2, reply("sorry", &[])));
            assert_eq!(ended.state.outcomes.values().next().unwrap().text(), "sorry");
        }
    }
}

#[test]
fn odd_arguments_that_can_be_used_are_kept_as_the_model_wrote_them() {
    for args in
        [r#"{"agent":"hand","task":"dig\u0000"}"#, r#" { "task" : "dig", "agent":"h\u0061nd" } "#]
    {
        let play = Play::of(agent()).with(say("k1")).with(wants(1, &[("spawn_agent", args)]));
        let kept = format!("{:?}", play.state.conversation);
        assert!(kept.contains(&format!("{:?}", Args(args.to_owned()))), "{kept}");
        let room = play.with(room(tool(1)));
        assert_eq!(room.state.live_children(), 1, "{args}");
    }
    // A key that it does not know may be one that matters: it is told, and nothing starts.
    let args = r#"{"agent":"hand","task":"dig","budget":9}"#;
    let play = Play::of(agent()).with(say("k1")).with(wants(1, &[("spawn_agent", args)]));
    assert_eq!((play.state.live_children(), play.state.calls.len()), (0, 0), "{args}");
}

#[test]
fn calls_are_numbered_here_whatever_a_vendor_calls_them() {
    // A reply has no place for a vendor's ids: the same tool twice with the same arguments, in one
    // message and again in the next, is four calls.
    let twice = [("read", "{}"), ("read", "{}")];
    let play = Play::of(agent()).with(say("k1")).with(wants_now(1, &twice));
    let play = play.with(done(1, "a")).with(done(2, "b")).with(wants_now(2, &twice));
    let open: Vec<u32> = play.state.calls.keys().map(|call| call.0).collect();
    assert_eq!(open, [3, 4]);
    // A result under a number of the message before is nobody's.
    play.check(done(1, "again"), "").check(
        Input::SlotGranted { call: crate::domain::ids::ToolCallNo(2), scripts: Vec::new() },
        "",
    );
}
