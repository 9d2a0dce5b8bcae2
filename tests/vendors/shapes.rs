//! Bodies of requests have the shape of bodies that vendors have accepted. What was accepted is known
//! from recorded exchanges, as places and types of fields without a word of what they said; what no
//! recording has is in a second list, each with the page of the vendor's that has it.
//!
//! `cargo run --example replay_cases -- shapes FILE.jsonl.gz tests/fixtures/providers/shapes` writes the
//! first list anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use futures_util::StreamExt as _;
use greenroom::providers::{Kind, Setup, connect, preset};
use greenroom_actors::{
    domain::{
        agent::Sampling,
        conversation::{BlobRef, Block, Message, Speaker},
        ids::{ModelName, ProviderName, ToolCallNo},
        model::ModelRequest,
        tool::{Args, EffectClass, Output, ToolSpec},
    },
    ports::ModelProvider as _,
};
use serde_json::Value;

use crate::{
    house::{request, way},
    server::{Answer, Server},
    shape,
};

const FOLDER: &str = "tests/fixtures/providers/shapes";

/// Providers by name, each with models that are asked in different words.
const ASKED: [(&str, &[&str]); 12] = [
    ("anthropic", &["claude-sonnet-4-5", "claude-opus-4-7", "claude-sonnet-5", "claude-3-5-haiku"]),
    ("openai", &["gpt-5.1", "gpt-4.1", "o3"]),
    ("openai_chat", &["gpt-5.1", "gpt-4.1"]),
    ("openrouter", &["anthropic/claude-sonnet-4.5", "openai/gpt-5"]),
    ("deepseek", &["deepseek-chat"]),
    ("groq", &["openai/gpt-oss-120b", "qwen/qwen3-32b"]),
    ("mistral", &["mistral-large-latest"]),
    ("xai", &["grok-4"]),
    ("vllm", &["qwen3"]),
    ("gemini", &["gemini-2.5-flash", "gemini-3-pro-preview"]),
    ("vertex", &["gemini-2.5-flash", "gemini-3-pro-preview"]),
    ("ollama", &["qwen3"]),
];

fn lines(path: &Path) -> Vec<String> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(str::to_owned).collect()
}

/// A line of the second list: what it is, and the page that has it.
fn reviewed(file: &str) -> BTreeMap<String, String> {
    let path = Path::new(FOLDER).join("reviewed").join(file);
    let pairs = lines(&path).into_iter().map(|line| {
        let (field, page) =
            line.split_once("  # ").expect("a field, and after two blanks its page");
        (field.to_owned(), page.to_owned())
    });
    pairs.collect()
}

fn tool(name: &str, description: &str, schema: &str) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: description.to_owned(),
        schema: schema.to_owned(),
        effect: EffectClass::Pure,
        pool: "any".into(),
    }
}

fn text(text: &str) -> Block {
    Block::Text { text: text.to_owned() }
}

fn asks(call: u32) -> Block {
    let args = Args(r#"{"at":"the sky","n":[1,{"deep":true}]}"#.to_owned());
    Block::ToolUse { call: ToolCallNo(call), name: "look".into(), args }
}

fn told(call: u32, is_error: bool) -> Block {
    Block::ToolResult { call: ToolCallNo(call), output: Output::text("blue"), is_error }
}

/// Everything that a request can have, but for how it samples.
fn rich(model: &str) -> ModelRequest {
    let image = BlobRef { sha256: "ab".repeat(32), bytes: 3 };
    let opaque = |provider: &str, json: &str| Block::Opaque {
        provider: ProviderName(provider.to_owned()),
        json: json.to_owned(),
    };
    let picture = Block::Image { media_type: "image/png".to_owned(), blob: image.clone() };
    let said = |speaker, blocks| Arc::new(Message { speaker, blocks });
    let thought = |signature: Option<&str>| Block::Thinking {
        text: "Hm.".to_owned(),
        signature: signature.map(str::to_owned),
    };
    let mut request = request();
    request.model = ModelName(model.to_owned());
    request.instructions = "Look before you speak.".to_owned();
    request.tools = Arc::new(vec![
        tool("look", "Looks.", r#"{"type":"object","properties":{"at":{"type":"string"}}}"#),
        tool("wait", "", r#"{"type":"object"}"#),
    ]);
    request.images.insert(image.sha256, Arc::from(*b"png"));
    request.messages = vec![
        said(Speaker::User, vec![text("What is that?"), picture]),
        said(
            Speaker::Assistant,
            vec![
                thought(Some("c2ln")),
                opaque("anthropic", r#"{"type":"redacted_thinking","data":"x"}"#),
                opaque(
                    "openai",
                    r#"{"type":"reasoning","id":"r","summary":[],"encrypted_content":"x"}"#,
                ),
                text("Let me see."),
                asks(1),
                asks(2),
            ],
        ),
        said(Speaker::User, vec![told(1, false), told(2, true), text("And?")]),
        said(Speaker::Assistant, vec![thought(None), text("Blue.")]),
        said(Speaker::User, vec![text("Sure?")]),
    ];
    request
}

/// The ways in which it may be wanted.
fn samplings() -> Vec<Sampling> {
    let schema = r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#;
    let usual = Sampling { output_tokens_max: Some(4_000), ..Sampling::default() };
    vec![
        Sampling::default(),
        Sampling { temperature_milli: Some(700), stop: vec!["END".to_owned()], ..usual.clone() },
        Sampling { thinking_tokens: Some(2_000), ..usual.clone() },
        Sampling { output_schema: Some(schema.to_owned()), ..usual },
    ]
}

/// The shapes of the bodies that a provider sends for all of that.
async fn sent(name: &str, models: &[&str]) -> (Kind, BTreeSet<String>) {
    let server = Server::new(|_asked, _no| Answer::json(400, "{}")).await;
    let known = preset(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut setup = Setup::preset(known, Some(&server.url)).unwrap();
    if known.kind == Kind::Vertex {
        let (project, location) = ("p".to_owned(), "global".to_owned());
        setup.place = Some(greenroom::providers::Place { project, location });
    }
    let mut shapes = BTreeSet::new();
    for stream in [true, false] {
        setup.stream = stream;
        let vendor = connect(&way(), setup.clone()).unwrap();
        for model in models {
            for sampling in samplings() {
                let before = server.count();
                let request = ModelRequest { sampling, ..rich(model) };
                let events: Vec<_> = vendor.call(request).collect().await;
                let asked = server.asked();
                if asked.len() == before {
                    // What a format has no words for is said before anything is sent.
                    let [Err(failure)] = events.as_slice() else { panic!("{events:?}") };
                    assert!(failure.unbilled && failure.message.contains(": leave"), "{failure:?}");
                    continue;
                }
                let body: Value = asked.last().unwrap().json();
                shapes.extend(shape::of(&body));
            }
        }
    }
    (known.kind, shapes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_that_is_sent_was_accepted_once_or_is_on_a_page_of_the_vendors() {
    let mut all: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, models) in ASKED {
        let (kind, shapes) = sent(name, models).await;
        all.entry(shape::file(kind)).or_default().extend(shapes);
    }
    assert_eq!(all.len(), 5, "every format is asked");
    let mut offences = Vec::new();
    for (file, sent) in all {
        let accepted: BTreeSet<_> = lines(&Path::new(FOLDER).join(file)).into_iter().collect();
        let reviewed = reviewed(file);
        for field in sent.iter().filter(|field| !accepted.contains(*field)) {
            if !reviewed.contains_key(field) {
                offences.push(format!("{file}: nobody has accepted {field}"));
            }
        }
        for (field, page) in &reviewed {
            let is_page = page.starts_with("https://") || page.contains(" https://");
            if !is_page {
                offences.push(format!("{file}: {field} names no page"));
            }
            if !sent.contains(field) {
                offences.push(format!("{file}: {field} is not sent any more"));
            }
            if accepted.contains(field) {
                offences.push(format!("{file}: {field} has been accepted, and needs no page"));
            }
        }
        assert!(sent.len() > 25, "{file}: a rich request has many fields: {sent:?}");
    }
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), offences.join("\n"));
}

#[test]
fn the_lists_hold_places_and_types_and_not_a_word_of_what_was_said() {
    let types = ["null", "bool", "number", "string", "list", "object"];
    for file in ["anthropic.txt", "chat.txt", "responses.txt", "gemini.txt", "ollama.txt"] {
        for line in lines(&Path::new(FOLDER).join(file)) {
            let (place, kind) = line.split_once(": ").unwrap_or_else(|| panic!("{file}: {line}"));
            assert!(types.contains(&kind), "{file}: {line}");
            let marks = |byte: char| byte.is_ascii_alphanumeric() || "_.[]<>:".contains(byte);
            assert!(place.chars().all(marks) && place.len() < 120, "{file}: {line}");
        }
    }
}

#[test]
fn a_field_that_nobody_has_accepted_is_seen() {
    let body: Value = serde_json::from_str(
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi","new":1}]}],
            "tools":[{"parameters":{"anything":"goes"}}]}"#,
    )
    .unwrap();
    let shape: Vec<_> = shape::of(&body).into_iter().collect();
    assert!(
        shape.contains(&"messages[]<user>.content[]<text>.new: number".to_owned()),
        "{shape:?}"
    );
    assert!(shape.contains(&"tools[].parameters: object".to_owned()), "{shape:?}");
    assert!(!shape.iter().any(|line| line.contains("anything")), "{shape:?}");
}
