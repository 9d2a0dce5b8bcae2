//! How a turn ended, asked for over HTTP: a reading that wakes nobody, and waits by listening.

use greenroom::FaceOptions;
use greenroom_actors::testing::harness::bounded;
use serde_json::json;

use super::theatre::{self, Theatre, at};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_turn_is_read_and_wakes_nobody() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    for key in ["first/one", "second"] {
        let key = [("Idempotency-Key", key)];
        let said = json!({ "text": format!("{key:?}") });
        theatre.admin.with("POST", &at(&session, "messages"), &key, &said).await.is(202);
    }
    let ended = |key: &str| at(&session, &format!("turns/admin:{key}?wait_ms=20000"));
    theatre.admin.get(&ended("second")).await.is(200);
    let Theatre { folder, runtime, face, served, .. } = theatre;
    bounded("the end of the face", served.end()).await;
    drop(face);
    runtime.shutdown().await;
    let runtime = theatre::runtime(folder.path()).await;
    let theatre = Theatre::with(folder, runtime, FaceOptions::default()).await;
    for (key, turn) in [("first%2Fone", 1), ("second", 2)] {
        let told = theatre.admin.get(&ended(key)).await.is(200).json();
        assert_eq!((&told["turn"], &told["outcome"]), (&json!(turn), &json!("completed")));
        let said = key.replace("%2F", "/");
        assert!(told["text"].as_str().is_some_and(|text| text.contains(&said)), "{told}");
    }
    assert_eq!(theatre.admin.get(&ended("third")).await.code(), "not_found");
    assert_eq!(theatre.tenant.get(&ended("second")).await.code(), "not_found");
    assert_eq!(theatre.runtime.awake(), 0, "a look wakes nobody");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_turn_hears_of_its_end() {
    let theatre = Theatre::open().await;
    let session = theatre.session("clerk").await;
    let key = [("Idempotency-Key", "said")];
    let said = json!({ "text": "pay" });
    theatre.admin.with("POST", &at(&session, "messages"), &key, &said).await.is(202);
    let question = theatre.question(&session).await;
    let turn = |wait_ms: u64| at(&session, &format!("turns/admin:said?wait_ms={wait_ms}"));
    assert_eq!(theatre.admin.get(&turn(0)).await.code(), "conflict", "it has not ended");
    let answer = json!({ "answer": "once", "digest": question["digest"] });
    let path = format!("/v1/approvals/{session}/1");
    let (waits, asks) = (turn(20_000), theatre.admin.clone());
    let (told, answered) = tokio::join!(asks.get(&waits), theatre.admin.post(&path, &answer));
    answered.is(200);
    assert_eq!(told.is(200).json()["text"], "paid 900");
    theatre.close().await;
}
