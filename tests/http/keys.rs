//! One effect for one key, however often a request is sent and whatever happens meanwhile.

use futures_util::future::join_all;
use greenroom::FaceOptions;
use serde_json::{Value, json};

use super::{
    crowd::size,
    theatre::{Theatre, at, items, runtime},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_one_key_at_once_have_one_effect_and_one_answer() {
    let theatre = Theatre::unhurried().await;
    for round in 0..size(20) {
        let key = format!("round-{round}");
        let key = [("Idempotency-Key", key.as_str())];
        let body = json!({ "agent": "echo" });
        let asked = (0..10).map(|_| theatre.admin.with("POST", "/v1/sessions", &key, &body));
        let answers: Vec<Value> =
            join_all(asked).await.into_iter().map(|reply| reply.is(201).json()).collect();
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
        let status = theatre.admin.get("/v1/status").await.json();
        assert_eq!(status["sessions"]["total"], round + 1);
    }
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_for_one_request_of_one_caller() {
    let theatre = Theatre::open().await;
    let key = [("Idempotency-Key", "mine")];
    let body = json!({ "agent": "echo" });
    let first = theatre.admin.with("POST", "/v1/sessions", &key, &body).await.is(201).json();
    let other = json!({ "agent": "lead" });
    let refused = theatre.admin.with("POST", "/v1/sessions", &key, &other).await;
    assert_eq!((refused.status, refused.code()), (422, "key_reused".to_owned()));
    let elsewhere = theatre.admin.with("POST", "/v1/unhalt", &key, &json!({})).await;
    assert_eq!(elsewhere.code(), "key_reused");
    let again = theatre.admin.with("POST", "/v1/sessions", &key, &body).await.is(201);
    assert_eq!(again.headers["idempotent-replay"], "true");
    // A refusal does not stay: what was in its way may be gone.
    let path = at(first["session"].as_str().unwrap(), "messages");
    let say = json!({ "text": "hello" });
    let session = first["session"].as_str().unwrap();
    theatre.admin.post(&at(session, "archive"), &json!({})).await.is(200);
    let late = [("Idempotency-Key", "late")];
    theatre.admin.with("POST", &path, &late, &say).await.is(409);
    theatre.admin.post(&at(session, "unarchive"), &json!({})).await.is(200);
    theatre.admin.with("POST", &path, &late, &say).await.is(202);
    // Another caller's key of the same name is another key, and another tenant's session.
    let theirs = theatre.tenant.with("POST", "/v1/sessions", &key, &body).await.is(201).json();
    assert_ne!(theirs["session"], first["session"]);
    for wrong in ["", " ", "the same", &"k".repeat(256)] {
        let reply = theatre
            .admin
            .with("POST", "/v1/unhalt", &[("Idempotency-Key", wrong)], &json!({}))
            .await;
        assert_eq!(reply.code(), "invalid", "{wrong:?}");
    }
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_outlives_the_server_for_what_is_opened_forked_and_said() {
    let theatre = Theatre::open().await;
    let key = [("Idempotency-Key", "the-same")];
    let body = json!({ "agent": "echo" });
    let post = |path: String, body: Value| {
        let client = theatre.admin.clone();
        async move { client.with("POST", &path, &key, &body).await }
    };
    let session = post("/v1/sessions".to_owned(), body.clone()).await.is(201).json();
    let session = session["session"].as_str().unwrap().to_owned();
    let say = json!({ "text": "hello" });
    let saying = [("Idempotency-Key", "said")];
    theatre.admin.with("POST", &at(&session, "messages"), &saying, &say).await.is(202);
    let ended = at(&session, "turns/admin:said?wait_ms=20000");
    assert_eq!(theatre.admin.get(&ended).await.is(200).json()["text"], "You said hello.");
    // The server ends with all it remembers; the store stays.
    let folder = theatre.folder;
    theatre.served.end().await;
    drop(theatre.face);
    theatre.runtime.shutdown().await;
    let runtime = runtime(folder.path()).await;
    let again = Theatre::with(folder, runtime, FaceOptions::default()).await;
    let reopened = again.admin.with("POST", "/v1/sessions", &key, &body).await.is(201).json();
    assert_eq!(reopened["session"], session.as_str());
    again.admin.with("POST", &at(&session, "messages"), &saying, &say).await.is(202);
    assert_eq!(again.admin.get(&ended).await.is(200).json()["turn"], 1);
    let frames = items(&again.admin.get(&at(&session, "frames?limit=500")).await);
    let inputs = frames.iter().flat_map(|frame| frame["events"].as_array().unwrap().clone());
    let inputs = inputs.filter(|event| event["type"] == "input_accepted").count();
    assert_eq!(inputs, 1, "said twice, heard once");
    again.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_store_knows_from_another_request_is_refused_after_a_restart_too() {
    let theatre = Theatre::open().await;
    let key = [("Idempotency-Key", "one")];
    theatre.admin.with("POST", "/v1/sessions", &key, &json!({ "agent": "echo" })).await.is(201);
    let base = theatre.session("echo").await;
    theatre.turn(&base, "hello").await;
    let forked = [("Idempotency-Key", "two")];
    theatre.admin.with("POST", &at(&base, "fork"), &forked, &json!({ "at": 2 })).await.is(201);
    let folder = theatre.folder;
    theatre.served.end().await;
    drop(theatre.face);
    theatre.runtime.shutdown().await;
    let runtime = runtime(folder.path()).await;
    let again = Theatre::with(folder, runtime, FaceOptions::default()).await;
    let other = again.admin.with("POST", "/v1/sessions", &key, &json!({ "agent": "lead" })).await;
    assert_eq!(other.code(), "key_reused");
    let other = again.admin.with("POST", &at(&base, "fork"), &forked, &json!({ "at": 3 })).await;
    assert_eq!(other.code(), "key_reused");
    // Somebody else's word of the same letters is another key.
    let theirs = &again.only.iter().find(|(scope, _)| scope.word() == "act").unwrap().1;
    let own = theirs.with("POST", "/v1/sessions", &key, &json!({ "agent": "lead" })).await;
    own.is(201);
    again.close().await;
}
