//! What a refusal says, and what it never says: no path of this machine, no statement, no place in a
//! program, whatever is asked and whatever is broken behind the door.

use serde_json::Value;

use super::{
    client::{Client, Reply},
    door::{Known, routes},
    theatre::Theatre,
};

/// What would tell how it is made, or where it stands.
const TELLING: [&str; 12] = [
    ".rs:",
    "src/",
    "sqlite",
    "select ",
    "no such table",
    "constraint",
    "panicked",
    "backtrace",
    "/home",
    "/root",
    "rusqlite",
    "os error",
];

/// Bodies that nobody can use.
const BODIES: [&[u8]; 6] = [
    b"{\"agent\": 7, \"text\": [], \"answer\": {}, \"name\": 1}",
    b"{\"agent\": \"../../etc/passwd\", \"text\": \"\\u0000\", \"name\": \"'; drop table session; --\"}",
    b"[1, 2",
    b"\xff\xfe",
    b"null",
    b"{}",
];

fn silent(reply: &Reply, folder: &str, route: &str) {
    let said = reply.text().to_lowercase();
    assert!(!said.contains(&folder.to_lowercase()), "{route} names a path: {said}");
    for telling in TELLING {
        assert!(!said.contains(telling), "{route} says {telling:?}: {said}");
    }
}

/// Asks, unless the answer would be a stream.
async fn asked(client: &Client, route: &Known, body: &[u8]) -> Option<Reply> {
    if route.template.ends_with("changes") || route.template.ends_with("events") {
        return None;
    }
    let json = [("Content-Type", "application/json")];
    let body = if route.method == "GET" { b"" } else { body };
    Some(client.ask(&route.method, &route.path, &json, body).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refusal_says_where_it_stands_or_how_it_is_made() {
    let theatre = Theatre::unhurried().await;
    let folder = theatre.folder.path().display().to_string();
    let session = theatre.session("echo").await;
    let known = routes(&theatre.admin, &session).await;
    let mut refused = 0;
    for route in &known {
        // What stops the house stops it for the others.
        if route.template == "/v1/halt" {
            continue;
        }
        for body in BODIES {
            let Some(reply) = asked(&theatre.admin, route, body).await else { continue };
            assert!(reply.status < 500, "{}: {}", route.template, reply.text());
            if reply.status >= 400 {
                refused += 1;
                reply.code();
                silent(&reply, &folder, &route.template);
            }
        }
    }
    assert!(refused > known.len(), "{refused} refusals of {} routes", known.len());

    // Somebody breaks the store behind its back.
    let store = rusqlite::Connection::open(theatre.folder.path().join("green.db")).unwrap();
    let broken = "DROP TABLE approval; DROP TABLE job; DROP TABLE checkpoint; DROP TABLE usage; \
        DROP TABLE session; UPDATE frame SET body = '{';";
    store.execute_batch(&format!("PRAGMA foreign_keys = OFF; {broken}")).unwrap();
    let mut hurt = Vec::new();
    for route in known.iter().filter(|route| route.method == "GET" && route.scope.is_some()) {
        let Some(reply) = asked(&theatre.admin, route, b"").await else { continue };
        if reply.status >= 400 {
            let told: Value = reply.json();
            assert!(
                ["internal", "unavailable", "not_found", "invalid"]
                    .contains(&told["code"].as_str().unwrap())
            );
            silent(&reply, &folder, &route.template);
        }
        if reply.status >= 500 {
            hurt.push(route.template.clone());
        }
    }
    assert!(hurt.len() > 5 && hurt.contains(&"/v1/sessions".to_owned()), "{hurt:?}");
    drop(store);
    theatre.close().await;
}
