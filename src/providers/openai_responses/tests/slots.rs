//! Items told apart, however a server names them in its events.

use super::*;

/// A row of events: a message, a call, another call, each announced, grown and told whole, with these
/// indexes and ids; an id of the growing pieces may be another.
fn events(index: [&str; 3], announced: [&str; 3], grown: [&str; 3]) -> Vec<String> {
    let message = |id: &str, content: &str| {
        format!(r#"{{"type":"message","id":"{id}","content":[{content}]}}"#)
    };
    let call = |id: &str, name: &str, args: &str| {
        format!(r#"{{"type":"function_call","id":"{id}","name":"{name}","arguments":"{args}"}}"#)
    };
    let mut events = Vec::new();
    let mut one = |at: usize, begun: String, word: &str, delta: &str, whole: String| {
        let (index, id) = (index[at], grown[at]);
        for (kind, item) in [("added", Some(begun)), (word, None), ("done", Some(whole))] {
            events.push(match item {
                Some(item) => {
                    format!(r#"{{"type":"response.output_item.{kind}"{index},"item":{item}}}"#)
                }
                None => format!(
                    r#"{{"type":"response.{kind}.delta"{index},"item_id":"{id}","delta":"{delta}"}}"#
                ),
            });
        }
    };
    let said = r#"{"type":"output_text","text":"hi"}"#;
    let [m, f, g] = announced;
    one(0, message(m, ""), "output_text", "hi", message(m, said));
    one(1, call(f, "f", ""), "function_call_arguments", "{}", call(f, "f", "{}"));
    one(2, call(g, "g", ""), "function_call_arguments", "[]", call(g, "g", "[]"));
    let all = [message(m, said), call(f, "f", "{}"), call(g, "g", "[]")].join(",");
    events.push(format!(r#"{{"type":"response.completed","response":{{"output":[{all}]}}}}"#));
    events
}

#[test]
fn items_are_told_apart_by_index_by_id_or_by_their_order() {
    let by_book = [r#","output_index":0"#, r#","output_index":1"#, r#","output_index":2"#];
    let ids = ["m", "f", "g"];
    let table = [
        ("by the book", by_book, ids, ids),
        ("no index", ["", "", ""], ids, ids),
        ("all the first", [by_book[0]; 3], ids, ids),
        ("no ids", by_book, ["", "", ""], ["", "", ""]),
        ("other ids on the pieces", by_book, ids, ["x", "y", "z"]),
    ];
    for (what, index, announced, grown) in table {
        let events = events(index, announced, grown);
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let reply = reply(&events);
        assert_eq!(reply.blocks, [text("hi"), call("f", "{}"), call("g", "[]")], "{what}");
    }
}

#[test]
fn thinking_and_text_without_an_index_are_said_once() {
    let reply = reply(&[
        r#"{"type":"response.output_item.added","item":{"type":"reasoning","id":"r","summary":[]}}"#,
        r#"{"type":"response.reasoning_text.delta","item_id":"r","delta":"hm"}"#,
        r#"{"type":"response.output_item.added","item":{"type":"message","id":"m","content":[]}}"#,
        r#"{"type":"response.output_text.delta","item_id":"m","delta":"hi"}"#,
        r#"{"type":"response.output_item.done","item":{"type":"message","id":"m","content":[{"type":"output_text","text":"hi"}]}}"#,
        r#"{"type":"response.completed","response":{"output":[{"type":"reasoning","id":"r","summary":[{"text":"hm"}]},{"type":"message","id":"m","content":[{"type":"output_text","text":"hi"}]}]}}"#,
    ]);
    assert_eq!(reply.blocks, [thinking("hm"), text("hi")]);
}
