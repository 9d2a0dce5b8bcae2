//! The format as a table, each directive played, and the promise that the same request is
//! answered the same way.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use proptest::prelude::*;

use super::*;
use crate::domain::{
    conversation::{BlobRef, Block, Message, Reply, ReplyBlock, Speaker, Stop},
    event::FailureKind,
    ids::{CallId, ModelCallNo, Timestamp, ToolCallNo},
    tool::{Args, Output},
    usage::Usage,
};
use crate::ports::Clock;

fn session() -> SessionId {
    "0192f0c1-2b3c-7d4e-8f90-123456789abc".parse().unwrap()
}

fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        call: CallId::model(session(), ModelCallNo(1)),
        agent: "planner".into(),
        turn: TurnId(1),
        deadline: Timestamp(0),
        model: "m".into(),
        instructions: String::new(),
        tools: Arc::default(),
        messages: messages.into_iter().map(Arc::new).collect(),
        sampling: crate::domain::agent::Sampling::default(),
        images: std::collections::BTreeMap::new(),
    }
}

fn asks(call: u32, name: &str) -> Message {
    let block =
        Block::ToolUse { call: ToolCallNo(call), name: name.into(), args: Args("{}".into()) };
    Message { speaker: Speaker::Assistant, blocks: vec![block] }
}

fn told(call: u32, text: &str) -> Message {
    let block =
        Block::ToolResult { call: ToolCallNo(call), output: Output::text(text), is_error: false };
    Message { speaker: Speaker::User, blocks: vec![block] }
}

fn events(
    model: &dyn ModelProvider,
    request: ModelRequest,
) -> Vec<Result<ModelEvent, ModelFailure>> {
    model.call(request).collect::<Vec<_>>().now_or_never().expect("nothing here waits")
}

fn run(script: &str, messages: Vec<Message>) -> Vec<Result<ModelEvent, ModelFailure>> {
    events(&ScriptedModel::parse(script).unwrap(), request(messages))
}

fn finished(events: &[Result<ModelEvent, ModelFailure>]) -> Reply {
    match events.last() {
        Some(Ok(ModelEvent::Finished { reply })) => (**reply).clone(),
        other => panic!("expected a finished stream, found {other:?}"),
    }
}

fn said(events: &[Result<ModelEvent, ModelFailure>]) -> String {
    let mut all = String::new();
    for block in finished(events).blocks {
        if let ReplyBlock::Said { block: Block::Text { text } } = block {
            all.push_str(&text);
        }
    }
    all
}

fn failure(events: &[Result<ModelEvent, ModelFailure>]) -> ModelFailure {
    match events.last() {
        Some(Err(failure)) => failure.clone(),
        other => panic!("expected a failure, found {other:?}"),
    }
}

#[test]
fn a_wrong_line_is_named_with_what_was_expected() {
    let table = [
        ("sya hello", 1, "a directive"),
        ("agent *\n\n  # fine\n  call", 4, "the name of a tool"),
        ("call t [1]", 1, "a JSON object"),
        ("call t {\"a\": }", 1, "a JSON object"),
        ("agent", 1, "agent NAME"),
        ("agent a turn zero\nsay x", 1, "the number of a turn"),
        ("agent a turn 0\nsay x", 1, "the number of a turn"),
        ("agent a if x\nsay x", 1, "when PATTERN"),
        ("agent a when\nsay x", 1, "a pattern"),
        ("agent a", 1, "a directive in the step above"),
        ("agent a\nagent b\nsay x", 2, "a directive in the step above"),
        ("say a\nthen\nthen\nsay b", 3, "a directive in the step above"),
        ("then\nsay a", 1, "a directive in the step above"),
        ("say a\nagain\nsay b", 3, "again is the last line"),
        ("call t\n| more", 2, "say or think on the line above"),
        ("hang\nsay never", 2, "nothing follows"),
        ("fail", 1, "a kind of failure"),
        ("fail nonsense", 1, "a kind of failure"),
        ("fail lost", 1, "a kind of failure"),
        ("fail auth soon", 1, "retryable"),
        ("fail auth after soon", 1, "a duration"),
        ("first hang", 1, "first N"),
        ("first 2 say x", 1, "fail, hang, panic or end"),
        ("until 2 hang", 1, "until call N"),
        ("hang on", 1, "nothing more"),
        ("wait 5", 1, "a duration"),
        ("wait 99999999999999999999s", 1, "a duration"),
        ("stream 4 each 2ms", 1, "every DURATION"),
        ("stream 0 every 2ms", 1, "N characters from 1"),
        ("usage", 1, "usage none"),
        ("usage tokens=3", 1, "usage none"),
        ("usage output=1 reasoning=2", 1, "reasoning within output"),
        ("stop now", 1, "end_turn"),
        ("served-by", 1, "the name of a model"),
        ("say {child:0}", 1, "{child:N}"),
        ("say {child:x}", 1, "{child:N}"),
    ];
    for (script, line, expected) in table {
        let error = ScriptedModel::parse(script).expect_err(script);
        assert_eq!(error.line, line, "{script:?}: {error}");
        assert!(error.expected.contains(expected), "{script:?}: {error}");
        assert!(error.to_string().starts_with(&format!("parse script, line {line}: found")));
    }
}

#[test]
fn the_first_rule_that_fits_agent_turn_and_input_answers() {
    let script = "
        agent plan* turn 2
            say second turn
        agent planner when weather
            say weather
        agent planner when *!
            say shouting
        agent other
            say wrong agent
        agent *
            say anything";
    assert_eq!(said(&run(script, vec![Message::user("the weather in Bern")])), "weather");
    assert_eq!(said(&run(script, vec![Message::user("hey\nyou!")])), "shouting");
    assert_eq!(said(&run(script, vec![Message::user("hello")])), "anything");
    let mut second = request(vec![Message::user("the weather")]);
    second.turn = TurnId(2);
    let model = ScriptedModel::parse(script).unwrap();
    assert_eq!(said(&events(&model, second)), "second turn");
}

#[test]
fn steps_follow_the_models_own_messages_since_the_input() {
    let script = "
        call look {\"at\": \"{input}\"}
        then when *sun*
            say bright
        else
            say dark: {results}";
    let ask = Message::user("the \"sky\"");
    let first = run(script, vec![ask.clone()]);
    let reply = finished(&first);
    assert_eq!(reply.stop, Stop::ToolUse);
    let args = Args(r#"{"at": "the \"sky\""}"#.into());
    assert_eq!(reply.blocks, [ReplyBlock::ToolUse { name: "look".into(), args }]);
    let with = |result| vec![ask.clone(), asks(1, "look"), told(1, result)];
    assert_eq!(said(&run(script, with("the sun"))), "bright");
    assert_eq!(said(&run(script, with("clouds"))), "dark: clouds");
    let mut beyond = with("the sun");
    beyond.push(asks(2, "look"));
    let failed = failure(&run(script, beyond));
    assert_eq!(failed.kind, FailureKind::BadRequest);
    assert!(failed.message.contains("turn 1, step 3"), "{}", failed.message);
    assert!(failed.unbilled && !failed.retryable);
}

#[test]
fn reports_of_a_cancelled_turn_in_the_input_message_do_not_count() {
    let mut input = told(1, "cancelled");
    input.blocks.push(Block::Text { text: "next".into() });
    let messages = vec![Message::user("first"), asks(1, "t"), input];
    assert_eq!(said(&run("say {input}/{last}/{results}", messages)), "next/next/");
}

#[test]
fn again_starts_the_rule_over() {
    let script = "call t\nthen\nsay done\nagain";
    let mut messages = vec![Message::user("go"), asks(1, "t"), told(1, "x")];
    assert_eq!(said(&run(script, messages.clone())), "done");
    messages.push(asks(2, "t"));
    assert_eq!(finished(&run(script, messages)).stop, Stop::ToolUse);
}

#[test]
fn no_rule_and_no_branch_are_failures_that_say_where() {
    let none = failure(&run("agent other\nsay x", vec![Message::user("hi")]));
    assert!(none.message.contains("no rule for agent planner, turn 1, step 1, input \"hi\""));
    let branch = "call t\nthen when yes\nsay x";
    let messages = vec![Message::user("hi"), asks(1, "t"), told(1, "no")];
    assert!(failure(&run(branch, messages)).message.contains("no branch for agent planner"));
}

#[test]
fn texts_stream_in_pieces_and_the_reply_holds_them_whole() {
    let events = run(
        "think hm\nstream 2 every 1ms\nsay añcde\n| f\nusage none\nserved-by big\nstop max_tokens",
        vec![Message::user("hi")],
    );
    let deltas: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Ok(ModelEvent::Text { delta } | ModelEvent::Thinking { delta }) => Some(delta.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(deltas, ["hm", "añ", "cd", "e\n", "f"]);
    let reply = finished(&events);
    assert_eq!(said(&events), "añcde\nf");
    assert_eq!((reply.stop, reply.usage), (Stop::MaxTokens, None));
    assert_eq!(reply.served_by, Some("big".into()));
}

#[test]
fn an_answer_can_be_broken_off_and_images_are_seen_as_they_came() {
    let reply = finished(&run("say x\nstop paused", vec![Message::user("hi")]));
    assert_eq!(reply.stop, Stop::Paused);
    let image = |sha256: &str| Block::Image {
        media_type: "image/png".into(),
        blob: BlobRef { sha256: sha256.into(), bytes: 9 },
    };
    let mut message = Message::user("look");
    message.blocks.extend([image("here"), image("gone")]);
    let mut ask = request(vec![message]);
    ask.images.insert("here".into(), b"12345".as_slice().into());
    let model = ScriptedModel::parse("say {images}").unwrap();
    assert_eq!(said(&events(&model, ask)), "image/png, 5 bytes\nimage/png, no bytes");
}

#[test]
fn usage_is_given_or_derived_from_lengths() {
    let given = finished(&run("say x\nusage input=9 cache_read=4 output=3", Vec::new())).usage;
    assert_eq!(given, Some(Usage { input: 9, cache_read: 4, output: 3, ..Usage::default() }));
    let ask = request(vec![Message::user("hi")]);
    let bytes = u64::try_from(ask.prompt_bytes().len()).unwrap();
    let model = ScriptedModel::parse("think 12345\nsay 123456789").unwrap();
    let derived = finished(&events(&model, ask.clone())).usage;
    let expected = Usage { input: bytes.div_ceil(4), output: 5, reasoning: 2, ..Usage::default() };
    assert_eq!(derived, Some(expected));
    let mut capped = ask;
    capped.sampling.output_tokens_max = Some(1);
    let usage = finished(&events(&model, capped)).usage.unwrap();
    assert_eq!((usage.output, usage.reasoning), (1, 1));
}

#[test]
fn a_failure_carries_what_its_line_says_after_what_was_streamed() {
    let events = run(
        "say so far\nfail rate_limited after 2s unbilled : slow down: now",
        vec![Message::user("hi")],
    );
    assert_eq!(events.first(), Some(&Ok(ModelEvent::Text { delta: "so far".into() })));
    assert_eq!(
        failure(&events),
        ModelFailure {
            kind: FailureKind::RateLimited,
            message: "slow down: now".into(),
            retryable: true,
            retry_after_ms: Some(2_000),
            unbilled: true,
            usage: None,
            emitted: false,
        }
    );
    assert!(!failure(&run("fail transport final", Vec::new())).retryable);
    assert!(failure(&run("fail auth retryable", Vec::new())).retryable);
}

#[test]
fn an_early_end_has_no_finish_and_a_hang_never_ends() {
    assert_eq!(run("say a\nend", Vec::new()), [Ok(ModelEvent::Text { delta: "a".into() })]);
    let model = ScriptedModel::parse("say a\nhang").unwrap();
    let mut stream = model.call(request(Vec::new()));
    assert!(stream.next().now_or_never().is_some());
    assert!(stream.next().now_or_never().is_none());
}

#[test]
#[should_panic(expected = "as asked")]
fn a_panic_panics_in_the_task_that_reads() {
    run("panic as asked", Vec::new());
}

#[test]
fn first_counts_attempts_by_step_and_until_reads_the_call_number() {
    let model = ScriptedModel::parse("first 2 fail overloaded\nsay up").unwrap();
    let ask = request(vec![Message::user("hi")]);
    let results: Vec<_> =
        (0..4).map(|_| events(&model, ask.clone()).last().unwrap().is_ok()).collect();
    assert_eq!(results, [false, false, true, true]);
    let mut other = ask.clone();
    other.turn = TurnId(2);
    assert!(events(&model, other).last().unwrap().is_err());

    let model = ScriptedModel::parse("until call 3 end\nsay up").unwrap();
    let results: Vec<_> = (1..4)
        .map(|no| {
            let mut ask = ask.clone();
            ask.call = CallId::model(session(), ModelCallNo(no));
            events(&model, ask).len()
        })
        .collect();
    assert_eq!(results, [0, 0, 2]);
}

#[test]
fn children_are_found_in_the_results_of_spawn_agent() {
    let mut messages = vec![
        Message::user("go"),
        asks(1, "spawn_agent"),
        told(1, r#"{"agent_id": "one"}"#),
        asks(2, "other"),
        told(2, r#"{"agent_id": "not a child"}"#),
        asks(3, "spawn_agent"),
        told(3, "refused"),
        asks(4, "spawn_agent"),
        told(4, r#"{"agent_id": "two", "state": "running"}"#),
    ];
    let script =
        "agent *\ncall a {\"ids\": [\"{child:2}\", \"{child:1}\"]}\nsay {child:1} {else}\nagain";
    let reply = finished(&run(script, messages.clone()));
    let args = Args(r#"{"ids": ["two", "one"]}"#.into());
    assert_eq!(reply.blocks.first(), Some(&ReplyBlock::ToolUse { name: "a".into(), args }));
    assert_eq!(said(&run(script, messages.clone())), "one {else}");
    messages.truncate(1);
    assert!(failure(&run(script, messages)).message.contains("{child:2}"));
}

#[test]
fn the_same_request_gives_the_same_events_in_any_process() {
    let script =
        "agent *\nthink {turn}\nstream 3 every 1s\nsay {session} {input}\ncall t {}\nagain";
    let ask = request(vec![Message::user("hi"), asks(1, "t"), told(1, "x")]);
    let model = ScriptedModel::parse(script).unwrap();
    let once = events(&model, ask.clone());
    assert_eq!(once, events(&model, ask.clone()));
    assert_eq!(once, events(&ScriptedModel::parse(script).unwrap(), ask));
}

/// Time that only moves when somebody sleeps.
#[derive(Debug, Default)]
struct Skipping(AtomicI64);

impl Clock for Skipping {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        self.0.store(at.0, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }

    fn running(&self) -> Timestamp {
        self.now()
    }

    fn after(&self, ms: u64) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now().plus_ms(ms))
    }

    fn random(&self) -> u64 {
        0
    }

    fn new_session(&self) -> SessionId {
        session()
    }
}

#[test]
fn pauses_are_taken_from_the_clock() {
    let clock = Arc::new(Skipping::default());
    let model = ScriptedModel::parse("wait 1s\nstream 1 every 10ms\nsay abc").unwrap();
    let model = model.with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    events(&model, request(Vec::new()));
    assert_eq!(clock.now(), Timestamp(1_030));
}

#[test]
fn noop_says_nothing_and_canned_always_the_same() {
    let silent = events(&NoopModel, request(vec![Message::user("hi")]));
    assert_eq!(silent.len(), 1);
    assert_eq!(finished(&silent).usage, Some(Usage::default()));
    assert!(finished(&silent).blocks.is_empty());
    let canned = CannedModel::new("as ever");
    assert_eq!(said(&events(&canned, request(vec![Message::user("hi")]))), "as ever");
}

#[test]
fn a_prompt_script_calls_one_tool_a_step_and_then_tells_the_results() {
    let prompt = r#"{"script": [{"tool": "a", "args": {"n": 1}}, {"tool": "b"}]}"#;
    let mut messages = vec![Message::user(prompt)];
    let call = |messages: &[Message]| {
        finished(&events(&PromptScriptModel, request(messages.to_vec()))).blocks
    };
    let wants = |name: &str, args: &str| {
        vec![ReplyBlock::ToolUse { name: name.into(), args: Args(args.into()) }]
    };
    assert_eq!(call(&messages), wants("a", r#"{"n":1}"#));
    messages.extend([asks(1, "a"), told(1, "one")]);
    assert_eq!(call(&messages), wants("b", "{}"));
    messages.extend([asks(2, "b"), told(2, "two")]);
    assert_eq!(said(&events(&PromptScriptModel, request(messages))), "one\ntwo");
    let one = vec![Message::user(r#"{"tool": "a", "args": {}}"#)];
    assert_eq!(call(&one), wants("a", "{}"));
}

#[test]
fn a_prompt_that_is_no_script_comes_back() {
    for prompt in ["hello", "[]", "[\"a\"]", "{}", r#"{"tool": 3}"#, r#"{"tool": "a", "x": 1}"#, ""]
    {
        let events = events(&PromptScriptModel, request(vec![Message::user(prompt)]));
        assert_eq!(said(&events), prompt);
    }
}

#[test]
fn a_configuration_for_tests_excludes_a_provider() {
    let provider: Option<ProviderName> = Some("anthropic".into());
    let mock = Some("hi".to_owned());
    let both = ModelConfig {
        mock_response: mock.clone(),
        provider: provider.clone(),
        ..ModelConfig::default()
    };
    let error = both.resolve().unwrap_err();
    assert!(matches!(
        error,
        ModelConfigError::TestingWithProvider { testing: "mock_response", .. }
    ));
    let two =
        ModelConfig { mock_response: mock.clone(), script: mock.clone(), ..ModelConfig::default() };
    let error = two.resolve().unwrap_err();
    assert_eq!(error, ModelConfigError::Two { first: "mock_response", second: "script" });
    let bad = ModelConfig { script: mock, ..ModelConfig::default() };
    assert!(matches!(bad.resolve(), Err(ModelConfigError::Script(_))));
    assert!(matches!(ModelConfig::default().resolve(), Ok(Choice::Noop)));
    let real = ModelConfig { provider, ..ModelConfig::default() };
    let choice = real.resolve().unwrap();
    assert_eq!(choice.stand_in().err(), Some("anthropic".into()));
    assert!(serde_json::from_str::<ModelConfig>(r#"{"mock": "x"}"#).is_err());
}

#[test]
fn stand_ins_list_themselves() {
    let list = |prefix: &str| NoopModel.list_models(prefix.into()).now_or_never().unwrap().unwrap();
    assert_eq!(list("no"), ["noop".into()]);
    assert!(list("x").is_empty());
}

/// Lines that are nearly right find more than noise does.
fn line() -> impl Strategy<Value = String> {
    let words = "(agent|then|else|again|say|think|\\||stream|wait|call|call-raw|usage|stop|fail|hang|panic|end|first|until|#)?";
    let rest = "( (when|turn|every|call|[0-9]{1,3}|[0-9]{1,25}(ms|s|é)|\\{child:1\\}|\\{|\\*|\\PC{0,5}|hang|a=1|input=3))*";
    (words, rest).prop_map(|(word, rest)| format!("{word}{rest}"))
}

proptest! {
    #[test]
    fn the_parser_never_panics(text in "\\PC*") {
        drop(ScriptedModel::parse(&text));
    }

    #[test]
    fn whatever_parses_answers_without_panicking(
        lines in prop::collection::vec(line(), 0..12),
        input in "\\PC{0,20}",
    ) {
        let script = lines.join("\n");
        if let Ok(model) = ScriptedModel::parse(&script)
            && !script.contains("panic")
        {
            // A hang is a fine answer; what counts is that nothing breaks on the way there.
            let _ = model.call(request(vec![Message::user(input)])).collect::<Vec<_>>().now_or_never();
        }
    }

    #[test]
    fn a_pattern_fits_every_text_it_was_cut_from(parts in prop::collection::vec("[ab]{0,3}", 1..5)) {
        let pattern = script::Pattern(parts.join("*"));
        prop_assert!(pattern.fits(&parts.join("")));
        prop_assert!(pattern.fits(&parts.join("b")) || parts.len() == 1);
    }
}
