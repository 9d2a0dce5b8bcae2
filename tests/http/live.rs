//! Live streams: from any cursor without a gap and none twice, whatever breaks off meanwhile.

use greenroom_actors::testing::harness::bounded;
use serde_json::json;

use super::{
    client::{Event, has},
    theatre::{Theatre, at},
};

fn frames(events: &[Event]) -> Vec<u64> {
    events.iter().filter(|event| event.name == "frame").map(|event| event.id.unwrap()).collect()
}

fn ended(event: &Event) -> bool {
    has(event, "turn_finished")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_tells_the_log_from_its_start_and_the_pieces_between() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let mut stream = theatre.admin.follow(&at(&session, "events"), &[]).await;
    let first = stream.next().await.unwrap();
    assert!(has(&first, "session_opened"), "{first:?}");
    theatre.admin.post(&at(&session, "messages"), &json!({ "text": "break a leg" })).await.is(202);
    let events = stream.upto(ended).await;
    let told = frames(&events);
    assert_eq!(told, (2..2 + told.len() as u64).collect::<Vec<_>>());
    let pieces = events.iter().filter(|event| event.name == "delta");
    let said: String = pieces.map(|event| event.data["text"].as_str().unwrap()).collect();
    assert_eq!(said, "You said break a leg.");
    let place = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(wanted).unwrap();
    let (began, whole) = (
        place(&|event| has(event, "model_call_started")),
        place(&|event| has(event, "model_call_finished")),
    );
    let piece = place(&|event| event.name == "delta");
    assert!(began < piece && piece < whole, "pieces stand between the call and its answer");
    // What is told is what the log holds.
    let log = theatre.admin.get(&at(&session, "frames?limit=500")).await.is(200).json();
    let told: Vec<_> = events.iter().filter(|event| event.name == "frame").collect();
    for (frame, event) in log["items"].as_array().unwrap().iter().skip(1).zip(told) {
        assert_eq!(*frame, event.data);
    }
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_back_misses_nothing_and_hears_nothing_twice() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let path = at(&session, "events");
    let mut heard = Vec::new();
    // It goes away after every few events, at any place, and comes back with the last id.
    for round in 0..12 {
        let said = json!({ "text": format!("line {round}") });
        theatre.admin.post(&at(&session, "messages"), &said).await.is(202);
        let last = heard.last().copied().unwrap_or(0_u64).to_string();
        let mut stream = theatre.admin.follow(&path, &[("Last-Event-ID", &last)]).await;
        // A turn is three frames and more, and who comes late hears no pieces of it.
        for _ in 0..1 + round % 3 {
            let event = bounded("an event", stream.next()).await.unwrap();
            heard.extend(event.id);
        }
    }
    let last = heard.last().unwrap().to_string();
    let mut rest = theatre.admin.follow(&format!("{path}?after={last}"), &[]).await;
    let tail = |event: &Event| event.data["position"].as_u64().unwrap_or(0);
    theatre.turn(&session, "the last line").await;
    let row = theatre.admin.get(&format!("/v1/sessions/{session}")).await.json();
    let end = row["position"].as_u64().unwrap();
    heard.extend(frames(&rest.upto(|event| tail(event) >= end).await));
    assert_eq!(heard, (1..=end).collect::<Vec<_>>());
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_nobody_was_given_is_refused() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    for (path, id) in [
        ("events?after=999", None),
        ("events?after=x", None),
        ("events", Some("99")),
        ("events", Some("m3")),
    ] {
        let headers: Vec<_> = id.iter().map(|id| ("Last-Event-ID", *id)).collect();
        let reply = theatre.admin.ask("GET", &at(&session, path), &headers, b"").await;
        assert_eq!(reply.code(), "invalid", "{path} {id:?}");
    }
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stream_says_that_it_ends_and_why() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let mut one = theatre.admin.follow(&at(&session, "events"), &[]).await;
    let mut house = theatre.admin.follow("/v1/changes", &[]).await;
    one.next().await.unwrap();
    house.next().await.unwrap();
    let client = theatre.admin.clone();
    theatre.close().await;
    for stream in [&mut one, &mut house] {
        let last = stream.upto(|event| event.name == "end").await.pop().unwrap();
        assert_eq!(last.data["why"], "the server ends");
        assert_eq!(stream.next().await, None);
    }
    assert!(tokio::net::TcpStream::connect(client.at).await.is_err(), "nobody listens any more");
}

/// Two hundred who never read and one who does: a reader costs a cursor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_holds_nobody_up_and_can_come_back() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let path = at(&session, "events");
    let mut deaf = Vec::new();
    for _ in 0..200 {
        deaf.push(theatre.admin.follow(&path, &[]).await);
    }
    let mut reader = theatre.admin.follow(&path, &[]).await;
    for line in 0..6 {
        let said = format!("{line} {}", "and so on ".repeat(40));
        assert_eq!(theatre.turn(&session, &said).await["outcome"], "completed");
    }
    let end = theatre.admin.get(&format!("/v1/sessions/{session}")).await.json()["position"]
        .as_u64()
        .unwrap();
    let at_end = |event: &Event| event.id == Some(end);
    assert_eq!(frames(&reader.upto(at_end).await), (1..=end).collect::<Vec<_>>());
    // One of them reads after all: what it missed it is told, and the frames come from the log.
    let mut late = deaf.pop().unwrap();
    assert_eq!(frames(&late.upto(at_end).await), (1..=end).collect::<Vec<_>>());
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_what_is_deleted_says_so_and_ends() {
    let theatre = Theatre::open().await;
    let (gone, stays) = (theatre.session("echo").await, theatre.session("echo").await);
    let mut heard = theatre.admin.follow(&at(&gone, "events"), &[]).await;
    let mut other = theatre.admin.follow(&at(&stays, "events"), &[]).await;
    theatre.turn(&gone, "goodbye").await;
    let path = format!("/v1/sessions/{gone}");
    theatre.admin.with("DELETE", &path, &[], &json!({})).await.is(200);
    let last = heard.upto(|event| event.name == "end").await.pop().unwrap();
    assert_eq!(last.data["why"], "it was deleted");
    assert_eq!(bounded("the end", heard.next()).await, None);
    theatre.turn(&stays, "still here").await;
    let finished = |event: &Event| has(event, "turn_finished");
    assert!(!other.upto(finished).await.is_empty(), "who is not deleted is heard");
    theatre.close().await;
}

/// Who looks at the house drops a tree that was deleted, and is told of no other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_is_told_which_trees_were_deleted() {
    let theatre = Theatre::open().await;
    let gone = theatre.session("lead").await;
    theatre.turn(&gone, "go").await;
    let own = theatre.tenant.post("/v1/sessions", &json!({ "agent": "echo" })).await.is(201).json();
    let own = own["session"].as_str().unwrap().to_owned();
    let mut house = theatre.admin.follow("/v1/changes", &[]).await;
    let mut tenant = theatre.tenant.follow("/v1/changes", &[]).await;
    for stream in [&mut house, &mut tenant] {
        stream.next().await.unwrap();
    }
    let deleted = |events: &[Event]| {
        let told = events.iter().filter(|event| event.name == "changed");
        let told = told.flat_map(|event| event.data["deleted"].as_array().unwrap().clone());
        told.collect::<Vec<_>>()
    };
    let is_told =
        |event: &Event| event.data["deleted"].as_array().is_some_and(|all| !all.is_empty());
    let path = |session: &str| format!("/v1/sessions/{session}");
    theatre.admin.with("DELETE", &path(&gone), &[], &json!({})).await.is(200);
    assert_eq!(deleted(&house.upto(is_told).await), [json!(gone)], "the root for all below it");
    theatre.admin.with("DELETE", &path(&own), &[], &json!({})).await.is(200);
    assert_eq!(deleted(&tenant.upto(is_told).await), [json!(own)], "and nothing of the other's");
    theatre.close().await;
}
