//! The figures of the whole house are those of its sessions, whatever happened to them: spoken to, asked,
//! forked, put away, deleted, and the house closed and opened.

use greenroom_actors::testing::harness::eventually;
use serde_json::{Value, json};

use super::theatre::{Theatre, at, items, runtime, unhurried};

/// Panics where the status differs from what the sessions are; what was spent by now.
async fn agree(theatre: &Theatre) -> Value {
    let status = theatre.admin.get("/v1/status").await.is(200).json();
    let rows = items(&theatre.admin.get("/v1/sessions?archived=true&limit=500").await.is(200));
    let many = |state: &str| rows.iter().filter(|row| row["state"] == state).count();
    for state in ["idle", "running", "waiting", "quarantined", "archived"] {
        assert_eq!(status["sessions"][state], many(state), "{state}: {}", status["sessions"]);
    }
    assert_eq!(status["sessions"]["total"], rows.len());
    let text = theatre.admin.get("/metrics").await.is(200).text();
    let line = format!("greenroom_sessions_spawned {}", rows.len());
    assert!(text.lines().any(|known| known == line), "{line}: {text}");
    assert!(text.lines().any(|known| known == "greenroom_sessions_unaccounted 0"), "{text}");
    status["spent"].clone()
}

/// The figures of the last moment that was kept.
async fn last_point(theatre: &Theatre) -> Value {
    eventually(&greenroom::app::clock(), "a moment", || async {
        let history = theatre.admin.get("/v1/history").await.is(200).json();
        history["points"].as_array().and_then(|points| points.last()).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_of_a_house_are_those_of_its_sessions_whatever_happens_to_them() {
    let theatre = Theatre::unhurried().await;
    let admin = &theatre.admin;
    assert_eq!(agree(&theatre).await["calls"], 0);
    let (echo, lead) = (theatre.session("echo").await, theatre.session("lead").await);
    for session in [&echo, &echo, &lead] {
        theatre.turn(session, "go").await;
    }
    let fork = admin.post(&at(&echo, "fork"), &json!({})).await.is(201).json();
    let fork = fork["session"].as_str().unwrap().to_owned();
    theatre.turn(&fork, "and on").await;
    let clerk = theatre.session("clerk").await;
    admin.post(&at(&clerk, "messages"), &json!({ "text": "pay" })).await.is(202);
    theatre.question(&clerk).await;
    let spent = agree(&theatre).await;
    assert!(spent["calls"].as_u64().unwrap() >= 7, "{spent}");
    admin.post(&at(&echo, "archive"), &json!({})).await.is(200);
    assert_eq!(agree(&theatre).await, spent);
    for gone in [&fork, &lead] {
        let path = format!("/v1/sessions/{gone}");
        admin.with("DELETE", &path, &[], &json!({})).await.is(200);
        assert_eq!(agree(&theatre).await, spent, "what was spent stays spent");
    }
    let Theatre { folder, runtime: first, face, served, .. } = theatre;
    served.end().await;
    drop(face);
    first.shutdown().await;
    let again = runtime(folder.path()).await;
    let theatre = Theatre::with(folder, again, unhurried()).await;
    assert_eq!(agree(&theatre).await, spent);
    let point = last_point(&theatre).await;
    for figure in ["input_tokens", "output_tokens", "cost_nano_usd"] {
        assert_eq!(point[figure], spent[figure], "{figure}: also what a deleted one spent");
    }
    theatre.admin.post(&at(&echo, "unarchive"), &json!({})).await.is(200);
    theatre.turn(&echo, "again").await;
    assert_eq!(agree(&theatre).await["calls"], spent["calls"].as_u64().unwrap() + 1);
    theatre.close().await;
}
