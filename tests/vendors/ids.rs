//! V12 and V7: what is the model's may be anything. Ids of calls: the same twice, empty, endless, or
//! written to break what they are put into; ours are the keys, and the only ones that go back.
//! Arguments: no JSON, or JSON that no tool can use; they start nothing and are told to the model.

use std::collections::BTreeSet;

use greenroom::providers::Kind;
use greenroom_actors::{
    domain::tool::EffectClass,
    testing::harness::{ended, say},
};
use serde_json::Value;

use crate::{
    house::{self, name, vendor, way, with_tool},
    props::Prop,
    server::Server,
    speech::{self, Call, KINDS, calls, streams},
};

fn hostile() -> Vec<String> {
    let mut ids: Vec<String> =
        ["same-id", "same-id", "", "../../x\"},{\"y", "call_1", "call_0", "\u{202e}id\u{0}\r\n"]
            .map(str::to_owned)
            .to_vec();
    ids.push("long-id".repeat(1_000));
    ids
}

/// Values under this name, in the order in which they stand.
fn under<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match value.as_str().filter(|_| field == name) {
                    Some(text) => found.push(text),
                    None => under(value, name, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| under(item, name, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Ids of the calls and of their results in a request; nothing where the format goes by order.
fn ids(kind: Kind, body: &Value) -> Option<(Vec<&str>, Vec<&str>)> {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    let of = |kind: &str, item: &Value| item["type"] == kind || item["role"] == kind;
    match kind {
        Kind::Anthropic => {
            for message in body["messages"].as_array()? {
                for block in message["content"].as_array()? {
                    if of("tool_use", block) {
                        under(block, "id", &mut asked);
                    }
                    under(block, "tool_use_id", &mut answered);
                }
            }
        }
        Kind::OpenAiChat => {
            for message in body["messages"].as_array()? {
                under(&message["tool_calls"], "id", &mut asked);
                under(message, "tool_call_id", &mut answered);
            }
        }
        Kind::OpenAiResponses => {
            for item in body["input"].as_array()? {
                let found = if of("function_call", item) { &mut asked } else { &mut answered };
                under(item, "call_id", found);
            }
        }
        Kind::Gemini | Kind::Vertex | Kind::Ollama => return None,
    }
    Some((asked, answered))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_under_hostile_ids_run_once_each_and_go_back_under_our_own() {
    for kind in KINDS {
        let server = Server::new(move |_asked, no| {
            let ids = hostile();
            let args: Vec<_> = (0..ids.len()).map(|no| format!("{{\"at\":\"{no}\"}}")).collect();
            let call = |(id, args)| Call { id, name: "look", args };
            let ids = ids.iter().map(String::as_str);
            let all: Vec<_> = ids.zip(args.iter().map(String::as_str)).map(call).collect();
            match no {
                0 => streams(kind, calls(kind, &all)),
                _more => speech::says(kind, "Done."),
            }
        })
        .await;
        let look = Prop::new("look", EffectClass::Once);
        let vendors = vec![vendor(&way(), kind, &server.url)];
        let stage = house::stage(vendors, with_tool(&[kind], &look, "look")).await;
        let session = say(&stage.runtime, name(kind), "k", "go").await;
        assert_eq!(ended(&stage.runtime, session, "k").await.text(), "Done.", "{kind:?}");

        let mut ran = look.args();
        ran.sort();
        let expected: Vec<_> =
            (0..hostile().len()).map(|no| format!("{{\"at\":\"{no}\"}}")).collect();
        assert_eq!(ran, expected, "{kind:?}");
        let keys: BTreeSet<_> = look.keys().into_iter().collect();
        assert_eq!(keys.len(), expected.len(), "{kind:?}: a key for each: {keys:?}");

        let asked = server.asked();
        let body = asked[1].json();
        for id in ["same-id", "long-id", "../../x", "\u{202e}"] {
            assert!(!body.to_string().contains(id), "{kind:?}: {id} went back");
        }
        if let Some((called, answered)) = ids(kind, &body) {
            assert_eq!(called, answered, "{kind:?}: each result to its call");
            assert_eq!(called.len(), expected.len(), "{kind:?}");
            let apart: BTreeSet<_> = called.iter().collect();
            assert_eq!(apart.len(), expected.len(), "{kind:?}: {called:?}");
            let ours = |id: &&str| id.starts_with("call") && id.len() < 32;
            assert!(called.iter().all(ours), "{kind:?}: {called:?}");
        }
    }
}

/// Arguments that no tool is started with; each at its first character that is wrong is held in
/// `actors/src/policy/turn/tests/hostile.rs`.
fn unusable() -> Vec<String> {
    let mut all: Vec<String> = [
        r#"{"at":"the s"#,
        "[]",
        "nonsense",
        r#"{"at":1e999}"#,
        r#"{"at":"\ud800"}"#,
        r#"{"at":1,"at":2}"#,
        "{\"at\":\"\u{0}\"}",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_no_tool_can_use_start_nothing_and_the_conversation_goes_on() {
    // The others send arguments as an object within theirs, so that bad ones are a bad answer.
    for kind in [Kind::Anthropic, Kind::OpenAiChat, Kind::OpenAiResponses] {
        let server = Server::new(move |_asked, no| {
            let marks: Vec<_> =
                (0..unusable().len()).map(|no| format!("{{\"BAD\":{no}}}")).collect();
            let call = |mark| Call { id: "x", name: "look", args: mark };
            let all: Vec<_> = marks.iter().map(String::as_str).map(call).collect();
            let escaped = |text: &str| {
                let json = Value::String(text.to_owned()).to_string();
                json.trim_matches('"').to_owned()
            };
            let bad = |body: String, (mark, args): (&String, String)| {
                body.replace(&format!("\"{}\"", escaped(mark)), &Value::String(args).to_string())
            };
            match no {
                0 => streams(kind, marks.iter().zip(unusable()).fold(calls(kind, &all), bad)),
                _more => speech::says(kind, "Never mind."),
            }
        })
        .await;
        let look = Prop::new("look", EffectClass::Once);
        let vendors = vec![vendor(&way(), kind, &server.url)];
        let stage = house::stage(vendors, with_tool(&[kind], &look, "look")).await;
        let session = say(&stage.runtime, name(kind), "k", "go").await;
        assert_eq!(ended(&stage.runtime, session, "k").await.text(), "Never mind.", "{kind:?}");
        assert!(look.args().is_empty(), "{kind:?}: {:?}", look.args());
        let asked = server.asked();
        // What goes back is JSON, whatever it quotes.
        let body = asked[1].json().to_string();
        let told = body.matches("expected a JSON object").count();
        assert!(told >= unusable().len() - 1, "{kind:?}: {told} were told");
        assert!(body.contains("stands there twice"), "{kind:?}");
    }
}
