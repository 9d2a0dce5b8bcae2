//! What a model reads of its mistakes: for each schema that a struct gives, arguments and words.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Order {
    /// Whose it is.
    name: String,
    #[schemars(range(min = 1, max = 9))]
    count: u8,
    #[schemars(length(min = 2, max = 4), regex(pattern = r"^[a-z]+$"))]
    code: Option<String>,
    #[serde(default)]
    lines: Vec<Line>,
    pay: Option<Pay>,
    speed: Option<Speed>,
    #[serde(default)]
    marks: BTreeSet<u32>,
    #[serde(default)]
    notes: BTreeMap<String, f64>,
}

#[derive(JsonSchema, Deserialize)]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Line {
    item: String,
    #[serde(default)]
    below: Vec<Line>,
}

#[derive(JsonSchema, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is looked at")]
enum Pay {
    Card { number: u64 },
    Invoice { to: String },
}

#[derive(JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Speed {
    /// Tomorrow.
    Fast,
    /// Some day.
    Slow,
}

/// What is said of arguments; empty for those that fit.
#[track_caller]
fn check<A: JsonSchema>(args: &str, words: &str) {
    let schema = Schema::new(schemars::schema_for!(A).to_value());
    let said = schema.check(&Args(args.to_owned())).err().unwrap_or_default();
    assert_eq!(said, words, "of {args} under {}", schema.0);
}

#[test]
fn what_fits_is_let_through() {
    check::<Order>(r#"{"name": "a", "count": 1}"#, "");
    let full = r#"{"name": "a", "count": 9, "code": "abc", "lines": [{"item": "x", "below": [
        {"item": "y"}]}], "pay": {"by": "card", "number": 4}, "speed": "fast", "marks": [1, 2],
        "notes": {"z": 0.5, "y": 1}}"#;
    check::<Order>(full, "");
    check::<Order>(r#"{"name": "a", "count": 1, "code": null, "pay": null, "speed": null}"#, "");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let args = r#"{"cuont": 0, "code": "A", "lines": [{"item": 1}, {"below": [{}]}]}"#;
    check::<Order>(
        args,
        "8 mistakes in the arguments\n\
         - at name: missing; expected a text: Whose it is.\n\
         - at count: missing; expected a whole number\n\
         - at code: expected at least 2 characters, found 1\n\
         - at code: expected text that matches ^[a-z]+$, found \"A\"\n\
         - at cuont: unknown; expected one of \"code\", \"count\", \"lines\", \"marks\", \"name\", \
         \"notes\", \"pay\", \"speed\"; did you mean count?\n\
         - at lines[0].item: expected a text, found the number 1\n\
         - at lines[1].item: missing; expected a text\n\
         - at lines[1].below[0].item: missing; expected a text",
    );
}

#[test]
fn one_mistake_is_one_line() {
    let one = |field: &str, words: &str| {
        check::<Order>(&format!(r#"{{"name": "a", "count": 1, {field}}}"#), words);
    };
    one(r#""count": 10"#, "at count: expected at most 9, found 10");
    one(r#""count": 1.0"#, "at count: expected a whole number, found the number 1.0");
    one(r#""count": "one""#, r#"at count: expected a whole number, found the text "one""#);
    one(r#""notes": {"z": true}"#, "at notes.z: expected a number, found true");
    one(
        r#""pay": {"by": "card", "number": "4"}"#,
        r#"at pay.number: expected a whole number, found the text "4""#,
    );
    one(
        r#""pay": {"by": "cash"}"#,
        r#"at pay.by: expected one of "card", "invoice", found the text "cash""#,
    );
    one(r#""speed": "warp""#, r#"at speed: expected one of "fast", "slow", found the text "warp""#);
    check::<Order>("[]", "the arguments: expected an object, found a list");
    check::<Order>("{", "the arguments: no JSON: EOF while parsing an object at line 1 column 1");
}

#[derive(JsonSchema, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is looked at")]
enum Term {
    Not { of: Box<Term> },
    Neg { of: Box<Term> },
    Abs { of: Box<Term> },
}

#[test]
fn nested_choices_do_not_multiply_without_end() {
    let depth = 60;
    let args = format!("{}1{}", r#"{"is": "not", "of": "#.repeat(depth), "}".repeat(depth));
    let schema = Schema::new(schemars::schema_for!(Term).to_value());
    let mut look = Look::new(&schema.0);
    look.at("", &schema.0, &serde_json::from_str(&args).unwrap());
    // It ends, that is all: three to the sixtieth would not.
}

#[test]
fn many_mistakes_are_cut_with_their_number() {
    let items = "1,".repeat(30);
    let args = format!(r#"{{"name": "a", "count": 1, "lines": [{}1]}}"#, items);
    let schema = Schema::new(schemars::schema_for!(Order).to_value());
    let said = schema.check(&Args(args)).unwrap_err();
    assert!(said.starts_with("31 mistakes in the arguments\n- at lines[0]: "), "{said}");
    assert!(said.ends_with("\n- and 19 more"), "{said}");
}

fn lines() -> impl Strategy<Value = Value> {
    let leaf = any::<String>().prop_map(|item| json!({"item": item}));
    leaf.prop_recursive(4, 16, 3, |inner| {
        let below = prop::collection::vec(inner, 0..3);
        (any::<String>(), below).prop_map(|(item, below)| json!({"item": item, "below": below}))
    })
}

fn pay() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<u64>().prop_map(|number| json!({"by": "card", "number": number})),
        any::<String>().prop_map(|to| json!({"by": "invoice", "to": to})),
    ]
}

#[derive(Debug, Deserialize, PartialEq)]
struct Exact {
    number: u128,
    share: f64,
    text: String,
}

proptest! {
    #[test]
    fn nothing_is_refused_that_the_struct_means(
        (name, count, code) in (any::<String>(), 1..10_u8, prop::option::of("[a-z]{2,4}")),
        lines in prop::collection::vec(lines(), 0..4),
        pay in pay(),
        speed in prop::option::of(prop_oneof![Just("fast"), Just("slow")]),
        (marks, notes) in (any::<Vec<u32>>(), any::<BTreeMap<String, i32>>()),
    ) {
        let args = json!({
            "name": name, "count": count, "code": code, "lines": lines, "pay": pay,
            "speed": speed, "marks": marks, "notes": notes,
        });
        let args = Args(args.to_string());
        prop_assert!(serde_json::from_str::<Order>(&args.0).is_ok());
        let schema = Schema::new(schemars::schema_for!(Order).to_value());
        prop_assert_eq!(schema.check(&args), Ok(()));
    }

    #[test]
    fn a_tool_reads_of_what_is_shown_what_it_reads_of_what_was_written(
        number in any::<u128>(), share in prop::num::f64::NORMAL, text in any::<String>(),
    ) {
        let text = serde_json::to_string(&text).unwrap();
        let written =
            Args(format!(r#"{{ "text":{text}, "share" : {share:?} , "number":{number} }}"#));
        let shown = Args(written.canonical());
        let read = |args: &Args| crate::typed::arguments::<Exact>(args);
        prop_assert_eq!(read(&written), read(&shown));
        prop_assert_eq!(read(&shown).map(|exact| exact.number), Ok(number));
    }

    #[test]
    fn a_look_ends_in_words_whatever_it_is_shown(args in "[\\[\\]{}:,\"a-z0-9.-]{0,40}") {
        let schema = Schema::new(schemars::schema_for!(Order).to_value());
        prop_assert!(schema.check(&Args(args)).is_err_and(|words| !words.is_empty()));
    }
}
