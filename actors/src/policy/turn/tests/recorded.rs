//! Logs as version 1 wrote them. They must be read for ever, and mean for ever what they meant: a
//! change of the stored form that breaks one of these needs a new version and an upgrade on read.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::play::*;
use crate::{
    domain::{
        budget::{Amount, Shortage},
        event::*,
        frame::*,
        grant::GrantEvent,
        house::HouseEvent,
        ids::*,
        permission::*,
        tool::*,
        usage::*,
    },
    policy::turn::{Input, Run, State, fold, pending, prompt},
};

const SESSION: &str = include_str!("../../../../tests/fixtures/v1/session.jsonl");
const MEANT: &str = include_str!("../../../../tests/fixtures/v1/session.state.json");
const LEDGER: &str = include_str!("../../../../tests/fixtures/v1/ledger.jsonl");
const HOUSE: &str = include_str!("../../../../tests/fixtures/v1/house.jsonl");

/// A stored frame as a line of a fixture.
#[derive(Serialize, Deserialize)]
struct Line {
    envelope: Envelope,
    body: String,
    chain: String,
}

fn frames(text: &str) -> Vec<StoredFrame> {
    let line = |line: &str| -> StoredFrame {
        let Line { envelope, body, chain } = serde_json::from_str(line).unwrap();
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(chain.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        }
        StoredFrame { envelope, body, chain: Chain(bytes) }
    };
    text.lines().map(line).collect()
}

fn read<E: DeserializeOwned>(log: LogId, text: &str) -> Result<Vec<Vec<E>>, DecodeError> {
    let mut verifier = Verifier::new(log);
    frames(text).iter().map(|frame| verifier.decode(frame)).collect()
}

fn state_of(text: &str) -> State {
    let mut state = State::new(me());
    let events = read::<Event>(LogId::session(me()), text).unwrap();
    for (frame, events) in frames(text).iter().zip(events) {
        fold(&mut state, &events, frame.envelope.at).unwrap();
    }
    state
}

/// What a state means, in words that do not change with its fields.
fn meaning(state: &State) -> Value {
    let request = prompt::request(state, ModelCallNo(1), state.updated_at);
    let prompt = request.map_or_else(Vec::new, |request| request.prompt_bytes());
    let standing: Vec<String> =
        pending(state, Run::Again).iter().map(super::told::effect).collect();
    json!({
        "conversation": state.conversation,
        "prompt_sha256": hex(&Sha256::digest(&prompt)),
        "outcomes": state.outcomes,
        "inputs": state.inputs,
        "usage": state.usage,
        "unsettled": state.unsettled,
        "answers": state.answers,
        "status": state.status(),
        "waiting_on": state.waiting_on(),
        "name": state.name,
        "goal": state.goal,
        "restarts": state.restarts,
        "children": state.children.len(),
        "live_children": state.live_children(),
        "standing": standing,
        "next": [state.next.turn.0, state.next.model.0, state.next.tool.0, state.next.approval.0],
    })
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn a_session_of_version_1_means_what_it_meant() {
    assert_eq!(pretty(&meaning(&state_of(SESSION))), MEANT);
}

#[test]
fn a_ledger_and_a_house_of_version_1_are_read() {
    assert_eq!(read::<GrantEvent>(LogId::ledger(me()), LEDGER).unwrap().len(), 2);
    assert_eq!(read::<HouseEvent>(LogId::HOUSE, HOUSE).unwrap().len(), 2);
}

#[test]
fn the_recorded_session_has_every_kind_of_event() {
    let events = read::<Event>(LogId::session(me()), SESSION).unwrap();
    let mut kinds: Vec<&str> = events.iter().flatten().map(Event::name).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 32, "{kinds:?}");
}

#[test]
fn what_is_read_is_written_the_same_way() {
    for frame in frames(SESSION) {
        let events: Vec<Event> = serde_json::from_str(&frame.body).unwrap();
        assert_eq!(encode(&events).unwrap(), frame.body);
    }
}

/// A frame as a program would have written it, chain and all.
fn stored(version: u32, body: String) -> StoredFrame {
    let mut envelope = frames(SESSION).remove(0).envelope;
    envelope.version = version;
    let chain = Chain::START.next(&envelope, &body);
    StoredFrame { envelope, body, chain }
}

fn decoded(frame: &StoredFrame) -> Result<Vec<Event>, DecodeError> {
    Verifier::new(LogId::session(me())).decode(frame)
}

#[test]
fn a_newer_version_is_refused_and_says_what_to_do() {
    let body = frames(SESSION).remove(0).body;
    assert!(decoded(&stored(SCHEMA_VERSION, body.clone())).is_ok());
    let error = decoded(&stored(SCHEMA_VERSION + 1, body)).unwrap_err();
    assert!(matches!(error, DecodeError::TooNew { .. }));
    assert!(error.to_string().contains("use a newer program"), "{error}");
}

#[test]
fn an_unknown_event_is_refused() {
    let error = decoded(&stored(1, r#"[{"type":"session_applauded"}]"#.to_owned())).unwrap_err();
    assert!(matches!(error, DecodeError::Body { .. }), "{error}");
}

#[test]
fn an_unknown_field_is_refused_at_any_depth() {
    let mut tried = 0;
    for frame in frames(SESSION) {
        let body: Value = serde_json::from_str(&frame.body).unwrap();
        for place in objects(&body, String::new()) {
            let mut changed = body.clone();
            let object = changed.pointer_mut(&place).and_then(Value::as_object_mut).unwrap();
            object.insert("surprise".to_owned(), json!(1));
            let read = serde_json::from_str::<Vec<Event>>(&changed.to_string());
            assert!(read.is_err(), "{place} of {body}");
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} places");
}

/// Where a record stands in a value; a map's keys are its own business.
fn objects(value: &Value, place: String) -> Vec<String> {
    match value {
        Value::Object(object) => {
            let mut places = Vec::new();
            for (key, inner) in object {
                if key != "tools" || inner.is_array() {
                    places.extend(objects(inner, format!("{place}/{key}")));
                }
            }
            places.push(place);
            places
        }
        Value::Array(array) => {
            let inner = array.iter().enumerate();
            inner.flat_map(|(at, inner)| objects(inner, format!("{place}/{at}"))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_changed_byte_is_found() {
    let mut frame = frames(SESSION).remove(0);
    frame.body = frame.body.replace("lead", "lear");
    assert!(matches!(decoded(&frame).unwrap_err(), DecodeError::Chain { .. }));
}

#[test]
fn a_missing_frame_is_found() {
    let text: String = SESSION.lines().skip(1).fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    });
    assert!(matches!(read::<Event>(LogId::session(me()), &text), Err(DecodeError::Gap { .. })));
}

// GENERATOR
fn write_log<E: Serialize>(log: LogId, frames: &[(Timestamp, Vec<E>)], path: &str) {
    let mut chain = Chain::START;
    let mut text = String::new();
    for (no, (at, events)) in frames.iter().enumerate() {
        let body = encode(events).unwrap();
        let envelope = Envelope {
            version: 1,
            log,
            position: Position(no as u64 + 1),
            token: Token(1),
            tenant: "t".into(),
            principal: "ann".into(),
            caused_by: (no == 1).then(|| "k1".to_owned()),
            trace: None,
            at: *at,
        };
        chain = chain.next(&envelope, &body);
        let line = Line { envelope, body, chain: hex(&chain.0) };
        text.push_str(&serde_json::to_string(&line).unwrap());
        text.push('\n');
    }
    std::fs::write(path, text).unwrap();
}

fn raw(mut play: Play, events: Vec<Event>) -> Play {
    fold(&mut play.state, &events, play.now).unwrap();
    play.commit(&events);
    play
}

#[test]
fn generate() {
    let mut lead = counted();
    lead.budget.tool_calls = Some(50);
    lead.budget.nano_usd = Some(NanoUsd(1_000_000_000));
    lead.instructions = "Lead.".to_owned();
    let grant = |no| room(model(no));
    let account = me();
    let goal = Goal { objective: "win".to_owned(), token_budget: Some(7) };
    let args = |text: &str| Args(text.to_owned());
    let host = |key: &str, name: &str| Input::Invoked {
        key: key.into(),
        name: name.into(),
        args: args("{}"),
        mode: Some(Mode::Default),
        cwd: Some("/tmp".to_owned()),
    };
    let short = Shortage::Exhausted {
        account,
        dimension: crate::domain::budget::Dimension::Tokens,
        limit: 10,
        spent: 9,
        bound: 2,
    };
    let spawn = ("spawn_agent", r#"{"agent":"hand","task":"dig"}"#);
    let play = Play::of(lead)
        .with(say("k1"))
        .with(grant(1))
        .with(wants(
            1,
            &[
                ("read", "{}"),
                ("pay", r#"{"n":1}"#),
                ("pay", r#"{"n":2}"#),
                ("buy", "{}"),
                ("rm", "{}"),
                spawn,
            ],
        ))
        .with(slot(1))
        .with(room(tool(6)))
        .with(done(1, "text"))
        .with(person(1, Answer::Edit { args: args(r#"{"n":0}"#) }))
        .with(slot(2))
        .with(person(2, Answer::Revise { feedback: "less".to_owned() }))
        .with(person(3, Answer::Session))
        .with(slot(4))
        .with(Input::BudgetWarned { account, percent: 80 })
        .with(wake())
        .with(grant(2))
        .with(fails(2, FailureKind::Overloaded))
        .at(9_000)
        .with(Input::TimerFired)
        .with(grant(3))
        .with(wake())
        .with(answers(3, reply("late", &[])))
        .with(grant(4))
        .with(wants(4, &[("await_agents", "{}")]))
        .with(ended(6, 1, "dug"))
        .with(grant(5))
        .with(answers(5, reply("done", &[])))
        .with(say("k2"))
        .with(say("k3"))
        .with(Input::BudgetDecided { call: model(6), decision: Err(short) })
        .with(grant(6))
        .with(cancel(CancelTarget::Everything))
        .with(fails(6, FailureKind::Aborted))
        .with(host("h1", "read"))
        .with(slot(8))
        .with(done(8, "x"))
        .with(host("h2", "pay"))
        .with(Input::Renamed { name: "north".to_owned() })
        .with(Input::GoalSet { goal: Some(goal) })
        .with(Input::Checkpointed { name: "here".into(), at: Position(5), value: "42".to_owned() });
    let tools = play.state.tools.as_ref().clone();
    let play = raw(
        play,
        vec![
            Event::EngineState { engine: "loop".into(), version: 1, state: "{}".to_owned() },
            Event::ToolsChanged { tools, reason: "a server came".to_owned() },
            Event::Compacted { messages: 2, summary: "we talked".to_owned() },
        ],
    );
    let play = play
        .with(panicked())
        .with(panicked())
        .with(panicked())
        .with(Input::Released { skip: false })
        .with(cancel(CancelTarget::Everything))
        .with(Input::Archived { archived: true })
        .with(Input::Archived { archived: false })
        .with(say("k4"))
        .with(grant(7))
        .with(wants(7, &[("read", "{}"), ("probe", "{}"), ("pay", "{}"), spawn]))
        .with(slot(10))
        .with(slot(11))
        .with(room(tool(13)))
        .with(say("k5"));
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v1");
    std::fs::create_dir_all(dir).unwrap();
    let mut frames: Vec<(Timestamp, Vec<Event>)> =
        play.frames.iter().map(|(at, body)| (*at, serde_json::from_str(body).unwrap())).collect();
    // A log that continues another's.
    let _ = &mut frames;
    write_log(LogId::session(me()), &frames, &format!("{dir}/session.jsonl"));
    std::fs::write(format!("{dir}/session.state.json"), pretty(&meaning(&play.state))).unwrap();
    let call = CallId::model(me(), ModelCallNo(1));
    let accounts = play.state.accounts();
    let bound = Amount { tokens: 100, nano_usd: NanoUsd(5), model_calls: 1, ..Amount::default() };
    let grants = vec![
        (Timestamp(1), vec![GrantEvent::Granted { call, accounts, bound }]),
        (Timestamp(2), vec![GrantEvent::Settled { call, actual: bound }]),
    ];
    write_log(LogId::ledger(me()), &grants, &format!("{dir}/ledger.jsonl"));
    let rule = Rule { decision: Decision::Allow, pattern: RulePattern("buy".to_owned()) };
    let by = PrincipalId::from("ann");
    let house = vec![
        (
            Timestamp(1),
            vec![
                HouseEvent::Booted { version: "0.1.0".to_owned(), pid: 1 },
                HouseEvent::PricesSet { prices: prices().0 },
            ],
        ),
        (
            Timestamp(2),
            vec![
                HouseEvent::RuleStanding { rule, by: by.clone() },
                HouseEvent::Quarantined { session: me(), reason: "3 panics".to_owned() },
                HouseEvent::Released { session: me(), skip: true, by },
            ],
        ),
    ];
    write_log(LogId::HOUSE, &house, &format!("{dir}/house.jsonl"));
}
