//! What the spans of hand-made frames say: where each hangs, what names it, and what it costs to follow
//! sessions that go wrong.

use greenroom_actors::domain::{
    agent::{AgentSpec, Rendered},
    budget::Amount,
    conversation::{Reply, Stop},
    event::{
        Caller, FailureKind, Lineage, ModelFailure, ParentLink, TimerKind, TurnOverrides, UserInput,
    },
    ids::{InputKey, ModelCallNo, TurnId},
    outcome::TurnOutcome,
    span::TraceId,
    tool::{Args, Output, ToolOutcome},
    usage::{Settlement, Usage},
};
use opentelemetry::{Value, trace::Status};
use opentelemetry_sdk::{
    Resource,
    metrics::{
        Temporality,
        data::{AggregatedMetrics, MetricData},
    },
};

use super::*;
use crate::telemetry::names;

const ROOT: SessionId = SessionId(uuid::Uuid::from_u128(1));
const CHILD: SessionId = SessionId(uuid::Uuid::from_u128(2));

fn opened(agent: &AgentSpec, parent: Option<ToolCallNo>) -> Event {
    let lineage = Lineage {
        root: ROOT,
        parent: parent.map(|call| ParentLink { session: ROOT, call }),
        depth: 0,
        depth_left: 1,
        total: 8,
        accounts: vec![],
        authority: vec![],
        raised: vec![],
    };
    let rendered = Box::new(Rendered { agent: agent.clone(), tools: vec![] });
    Event::SessionOpened { rendered, lineage, fork: None }
}

/// A house whose first vendor is called `house`, and in which `mine` is Gemini's.
fn vendors() -> Vendors {
    let kinds = BTreeMap::from([("mine".into(), "gemini")]);
    Vendors { default: Some("house".into()), kinds }
}

fn lead() -> AgentSpec {
    AgentSpec::new("lead", "m")
}

fn said(key: &str, assignment: Option<u32>, overrides: TurnOverrides) -> Event {
    let assignment = assignment.map(Assignment);
    let input = UserInput { assignment, overrides, ..UserInput::text("canary") };
    Event::InputAccepted { key: InputKey(key.to_owned()), input }
}

fn began(turn: u32, key: &str) -> Event {
    let deadline = Timestamp(i64::MAX);
    Event::TurnStarted { turn: TurnId(turn), key: InputKey(key.to_owned()), deadline }
}

fn ended(turn: u32, outcome: TurnOutcome) -> Event {
    Event::TurnFinished { turn: TurnId(turn), outcome }
}

fn completed(turn: u32) -> Event {
    ended(turn, TurnOutcome::Completed { text: "canary".to_owned(), truncated: false })
}

fn wanted(call: u32, by: Caller) -> Event {
    let args = Args("\"canary\"".to_owned());
    Event::ToolRequested { call: ToolCallNo(call), name: "look".into(), args, by }
}

fn sent(assignment: u32, call: u32) -> Event {
    Event::ChildSpawned {
        child: CHILD,
        agent: "lead".into(),
        assignment: Assignment(assignment),
        call: ToolCallNo(call),
        task: UserInput::text("canary"),
        creation: None,
    }
}

/// Hears a frame of one event each, a second apart.
fn heard(follower: &mut Follower, session: SessionId, events: &[Event]) -> Vec<Done> {
    let mut done = Vec::new();
    for event in events {
        let position = follower.heard(session).next();
        let at = Timestamp(i64::try_from(position.0).unwrap() * 1_000);
        done.extend(follower.hear(session, (position, at), std::slice::from_ref(event)));
    }
    done
}

fn one(session: SessionId, events: &[Event]) -> SpanData {
    let mut done = heard(&mut Follower::new(vendors()), session, events);
    assert_eq!(done.len(), 1, "{done:?}");
    done.remove(0).span
}

fn of(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key.as_str() == name);
    found.map(|pair| pair.value.to_string())
}

fn id_of(session: SessionId, what: Spanned) -> opentelemetry::trace::SpanId {
    opentelemetry::trace::SpanId::from_bytes(SpanId::of(session, what).0)
}

#[test]
fn an_agent_hangs_below_the_call_that_asked_it_and_below_none_when_a_person_did() {
    let tool = |no| id_of(ROOT, Spanned::Tool(ToolCallNo(no)));
    let mut follower = Follower::new(vendors());
    heard(&mut follower, CHILD, &[opened(&lead(), Some(ToolCallNo(3)))]);
    let mut parent_of = |turn: u32, assignment: Option<u32>| {
        let key = format!("k{turn}");
        let plain = TurnOverrides::default();
        let events = [said(&key, assignment, plain), began(turn, &key), completed(turn)];
        let done = heard(&mut follower, CHILD, &events);
        assert_eq!(done[0].span.span_context.span_id(), id_of(CHILD, Spanned::Turn(TurnId(turn))));
        if turn == 1 {
            heard(&mut follower, ROOT, &[opened(&lead(), None), sent(2, 9), sent(3, 10)]);
        }
        done[0].span.parent_span_id
    };
    assert_eq!(parent_of(1, Some(1)), tool(3), "the call that spawned it");
    assert_eq!(parent_of(2, Some(2)), tool(9), "the call that addressed it again");
    assert_eq!(parent_of(3, Some(3)), tool(10), "and the next, which came with the same message");
    assert_eq!(parent_of(4, None), opentelemetry::trace::SpanId::INVALID, "a person");
}

#[test]
fn a_turn_says_what_it_used_and_who_served_it_and_what_went_wrong() {
    let usage = Usage { input: 7, cache_read: 5, cache_write: 2, output: 3, reasoning: 1 };
    let settled = |call, settlement| Event::UsageSettled {
        call: ModelCallNo(call),
        model: "m".into(),
        settlement,
    };
    let exact = Settlement::Exact { usage, cost: None };
    let overrides = TurnOverrides { provider: Some("mine".into()), ..TurnOverrides::default() };
    let span = one(
        ROOT,
        &[
            opened(&lead(), None),
            said("k", None, overrides),
            began(1, "k"),
            settled(1, exact),
            settled(2, exact),
            Event::TimerSet { timer: TimerKind::Retry, at: Timestamp(6_250) },
            ended(1, TurnOutcome::Failed { reason: "canary".to_owned() }),
        ],
    );
    assert_eq!((span.name.as_ref(), span.status.clone()), ("invoke_agent lead", Status::error("")));
    assert_eq!(span.span_context.trace_id().to_bytes(), TraceId::of(ROOT).0);
    // Of two calls, and caches are part of the input.
    for (name, value) in [
        (names::INPUT_TOKENS, "28"),
        (names::CACHE_READ_TOKENS, "10"),
        (names::CACHE_WRITE_TOKENS, "4"),
        (names::OUTPUT_TOKENS, "6"),
        (names::REASONING_TOKENS, "2"),
        (names::PROVIDER, "gcp.gemini"),
        (names::ERROR, "failed"),
    ] {
        assert_eq!(of(&span, name).as_deref(), Some(value), "{name}");
    }
    let retry = &span.events.events[0];
    assert_eq!(
        (retry.name.as_ref(), retry.attributes[0].value.clone()),
        (names::RETRY, Value::I64(250))
    );
    assert!(!format!("{span:?}").contains("canary"));
}

#[test]
fn what_is_booked_late_of_a_call_is_not_of_the_turn_that_runs_by_then() {
    let usage = Usage { input: 7, ..Usage::default() };
    let started = |call, turn| Event::ModelCallStarted {
        call: ModelCallNo(call),
        turn: TurnId(turn),
        model: "m".into(),
        bound: Amount::default(),
        priced: false,
    };
    let exact = |call| Event::UsageSettled {
        call: ModelCallNo(call),
        model: "m".into(),
        settlement: Settlement::Exact { usage, cost: None },
    };
    let failure = ModelFailure::new(FailureKind::TimedOut, "canary", false);
    let done = heard(
        &mut Follower::new(vendors()),
        ROOT,
        &[
            opened(&lead(), None),
            began(1, "k1"),
            started(1, 1),
            Event::ModelCallFailed { call: ModelCallNo(1), failure },
            ended(1, TurnOutcome::Failed { reason: "canary".to_owned() }),
            began(2, "k2"),
            started(2, 2),
            exact(1),
            exact(2),
            completed(2),
        ],
    );
    let turn = &done.last().expect("a turn").span;
    assert_eq!(of(turn, names::INPUT_TOKENS).as_deref(), Some("7"));
}

#[test]
fn vendors_have_the_names_that_the_conventions_have_for_them_whatever_they_are_called_here() {
    let vendors = vendors();
    let check = |name: &str, called: &str| {
        assert_eq!(vendors.called(Some(&name.into())), called);
    };
    for same in ["anthropic", "openai", "ollama", "groq", "deepseek", "perplexity", "scripted"] {
        check(same, same);
    }
    check("mine", "gcp.gemini");
    check("vertex", "gcp.vertex_ai");
    check("azure", "azure.ai.openai");
    check("openai_chat", "openai");
    check("xai", "x_ai");
    check("mistral", "mistral_ai");
    check("scripted/house", "scripted");
    assert_eq!(vendors.called(None), "house");
    assert_eq!(Vendors::default().called(None), "_OTHER");
}

#[test]
fn a_call_says_who_answered_and_why_it_stopped_or_what_went_wrong() {
    let started = |call| Event::ModelCallStarted {
        call: ModelCallNo(call),
        turn: TurnId(1),
        model: "m".into(),
        bound: Amount::default(),
        priced: false,
    };
    let reply =
        Reply { blocks: vec![], stop: Stop::MaxTokens, usage: None, served_by: Some("m-2".into()) };
    let failure = ModelFailure::new(FailureKind::RateLimited, "canary", true);
    let mut follower = Follower::new(vendors());
    let done = heard(
        &mut follower,
        ROOT,
        &[
            opened(&lead(), None),
            began(1, "k"),
            started(1),
            Event::ModelCallFailed { call: ModelCallNo(1), failure },
            started(2),
            Event::ModelCallFinished { call: ModelCallNo(2), reply: Box::new(reply) },
        ],
    );
    let [failed, answered] = &done[..] else { panic!("{done:?}") };
    assert_eq!(of(&failed.span, names::ERROR).as_deref(), Some("rate_limited"));
    assert_eq!(of(&failed.span, names::RESPONSE_MODEL), None);
    assert_eq!(of(&answered.span, names::RESPONSE_MODEL).as_deref(), Some("m-2"));
    assert_eq!(of(&answered.span, names::FINISH_REASONS).as_deref(), Some("[\"length\"]"));
    assert_eq!(of(&answered.span, names::PROVIDER).as_deref(), Some("house"));
    let turn = id_of(ROOT, Spanned::Turn(TurnId(1)));
    assert!(done.iter().all(|done| done.span.parent_span_id == turn));
    assert!(!format!("{done:?}").contains("canary"));
}

#[test]
fn a_tool_that_is_run_again_after_a_crash_is_one_span_from_its_first_start() {
    let started = || Event::ToolStarted {
        call: ToolCallNo(1),
        digest: greenroom_actors::domain::permission::RequestDigest(String::new()),
        basis: greenroom_actors::domain::permission::Basis::BuiltIn,
        deadline: Timestamp(i64::MAX),
    };
    let outcome = ToolOutcome::Failed { output: Output::text("canary") };
    let host = Caller::Host { key: InputKey("k".to_owned()), mode: None, cwd: None };
    let span = one(
        ROOT,
        &[
            opened(&lead(), None),
            began(1, "k"),
            wanted(1, host),
            started(),
            started(),
            Event::ToolFinished { call: ToolCallNo(1), outcome },
        ],
    );
    let length = span.end_time.duration_since(span.start_time).expect("it ends behind its start");
    assert_eq!(length.as_secs(), 2);
    assert_eq!(
        span.parent_span_id,
        opentelemetry::trace::SpanId::INVALID,
        "the host's, in no turn"
    );
    assert_eq!(of(&span, names::ERROR).as_deref(), Some("failed"));
    assert!(!format!("{span:?}").contains("canary"));
}

#[test]
fn a_turn_that_is_tried_for_ever_keeps_so_many_events_and_counts_the_others() {
    let mut events = vec![opened(&lead(), None), began(1, "k")];
    let retry = || Event::TimerSet { timer: TimerKind::Retry, at: Timestamp(0) };
    events.extend(std::iter::repeat_with(retry).take(1_000));
    events.push(completed(1));
    let span = one(ROOT, &events);
    assert_eq!((span.events.events.len(), span.events.dropped_count), (128, 872));
}

#[test]
fn too_many_sessions_are_forgotten_and_heard_again_from_their_start() {
    let mut follower = Follower::new(vendors());
    for no in 0..=FOLLOWED as u128 {
        let session = SessionId(uuid::Uuid::from_u128(no));
        let at = Timestamp(i64::try_from(no).unwrap());
        follower.hear(session, (Position(1), at), &[opened(&lead(), None)]);
        assert_eq!(follower.forgot() == Timestamp::default(), no < FOLLOWED as u128);
    }
    // Up to the last frame everything was told, however old the log is that is read next.
    assert_eq!(follower.forgot(), Timestamp(FOLLOWED as i64));
    assert_eq!(follower.runs.len(), 1);
    assert_eq!(follower.heard(ROOT), Position(0));
    // What comes amid a log of which the beginning is not known says nothing.
    assert!(follower.hear(ROOT, (Position(9), Timestamp(0)), &[completed(1)]).is_empty());
    assert_eq!(follower.heard(ROOT), Position(0));
}

#[test]
fn labels_are_bounded_and_a_reader_reads_what_was_measured() {
    let reader = Reader::new(Temporality::Cumulative);
    let mut instruments = Instruments::new(Resource::builder_empty().build(), [reader.clone()]);
    for no in 0..1_000 {
        let mut follower = Follower::new(vendors());
        let agent = AgentSpec::new(format!("agent-{no}").as_str(), "m");
        let done = heard(&mut follower, ROOT, &[opened(&agent, None), began(1, "k"), completed(1)]);
        done.iter().for_each(|done| instruments.measure(done));
    }
    let metrics = reader.read().expect("metrics");
    let all: Vec<_> = metrics.scope_metrics().flat_map(|scope| scope.metrics()).collect();
    assert_eq!(all.len(), 1, "nothing else was measured");
    assert_eq!(all[0].name(), names::AGENT_DURATION);
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = all[0].data() else {
        panic!("{all:?}")
    };
    assert_eq!(histogram.data_points().count(), 101);
    assert_eq!(histogram.data_points().map(|point| point.count()).sum::<u64>(), 1_000);
}

#[test]
fn a_model_that_a_message_made_up_takes_nobodys_label() {
    let reader = Reader::new(Temporality::Cumulative);
    let mut instruments = Instruments::new(Resource::builder_empty().build(), [reader.clone()]);
    instruments.learn(&opened(&lead(), None));
    let made_up = (0..1_000).map(|no| format!("made-up-{no}"));
    for model in made_up.chain(["m".to_owned()]) {
        let served = Some(model.clone());
        let of = Of::Model { provider: "p".to_owned(), model, served, tokens: None };
        let span = one(ROOT, &[opened(&lead(), None), began(1, "k"), completed(1)]);
        let measured = Some(Measured { ms: 1, error: None, of });
        instruments.measure(&Done { span, measured });
    }
    let metrics = reader.read().expect("metrics");
    let all: Vec<_> = metrics.scope_metrics().flat_map(|scope| scope.metrics()).collect();
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = all[0].data() else {
        panic!("{all:?}")
    };
    let models: std::collections::BTreeSet<_> = histogram
        .data_points()
        .flat_map(|point| point.attributes())
        .filter(|pair| pair.key.as_str() == names::REQUEST_MODEL)
        .map(|pair| pair.value.to_string())
        .collect();
    assert_eq!(models.into_iter().collect::<Vec<_>>(), ["m", "other"]);
}
