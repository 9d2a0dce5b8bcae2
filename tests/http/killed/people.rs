//! Who uses the server of the kill driver: some open sessions and speak, some read, some answer, some ask
//! for jobs. Each asks for the same thing until it is answered and notes what it was promised; none looks
//! at the store.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::town::{Promise, Town};
use crate::{
    chance::Chance,
    theatre::{at, items},
};

/// Opens sessions and speaks to them, each with a reader, until nothing new is to be begun. The readers go
/// on.
pub async fn speaker(town: Arc<Town>, no: u64) -> JoinSet<()> {
    let mut chance = Chance::new(no);
    let mut readers = JoinSet::new();
    let mut round = 0;
    while !town.is_over() {
        round += 1;
        let name = format!("s{no}-{round}");
        let agent = ["poet", "clerk", "lead", "endless"][usize::try_from(chance.below(4)).unwrap()];
        let session = open(&town, &name, agent).await;
        readers.spawn(reader(Arc::clone(&town), session.clone(), chance.draw()));
        for line in 0..2 {
            let key = format!("{name}-{line}");
            let told = say(&town, &session, &key).await;
            if chance.percent(30) {
                // Who is not sure says it once more.
                say(&town, &session, &key).await;
            }
            if agent == "endless" {
                cancel(&town, &session, &format!("enough of {key}")).await;
            }
            let turn = at(&session, &format!("turns/{told}?wait_ms=1000"));
            let ended = town.insist(("GET", &turn), None, &Value::Null).await.is(200).json();
            let outcome = if agent == "endless" { "cancelled" } else { "completed" };
            assert_eq!(ended["outcome"], outcome, "{key}: {ended}");
        }
        if chance.percent(40) {
            rename(&town, &session, &format!("{name} by name")).await;
        }
        if chance.percent(40) {
            let fork = fork(&town, &session, &format!("{name}-fork")).await;
            readers.spawn(reader(Arc::clone(&town), fork.clone(), chance.draw()));
            if agent == "poet" {
                say(&town, &fork, &format!("{name}-on")).await;
            }
        }
    }
    readers
}

/// Answers every question that it finds, always the same.
pub async fn approver(town: Arc<Town>, answer: &'static str) {
    loop {
        let open = town.insist(("GET", "/v1/approvals"), None, &Value::Null).await.is(200);
        for asked in items(&open) {
            let (session, no) = (asked["session"].as_str().unwrap().to_owned(), &asked["no"]);
            let path = format!("/v1/approvals/{session}/{no}");
            let said = json!({ "answer": answer, "digest": asked["digest"] });
            let reply = town.insist(("POST", &path), None, &said).await;
            match reply.status {
                200 => {
                    let no = no.as_u64().unwrap();
                    town.promised(Promise::Decided { session, no, answer });
                }
                // Somebody was faster, or this one was before the server died.
                404 | 409 => {}
                _ => panic!("{path}: {}", reply.text()),
            }
        }
        town.sights(1).await;
    }
}

/// Asks for jobs, each until there is an answer and then once more.
pub async fn asker(town: Arc<Town>) -> JoinSet<()> {
    let mut no = 0;
    while !town.is_over() {
        no += 1;
        let name = format!("job-{no}");
        let body = json!({ "name": name, "agent": "poet", "prompt": "the news" });
        let mut ids = Vec::new();
        for _ in 0..2 {
            let asked = town.insist(("POST", "/v1/jobs"), Some(&name), &body).await.is(201).json();
            let job = asked["id"].as_str().unwrap().to_owned();
            town.promised(Promise::Asked { name: name.clone(), job: job.clone() });
            ids.push(job);
            town.sights(10).await;
        }
        assert_eq!(ids[0], ids[1], "one key, one job");
    }
    JoinSet::new()
}

/// Reads a session over all servers, and goes away and comes back by itself too.
async fn reader(town: Arc<Town>, session: String, seed: u64) {
    let (mut chance, mut last) = (Chance::new(seed), 0);
    loop {
        let server = town.server().await;
        let (path, id) = (at(&session, "events"), last.to_string());
        let known = [("Last-Event-ID", id.as_str())];
        let stream = town.client.attempt_to_follow(&path, &known[..usize::from(last > 0)]).await;
        let mut is_bored = false;
        if let Some(mut stream) = stream {
            while let Some(event) = stream.next().await {
                if event.name == "frame" {
                    last = town.reads(&session, &event);
                    is_bored = chance.percent(10);
                }
                if is_bored {
                    break;
                }
            }
        }
        if !is_bored {
            town.after(server).await;
        }
    }
}

async fn open(town: &Town, key: &str, agent: &str) -> String {
    let body = json!({ "agent": agent });
    let opened = town.insist(("POST", "/v1/sessions"), Some(key), &body).await.is(201).json();
    let session = opened["session"].as_str().unwrap().to_owned();
    town.promised(Promise::Opened { session: session.clone() });
    session
}

/// Its key as the log has it.
async fn say(town: &Town, session: &str, key: &str) -> String {
    let body = json!({ "text": format!("hello from {key}") });
    let path = at(session, "messages");
    let said = town.insist(("POST", &path), Some(key), &body).await.is(202).json();
    let told = said["key"].as_str().unwrap().to_owned();
    assert!(told.ends_with(key), "{told} of {key}");
    town.promised(Promise::Said { session: session.to_owned(), key: told.clone() });
    told
}

async fn cancel(town: &Town, session: &str, reason: &str) {
    let body = json!({ "reason": reason });
    town.insist(("POST", &at(session, "cancel")), None, &body).await.is(202);
    let (session, reason) = (session.to_owned(), reason.to_owned());
    town.promised(Promise::Cancelled { session, reason });
}

async fn rename(town: &Town, session: &str, name: &str) {
    let body = json!({ "name": name });
    let row = town.insist(("POST", &at(session, "rename")), None, &body).await.is(200).json();
    assert_eq!(row["name"], name);
    town.promised(Promise::Renamed { session: session.to_owned(), name: name.to_owned() });
}

async fn fork(town: &Town, from: &str, key: &str) -> String {
    let frames = town.insist(("GET", &at(from, "frames?limit=3")), None, &Value::Null).await;
    let place = items(&frames.is(200)).last().unwrap()["position"].as_u64().unwrap();
    let body = json!({ "at": place });
    let forked = town.insist(("POST", &at(from, "fork")), Some(key), &body).await.is(201).json();
    let fork = forked["session"].as_str().unwrap().to_owned();
    let from = from.to_owned();
    town.promised(Promise::Forked { from, at: place, fork: fork.clone() });
    fork
}
