//! Logs as version 1 wrote them. They must be read for ever, and mean for ever what they meant: a
//! change of the stored form that breaks one of these needs a new version and an upgrade on read.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::play::{boss, me};
use crate::{
    domain::{
        event::Event,
        frame::{
            Chain, DecodeError, Envelope, LogId, SCHEMA_VERSION, StoredFrame, Verifier, encode, hex,
        },
        grant::GrantEvent,
        house::HouseEvent,
        ids::ModelCallNo,
    },
    policy::turn::{Run, State, fold, pending, prompt},
};

const SESSION: &str = include_str!("../../../../tests/fixtures/v1/session.jsonl");
const MEANT: &str = include_str!("../../../../tests/fixtures/v1/session.state.json");
const FORK: &str = include_str!("../../../../tests/fixtures/v1/fork.jsonl");
const FORK_MEANT: &str = include_str!("../../../../tests/fixtures/v1/fork.state.json");
const MODELS: &str = include_str!("../../../../tests/fixtures/v1/models.jsonl");
const MODELS_MEANT: &str = include_str!("../../../../tests/fixtures/v1/models.state.json");
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

fn state_of(mut state: State, text: &str) -> State {
    let events = read::<Event>(LogId::session(state.session), text).unwrap();
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
    assert_eq!(pretty(&meaning(&state_of(State::new(me()), SESSION))), MEANT);
}

#[test]
fn a_fork_of_version_1_means_what_it_meant() {
    let mut base = state_of(State::new(me()), SESSION);
    base.session = boss();
    assert_eq!(pretty(&meaning(&state_of(base, FORK))), FORK_MEANT);
}

/// An image, a chain of models that is followed, an answer in two parts, one that broke off after it
/// was heard, and a wait that the vendor asked for.
#[test]
fn a_session_that_changed_its_model_in_version_1_means_what_it_meant() {
    let state = state_of(State::new(me()), MODELS);
    assert_eq!(pretty(&meaning(&state)), MODELS_MEANT);
    let turn = state.turn.unwrap();
    assert_eq!((turn.choice().to_string().as_str(), turn.fallback.len()), ("n at other", 1));
    assert_eq!((turn.said.as_str(), turn.patience, turn.attempts), ("One, ", 1, 0));
}

#[test]
fn a_ledger_and_a_house_of_version_1_are_read() {
    assert_eq!(read::<GrantEvent>(LogId::ledger(me()), LEDGER).unwrap().len(), 2);
    assert_eq!(read::<HouseEvent>(LogId::HOUSE, HOUSE).unwrap().len(), 2);
}

#[test]
fn the_recorded_logs_have_every_kind_of_event() {
    let mut events = read::<Event>(LogId::session(me()), SESSION).unwrap();
    events.extend(read::<Event>(LogId::session(boss()), FORK).unwrap());
    events.extend(read::<Event>(LogId::session(me()), MODELS).unwrap());
    let mut kinds: Vec<&str> = events.iter().flatten().map(Event::name).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 33, "{kinds:?}");
}

#[test]
fn what_is_read_is_written_the_same_way() {
    for frame in frames(SESSION).into_iter().chain(frames(MODELS)) {
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
    for frame in frames(SESSION).into_iter().chain(frames(MODELS)) {
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
            // A variant without fields is its tag alone; serde reads nothing beside it.
            if object.keys().ne(["kind"]) {
                places.push(place);
            }
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
