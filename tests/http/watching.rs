//! What whoever watches sees: the tree with its figures, groups, status, metrics, changes; and the
//! switch that stops everything.

use greenroom_actors::testing::harness::eventually;
use serde_json::{Value, json};

use super::{
    client::Event,
    theatre::{Theatre, at, items},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_shows_everybody_with_their_own_and_their_trees_figures() {
    let theatre = Theatre::open().await;
    let session = theatre.session("lead").await;
    theatre.turn(&session, "go").await;
    theatre.session("echo").await;
    let tree = theatre.admin.get("/v1/tree").await.is(200).json();
    assert_eq!(tree["total"], 3);
    let roots = tree["items"].as_array().unwrap();
    let agents: Vec<_> = roots.iter().map(|root| root["agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["echo", "lead"], "the newest first");
    let lead = &roots[1];
    assert_eq!((&lead["children"], &lead["outcome"]), (&json!(1), &json!("completed")));
    let hand = &lead["nodes"][0];
    assert_eq!((&hand["agent"], &hand["parent"]), (&json!("hand"), &lead["session"]));
    let tokens = |node: &Value, of: &str| node[of]["input_tokens"].as_u64().unwrap();
    assert!(tokens(hand, "own") > 0 && tokens(lead, "own") > 0);
    assert_eq!(tokens(lead, "subtree"), tokens(lead, "own") + tokens(hand, "own"));
    assert_eq!(
        theatre.admin.get(&at(&session, "tree")).await.is(200).json()["subtree"],
        lead["subtree"]
    );

    let found = |query: &str| {
        let (client, path) = (theatre.admin.clone(), format!("/v1/tree?{query}"));
        async move {
            let found = items(&client.get(&path).await.is(200));
            found.iter().map(|root| root["agent"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(found("q=HAND").await, ["lead"], "by somebody below");
    assert_eq!(found("agent=echo").await, ["echo"]);
    assert_eq!(found("state=running").await, Vec::<String>::new());
    assert_eq!(found("q=nobody").await, Vec::<String>::new());
    for (query, matched) in
        [("", 3), ("limit=1", 3), ("q=HAND", 2), ("agent=echo", 1), ("q=nobody", 0)]
    {
        let tree = theatre.admin.get(&format!("/v1/tree?{query}")).await.is(200).json();
        assert_eq!((&tree["matched"], &tree["total"]), (&json!(matched), &json!(3)), "{query}");
    }
    let groups = items(&theatre.admin.get("/v1/tree/groups").await.is(200));
    let counted: Vec<_> = groups
        .iter()
        .map(|group| (group["agent"].as_str().unwrap(), group["idle"].as_u64().unwrap()))
        .collect();
    assert_eq!(counted, [("echo", 1), ("hand", 1), ("lead", 1)]);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_says_for_what_and_the_metrics_count_it() {
    let theatre = Theatre::open().await;
    let session = theatre.session("clerk").await;
    theatre.admin.post(&at(&session, "messages"), &json!({ "text": "pay" })).await.is(202);
    theatre.question(&session).await;
    let row = theatre.admin.get(&format!("/v1/sessions/{session}")).await.json();
    assert_eq!((&row["state"], &row["waiting_on"]), (&json!("waiting"), &json!("approval of pay")));
    let status = theatre.admin.get("/v1/status").await.is(200).json();
    assert_eq!((&status["sessions"]["waiting"], &status["approvals_open"]), (&json!(1), &json!(1)));
    let wanted = [
        r#"greenroom_waiting_on{what="approval"} 1"#,
        r#"greenroom_agent_sessions{agent="clerk",state="waiting"} 1"#,
        "greenroom_sessions_spawned 1",
        "greenroom_sessions_unaccounted 0",
        "greenroom_approvals_open 1",
        r#"greenroom_events_total{event="approval_requested"} 1"#,
    ];
    // What was heard is counted a moment after it was told.
    let text = eventually(&greenroom::app::clock(), "all figures", || async {
        let text = theatre.admin.get("/metrics").await.is(200).text();
        wanted.iter().all(|line| text.lines().any(|known| known == *line)).then_some(text)
    })
    .await;
    assert!(!text.contains(&session), "a session's id is never a label");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_a_message_makes_up_are_counted_as_others_and_appends_are_measured() {
    let theatre = Theatre::open().await;
    for (no, model) in [Some("made-up"), None].into_iter().enumerate() {
        let session = theatre.session("echo").await;
        let mut said = json!({ "text": "hello" });
        if let Some(model) = model {
            said["model"] = model.into();
        }
        let key = format!("said-{no}");
        let key = [("Idempotency-Key", key.as_str())];
        theatre.admin.with("POST", &at(&session, "messages"), &key, &said).await.is(202);
        let turn = at(&session, &format!("turns/admin:said-{no}?wait_ms=20000"));
        theatre.admin.get(&turn).await.is(200);
    }
    let wanted = [
        r#"greenroom_model_calls_total{model="scripted",result="finished"} 1"#,
        r#"greenroom_model_calls_total{model="other",result="finished"} 1"#,
    ];
    let text = eventually(&greenroom::app::clock(), "both calls", || async {
        let text = theatre.admin.get("/metrics").await.is(200).text();
        wanted.iter().all(|line| text.lines().any(|known| known == *line)).then_some(text)
    })
    .await;
    assert!(!text.contains("made-up"), "{text}");
    let counted =
        text.lines().find_map(|line| line.strip_prefix("greenroom_append_seconds_count "));
    let frames = counted.and_then(|count| count.parse::<u64>().ok());
    // Each session was opened, spoken to, and has answered.
    assert!(frames.is_some_and(|frames| frames >= 6), "{counted:?}");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_is_told_what_has_changed() {
    let theatre = Theatre::open().await;
    let mut house = theatre.admin.follow("/v1/changes", &[]).await;
    let status = house.next().await.unwrap();
    assert_eq!((status.name.as_str(), &status.data["name"]), ("status", &json!("greenroom")));
    let session = theatre.session("lead").await;
    theatre.admin.post(&at(&session, "messages"), &json!({ "text": "go" })).await.is(202);
    let mut roots = Vec::new();
    house
        .upto(|event: &Event| {
            let changed = event.data["sessions"].as_array().filter(|_| event.name == "changed");
            changed.into_iter().flatten().any(|one| one["session"] != session.as_str())
        })
        .await
        .iter()
        .filter(|event| event.name == "changed")
        .for_each(|event| {
            let changed = event.data["sessions"].as_array().unwrap();
            roots.extend(changed.iter().map(|one| one["root"].clone()));
        });
    assert!(roots.iter().all(|root| *root == session.as_str()), "{roots:?}");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_told_what_it_may() {
    let theatre = Theatre::open().await;
    let status = theatre.admin.get("/v1/status").await.is(200).json();
    assert_eq!(status["scopes"], json!(["read", "act", "approve", "admin"]));
    for (scope, client) in theatre.only.iter().filter(|(scope, _)| scope.word() == "read") {
        let status = client.get("/v1/status").await.is(200).json();
        assert_eq!(status["scopes"], json!([scope.word()]));
    }
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_switch_stops_everything_and_lets_nothing_begin() {
    let theatre = Theatre::open().await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let session = theatre.session("clerk").await;
        theatre.admin.post(&at(&session, "messages"), &json!({ "text": "pay" })).await.is(202);
        theatre.question(&session).await;
        waiting.push(session);
    }
    let halted = theatre.admin.post("/v1/halt", &json!({ "reason": "drill" })).await.is(200).json();
    assert_eq!((&halted["cancelled"], &halted["failed"]), (&json!(20), &json!(0)));
    assert_eq!(theatre.admin.get("/v1/status").await.json()["halted"], "drill");
    for session in &waiting {
        let refused = theatre.admin.post(&at(session, "messages"), &json!({ "text": "pay" })).await;
        assert_eq!(refused.code(), "halted");
    }
    assert!(items(&theatre.admin.get("/v1/approvals").await).is_empty());
    theatre.admin.post("/v1/unhalt", &json!({})).await.is(200);
    assert_eq!(theatre.turn(&theatre.session("echo").await, "hello").await["outcome"], "completed");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_names_every_shape_that_it_uses() {
    let theatre = Theatre::open().await;
    let document = theatre.admin.get("/openapi.json").await.is(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document, theatre.face.openapi());
    let text = document.to_string();
    let used =
        text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let known = document["components"]["schemas"].as_object().unwrap();
    let mut uses = 0;
    for name in used {
        uses += 1;
        assert!(known.contains_key(name), "{name}");
    }
    assert!(uses > 30, "{uses}");
    let mut names = std::collections::BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for parameter in operation["parameters"].as_array().unwrap() {
                let schema = &parameter["schema"];
                assert!(!schema.to_string().contains("\"null\""), "{path} has no word for nothing");
                let is_bounded = schema["type"] != "integer" || schema["maximum"].is_u64();
                assert!(is_bounded, "{path}: {parameter}");
            }
            assert!(
                names.insert(operation["operationId"].to_string()),
                "{method} {path}: its name is taken"
            );
        }
    }
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_tells_browsers_to_load_nothing_from_elsewhere() {
    let theatre = Theatre::open().await;
    for path in ["/", "/healthz", "/v1/status", "/v1/nowhere", "/metrics"] {
        let reply = theatre.admin.get(path).await;
        let policy = &reply.headers["content-security-policy"];
        assert!(
            policy.contains("default-src 'self'") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(reply.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(reply.headers["x-frame-options"], "DENY", "{path}");
    }
    theatre.nobody().get("/").await.is(200);
    theatre.close().await;
}
