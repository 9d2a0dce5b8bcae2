//! Traces: nothing of the content is left in a redacted one, what was changed is found, and a file that
//! a crash cut off goes on where it ends. What is traced are the recorded logs of version 1, which have
//! every kind of event.

use std::{collections::BTreeSet, fs, path::PathBuf};

use greenroom_actors::domain::frame::Envelope;
use serde_json::Value;
use tempfile::TempDir;

use super::*;

const LOGS: [&str; 3] = [
    include_str!("../../../actors/tests/fixtures/v1/session.jsonl"),
    include_str!("../../../actors/tests/fixtures/v1/fork.jsonl"),
    include_str!("../../../actors/tests/fixtures/v1/models.jsonl"),
];

#[derive(Deserialize)]
struct Stored {
    envelope: Envelope,
    body: String,
}

fn frames(log: &str) -> Vec<(Envelope, Vec<Event>)> {
    let stored = log.lines().map(|line| serde_json::from_str::<Stored>(line).unwrap());
    stored.map(|frame| (frame.envelope, serde_json::from_str(&frame.body).unwrap())).collect()
}

fn events() -> Vec<Value> {
    let all = LOGS.into_iter().flat_map(frames).flat_map(|(_, events)| events);
    all.map(|event| serde_json::to_value(event).unwrap()).collect()
}

/// Where each text of a value stands.
fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(values) => {
            values
                .iter()
                .enumerate()
                .for_each(|(no, value)| texts(value, &format!("{at}/{no}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| texts(value, &format!("{at}/{key}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A place without numbers, behind the name of its event.
fn named(event: &Value, at: &str) -> String {
    let parts = at.split('/').filter(|part| part.parse::<usize>().is_err() && !part.is_empty());
    let parts: Vec<&str> = std::iter::once(event["type"].as_str().unwrap()).chain(parts).collect();
    parts.join(".")
}

/// In each text of each kind of event something is put that nobody may read, wherever the event is one
/// still: names stay, and all else goes.
#[test]
fn of_all_texts_in_an_event_only_names_survive() {
    const CANARY: &str = "canary";
    let mut survived = BTreeSet::new();
    let mut tried = 0;
    for event in events() {
        let mut places = Vec::new();
        texts(&event, "", &mut places);
        for place in places {
            let mut marked = event.clone();
            *marked.pointer_mut(&place).unwrap() = Value::from(CANARY);
            if serde_json::from_value::<Event>(marked.clone()).is_err() {
                continue;
            }
            tried += 1;
            if content::redacted(marked).to_string().contains(CANARY) {
                survived.insert(named(&event, &place));
            }
        }
    }
    assert!(tried > 150, "{tried} texts");
    let last = |place: &String| place.rsplit('.').next().unwrap().to_owned();
    let fields: BTreeSet<String> = survived.iter().map(last).collect();
    let names = [
        "agent",
        "by",
        "engine",
        "media_type",
        "model",
        "name",
        "pool",
        "provider",
        "routes",
        "tool",
    ];
    assert_eq!(fields, names.map(str::to_owned).into(), "{survived:#?}");
    let of_content = ["session_renamed.name", "checkpointed.name", "goal_set.goal.objective"];
    assert!(!of_content.iter().any(|place| survived.contains(*place)), "{survived:#?}");
}

#[test]
fn what_is_written_of_an_agents_tools_goes_and_their_names_stay() {
    let mut opened = events().into_iter().find(|event| event["type"] == "session_opened").unwrap();
    opened["rendered"]["agent"]["tools"] =
        serde_json::json!({ "blocks": { "name": "canary", "canary": "x" } });
    let text = content::redacted(opened).to_string();
    assert!(text.contains("\"blocks\"") && !text.contains("canary"), "{text}");
}

#[test]
fn the_same_content_is_the_same_twice_and_its_event_is_one_again() {
    for event in events() {
        let redacted = content::redacted(event.clone());
        assert_eq!(redacted, content::redacted(event));
        let read = content::readable(redacted);
        serde_json::from_value::<Event>(read.clone())
            .unwrap_or_else(|error| panic!("{error}: {read}"));
    }
}

fn scribe(level: Level) -> Scribe {
    Scribe::new(level, Secrets::default())
}

/// The lines of the first log's trace.
fn lines(level: Level) -> (SessionId, Vec<String>) {
    let frames = frames(LOGS[0]);
    let session = SessionId(frames[0].0.log.id);
    let scribe = scribe(level);
    let (mut link, header) = scribe.header(session, &frames[0].1).unwrap();
    let mut lines = vec![header];
    for (envelope, events) in &frames {
        let moment = Moment::read(envelope, events);
        let (next, line) = scribe.line(&link, &moment).unwrap();
        link = next;
        lines.push(line);
    }
    (session, lines)
}

fn written(lines: &[String]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    fs::write(&path, lines.concat()).unwrap();
    (folder, path)
}

/// How many frames are read before the trace breaks, and how it does.
fn read(lines: &[String]) -> (usize, Option<String>) {
    let (_folder, path) = written(lines);
    let trace = match Trace::open(&path) {
        Ok(trace) => trace,
        Err(error) => return (0, Some(error.to_string())),
    };
    let mut whole = 0;
    for told in trace.frames() {
        match told {
            Ok(_) => whole += 1,
            Err(error) => return (whole, Some(error.to_string())),
        }
    }
    (whole, None)
}

#[test]
fn a_line_that_was_changed_left_out_or_moved_is_found_and_named() {
    for level in [Level::Full, Level::Redacted] {
        let (_, lines) = lines(level);
        assert_eq!(read(&lines), (lines.len() - 1, None), "{level:?}");
        for no in 1..lines.len() {
            let mut changed = lines.clone();
            changed[no] = changed[no].replacen("\"token\":1", "\"token\":2", 1);
            let (whole, why) = read(&changed);
            assert_eq!(whole, no - 1);
            let why = why.unwrap();
            assert!(why.starts_with(&format!("frame {no}: line {}", no + 1)), "{why}");
            let mut without = lines.clone();
            without.remove(no);
            // Whether a trace ends too early only whoever has the log can say.
            let broken = (no < lines.len() - 1).then_some(no - 1);
            let (whole, why) = read(&without);
            assert_eq!(broken, why.map(|_| whole));
        }
        let mut moved = lines.clone();
        moved.swap(2, 3);
        assert_eq!(read(&moved).0, 1);
    }
}

#[test]
fn what_is_no_trace_or_of_a_newer_form_is_refused() {
    let (_, lines) = lines(Level::Full);
    let newer = lines[0].replace("\"version\":1", "\"version\":2");
    for (first, wanted) in [
        (newer.as_str(), "it has form 2"),
        ("{\"schema\":\"other\",\"chain\":\"0\"}\n", "not the header"),
        ("", "not the header"),
        ("what?\n", "not the header"),
    ] {
        let why = read(&[first.to_owned()]).1.unwrap();
        assert!(why.contains(wanted), "{why}");
    }
    let other = lines[0].replace("\"agent\":\"lead\"", "\"agent\":\"mean\"");
    assert!(read(&[other]).1.unwrap().starts_with("the header: line 1"));
}

#[test]
fn a_line_that_a_crash_cut_off_is_cut_away_and_the_trace_goes_on_behind_the_last_whole_one() {
    let (session, lines) = lines(Level::Redacted);
    let whole = lines.concat();
    let first = lines[0].len();
    let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at).collect();
    let near = |cut: &usize| ends.iter().any(|end| end.abs_diff(*cut) < 3);
    // All cuts at the ends of lines, and some within: there one is as good as another.
    for cut in (0..whole.len()).filter(|cut| near(cut) || cut % 1_009 == 0) {
        let folder = tempfile::tempdir().unwrap();
        let traces = Folder::open(folder.path(), Level::Redacted).unwrap();
        fs::write(traces.file(session), &whole.as_bytes()[..cut]).unwrap();
        let end = traces.end(session).unwrap();
        let kept = fs::read_to_string(traces.file(session)).unwrap();
        assert!(whole.starts_with(&kept) && (kept.is_empty() || kept.ends_with('\n')), "{cut}");
        let frames = kept.lines().count().saturating_sub(1);
        assert_eq!(end.position, Position(frames as u64), "{cut}");
        assert_eq!(end.link.is_some(), cut >= first, "{cut}");
        // From there on the same lines make the same file.
        traces.add(session, whole.get(kept.len()..).unwrap()).unwrap();
        assert!(fs::read_to_string(traces.file(session)).unwrap() == whole, "{cut}");
    }
}

#[test]
fn a_file_that_is_no_trace_of_that_session_is_left_alone() {
    let (session, lines) = lines(Level::Redacted);
    let folder = tempfile::tempdir().unwrap();
    let traces = Folder::open(folder.path(), Level::Redacted).unwrap();
    assert_eq!(traces.end(session).unwrap(), End::default());
    let strange = lines[0].replace(&session.to_string(), "00000000-0000-0000-0000-000000000009");
    for content in ["a diary\n", "{\"position\":3}\n", strange.as_str()] {
        fs::write(traces.file(session), content).unwrap();
        assert!(matches!(traces.end(session), Err(FileError::NotOurs { .. })), "{content}");
        assert_eq!(fs::read_to_string(traces.file(session)).unwrap(), content);
    }
}

#[test]
fn a_secret_is_masked_at_both_levels_wherever_it_stands() {
    let secrets = Secrets::default();
    secrets.learn("hand-me-over-42");
    let (envelope, events) = frames(LOGS[0]).remove(0);
    let text = serde_json::to_string(&events).unwrap();
    let marked =
        text.replace("Lead.", "Say hand-me-over-42.").replace("\"lead\"", "\"hand-me-over-42\"");
    let events: Vec<Event> = serde_json::from_str(&marked).unwrap();
    let (tenant, principal) = ("hand-me-over-42".into(), "hand-me-over-42".into());
    for level in [Level::Full, Level::Redacted] {
        let scribe = Scribe::new(level, secrets.clone());
        let read = Moment::read(&envelope, &events);
        let moment = Moment { tenant: &tenant, principal: &principal, ..read };
        let (link, header) = scribe.header(SessionId(envelope.log.id), &events).unwrap();
        let (_, line) = scribe.line(&link, &moment).unwrap();
        assert!(!header.contains("hand-me") && !line.contains("hand-me"), "{header}{line}");
        assert_eq!(line.contains("Say [redacted]."), level == Level::Full, "{line}");
    }
}
