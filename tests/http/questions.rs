//! Questions answered over HTTP: to what was shown, once, by whoever may.

use futures_util::future::join_all;
use greenroom::Scope;
use serde_json::{Value, json};

use super::{
    crowd::size,
    theatre::{Theatre, at},
};

async fn asked(theatre: &Theatre) -> (String, Value) {
    let session = theatre.session("clerk").await;
    // A key is for one request: another session's needs another.
    let key = format!("asked-{session}");
    let key = [("Idempotency-Key", key.as_str())];
    let said = json!({ "text": "pay" });
    theatre.admin.with("POST", &at(&session, "messages"), &key, &said).await.is(202);
    let question = theatre.question(&session).await;
    (session, question)
}

fn path(session: &str) -> String {
    format!("/v1/approvals/{session}/1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_is_to_what_was_shown() {
    let theatre = Theatre::open().await;
    let before = theatre.admin.get("/v1/status").await.is(200).json()["now"].clone();
    let (session, question) = asked(&theatre).await;
    let moment = |value: &Value| value.as_i64().unwrap();
    let (asked_at, expires_at) = (moment(&question["asked_at"]), moment(&question["expires_at"]));
    assert!(moment(&before) <= asked_at && asked_at < expires_at, "{before}: {question}");
    assert_eq!(theatre.admin.get(&path(&session)).await.is(200).json(), question);
    assert_eq!(
        (&question["tool"], &question["arguments"]),
        (&json!("pay"), &json!(r#"{"cents":900}"#))
    );
    let other = json!({ "answer": "once", "digest": "0".repeat(64) });
    assert_eq!(theatre.admin.post(&path(&session), &other).await.code(), "changed");
    let bare = json!({ "answer": "once" });
    assert_eq!(theatre.admin.post(&path(&session), &bare).await.code(), "invalid");
    let unsaid = json!({ "answer": "revise", "digest": question["digest"] });
    assert_eq!(theatre.admin.post(&path(&session), &unsaid).await.code(), "unprocessable");
    let edited =
        json!({ "answer": "edit", "digest": question["digest"], "arguments": { "cents": 1 } });
    theatre.admin.post(&path(&session), &edited).await.is(200);
    let again = theatre.admin.post(&path(&session), &edited).await;
    assert_eq!(again.status, 404, "it is answered");
    let ended = theatre
        .admin
        .get(&at(&session, &format!("turns/admin:asked-{session}?wait_ms=20000")))
        .await
        .is(200)
        .json();
    assert_eq!(ended["outcome"], "completed");
    let frames = theatre.admin.get(&at(&session, "frames?limit=500")).await.text();
    assert!(frames.contains("paid 1") && !frames.contains("paid 900"), "{frames}");
    assert!(frames.contains(r#""by":"admin""#), "the log says who");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_answers_at_once_one_counts() {
    let theatre = Theatre::unhurried().await;
    let approver = theatre.only.iter().find(|(scope, _)| *scope == Scope::Approve).unwrap();
    for _ in 0..size(10) {
        let (session, question) = asked(&theatre).await;
        let answers = ["once", "no", "never", "once", "no", "comment", "once", "no"];
        let given = answers.map(|answer| {
            let body = json!({ "answer": answer, "digest": question["digest"], "feedback": "no" });
            let (client, path) = (approver.1.clone(), path(&session));
            async move { client.post(&path, &body).await.status }
        });
        let given = join_all(given).await;
        let counted = answers.iter().zip(&given).filter(|(_, status)| **status == 200);
        let counted: Vec<_> = counted.map(|(answer, _)| answer).collect();
        // The same answer again is the same answer.
        assert!(!counted.is_empty() && counted.iter().all(|one| *one == counted[0]), "{counted:?}");
        assert!(given.iter().all(|status| [200, 404, 410].contains(status)), "{given:?}");
        let frames = theatre.admin.get(&at(&session, "frames?limit=500")).await.text();
        assert_eq!(frames.matches(r#""type":"approval_decided""#).count(), 1);
    }
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_after_a_cancel_is_no_yes() {
    let theatre = Theatre::open().await;
    let (session, question) = asked(&theatre).await;
    theatre.admin.post(&at(&session, "cancel"), &json!({})).await.is(202);
    let late = json!({ "answer": "once", "digest": question["digest"] });
    assert_eq!(theatre.admin.post(&path(&session), &late).await.status, 404);
    let frames = theatre.admin.get(&at(&session, "frames?limit=500")).await.text();
    assert!(!frames.contains("tool_started"), "{frames}");
    theatre.close().await;
}
