//! What a session can be told over HTTP: every verb has its place, and a missing one is an error.

use serde_json::{Value, json};

use super::theatre::{Theatre, at, items};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_opened_spoken_to_read_and_put_away() {
    let theatre = Theatre::open().await;
    let admin = &theatre.admin;
    let opened = json!({ "agent": "echo", "name": "first" });
    let opened = admin.post("/v1/sessions", &opened).await.is(201).json();
    let session = opened["session"].as_str().unwrap().to_owned();
    assert_eq!((&opened["name"], &opened["state"]), (&json!("first"), &json!("idle")));
    let turn = theatre.turn(&session, "hello").await;
    assert_eq!((&turn["outcome"], &turn["text"]), (&json!("completed"), &json!("You said hello.")));

    let read = admin.get(&format!("/v1/sessions/{session}")).await.is(200).json();
    assert_eq!(read["agent_spec"]["model"], "scripted");
    assert_eq!(read["outcome"], "completed");
    assert!(read["own"]["input_tokens"].as_u64().unwrap() > 0, "{read}");

    let renamed =
        admin.post(&at(&session, "rename"), &json!({ "name": "second" })).await.is(200).json();
    assert_eq!(renamed["name"], "second");
    let goal = json!({ "objective": "to be heard", "token_budget": 9_000 });
    admin.with("PUT", &at(&session, "goal"), &[], &goal).await.is(200);
    assert_eq!(admin.get(&at(&session, "goal")).await.json(), goal);
    admin.with("DELETE", &at(&session, "goal"), &[], &json!({})).await.is(200);
    assert_eq!(admin.get(&at(&session, "goal")).await.json(), Value::Null);

    let kept = json!({ "name": "here", "value": "mine" });
    admin.post(&at(&session, "checkpoints"), &kept).await.is(201);
    let checkpoints = items(&admin.get(&at(&session, "checkpoints")).await);
    assert_eq!(
        (&checkpoints[0]["name"], &checkpoints[0]["value"]),
        (&json!("here"), &json!("mine"))
    );

    let before = checkpoints[0]["at"].clone();
    let fork = admin.post(&at(&session, "fork"), &json!({ "at": before })).await.is(201).json();
    let fork = fork["session"].as_str().unwrap().to_owned();
    assert_ne!(fork, session);
    assert_eq!(theatre.turn(&fork, "again").await["turn"], 2, "it goes on where the first was");
    let beyond = admin.post(&at(&session, "fork"), &json!({ "at": 9_999 })).await;
    assert_eq!(beyond.code(), "unprocessable");

    admin.post(&at(&session, "archive"), &json!({})).await.is(200);
    let listed = |reply| items(&reply).iter().map(|row| row["session"].clone()).collect::<Vec<_>>();
    assert_eq!(listed(admin.get("/v1/sessions").await), [json!(fork)]);
    assert_eq!(
        listed(admin.get("/v1/sessions?archived=true").await),
        [json!(fork), json!(session)]
    );
    let spoken = admin.post(&at(&session, "messages"), &json!({ "text": "hello?" })).await;
    assert_eq!(spoken.code(), "conflict");
    admin.post(&at(&session, "unarchive"), &json!({})).await.is(200);
    admin.post(&at(&session, "resume"), &json!({})).await.is(200);
    assert_eq!(theatre.turn(&session, "back").await["outcome"], "completed");
    assert_eq!(admin.post(&at(&session, "release"), &json!({})).await.code(), "conflict");
    admin.post(&at(&session, "cancel"), &json!({ "reason": "enough" })).await.is(202);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_who_wanted_what() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    let other = &theatre.only.iter().find(|(scope, _)| scope.word() == "act").unwrap().1;
    other.post(&at(&session, "messages"), &json!({ "text": "hello" })).await.is(202);
    theatre.turn(&session, "and I").await;
    let frames = items(&theatre.admin.get(&at(&session, "frames")).await);
    let who = |kind: &str| {
        let has = |frame: &&Value| frame["events"].to_string().contains(&format!("\"{kind}\""));
        let by = frames.iter().filter(has).map(|frame| frame["principal"].clone());
        by.collect::<Vec<_>>()
    };
    assert_eq!(who("session_opened"), ["admin"]);
    assert_eq!(who("input_accepted"), ["act", "admin"]);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_by_pages_and_lose_nobody() {
    let theatre = Theatre::open().await;
    let mut opened = Vec::new();
    for _ in 0..23 {
        opened.push(theatre.session("echo").await);
    }
    opened.reverse();
    for list in ["sessions", "tree"] {
        let (mut seen, mut next) = (Vec::new(), String::new());
        loop {
            let page = theatre.admin.get(&format!("/v1/{list}?limit=5{next}")).await.is(200);
            seen.extend(items(&page).iter().map(|row| row["session"].as_str().unwrap().to_owned()));
            match page.json()["next"].as_str() {
                Some(cursor) => next = format!("&after={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, opened, "{list}");
    }
    for wrong in ["limit=0", "limit=501", "limit=x", "after=x", "odd=1", "state=asleep"] {
        let reply = theatre.admin.get(&format!("/v1/sessions?{wrong}")).await;
        assert_eq!(reply.code(), "invalid", "{wrong}");
    }
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_read_forwards_backwards_and_from_its_end() {
    let theatre = Theatre::open().await;
    let session = theatre.session("echo").await;
    theatre.turn(&session, "hello").await;
    theatre.turn(&session, "again").await;
    let read = |query: &str| {
        let path = at(&session, &format!("frames?{query}"));
        let client = theatre.admin.clone();
        async move {
            let page = client.get(&path).await.is(200);
            let positions = items(&page)
                .iter()
                .map(|frame| frame["position"].as_u64().unwrap())
                .collect::<Vec<_>>();
            (positions, page.json()["next"].as_str().map(str::to_owned))
        }
    };
    let (all, next) = read("").await;
    let end = *all.last().unwrap();
    assert_eq!((&all, next), (&(1..=end).collect::<Vec<_>>(), None));
    assert_eq!(read("limit=2").await, (vec![1, 2], Some("2".to_owned())));
    assert_eq!(read("after=2&limit=2").await, (vec![3, 4], Some("4".to_owned())));
    assert_eq!(read(&format!("after={end}")).await, (vec![], None));
    assert_eq!(read("last=2").await.0, [end - 1, end]);
    assert_eq!(read("before=3&limit=5").await.0, [1, 2]);
    assert_eq!(read("before=4&limit=2").await.0, [2, 3]);
    let both = theatre.admin.get(&at(&session, "frames?after=1&last=2")).await;
    assert_eq!(both.code(), "unprocessable");
    let long = theatre.admin.get(&at(&session, "turns/said?wait_ms=60001")).await;
    assert_eq!(long.code(), "invalid");
    let odd = theatre.admin.get("/v1/approvals?session=nobody").await;
    assert_eq!(odd.code(), "invalid");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_run_without_a_model_as_the_rules_allow() {
    let theatre = Theatre::open().await;
    let session = theatre.session("clerk").await;
    let (client, path) = (theatre.admin.clone(), at(&session, "tools/pay"));
    let call = json!({ "arguments": { "cents": 5 } });
    let running = tokio::task::spawn(async move { client.post(&path, &call).await });
    let question = theatre.question(&session).await;
    assert_eq!(question["arguments"], r#"{"cents":5}"#);
    let answer = json!({ "answer": "once", "digest": question["digest"] });
    theatre.admin.post(&at_question(&session), &answer).await.is(200);
    let outcome = running.await.unwrap().is(200).json();
    assert_eq!(outcome["outcome"], "done", "{outcome}");
    assert!(outcome.to_string().contains("paid 5"), "{outcome}");
    let none = theatre.admin.post(&at(&session, "tools/steal"), &json!({ "arguments": {} })).await;
    assert_eq!(none.code(), "not_found");
    theatre.close().await;
}

fn at_question(session: &str) -> String {
    format!("/v1/approvals/{session}/1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_is_deleted_by_who_administers_it_and_is_gone_for_all() {
    let theatre = Theatre::open().await;
    let admin = &theatre.admin;
    let lead = theatre.session("lead").await;
    theatre.turn(&lead, "go").await;
    let path = |session: &str| format!("/v1/sessions/{session}");
    let tree = items(&admin.get(&format!("/v1/sessions?root={lead}")).await.is(200));
    let hand = tree.iter().find(|line| line["session"] != lead.as_str()).unwrap();
    let hand = hand["session"].as_str().unwrap().to_owned();
    let part = admin.with("DELETE", &path(&hand), &[], &json!({})).await;
    assert_eq!(part.code(), "conflict");
    assert!(part.text().contains(&lead), "it says which tree: {}", part.text());
    assert_eq!(
        theatre.tenant.with("DELETE", &path(&lead), &[], &json!({})).await.code(),
        "not_found"
    );
    for (scope, client) in &theatre.only {
        if scope.word() != "admin" {
            let refused = client.with("DELETE", &path(&lead), &[], &json!({})).await;
            assert_eq!(refused.code(), "forbidden", "{}", scope.word());
        }
    }
    let clerk = theatre.session("clerk").await;
    admin.post(&at(&clerk, "messages"), &json!({ "text": "pay" })).await.is(202);
    theatre.question(&clerk).await;
    assert_eq!(admin.with("DELETE", &path(&clerk), &[], &json!({})).await.code(), "conflict");

    let spent = admin.get("/v1/totals").await.is(200).json();
    let gone = admin.with("DELETE", &path(&lead), &[], &json!({})).await.is(200).json();
    assert_eq!(gone, json!({ "session": lead, "sessions": 2 }));
    for session in [&lead, &hand] {
        assert_eq!(admin.get(&path(session)).await.code(), "not_found");
        assert_eq!(admin.get(&at(session, "frames")).await.code(), "not_found");
    }
    assert_eq!(admin.with("DELETE", &path(&lead), &[], &json!({})).await.code(), "not_found");
    let after = admin.get("/v1/totals").await.is(200).json();
    assert_eq!(after, spent, "spent is spent");
    theatre.close().await;
}

/// A key opens one session in its life, also where that one has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_a_deleted_session_opens_nothing_after_a_restart() {
    let theatre = Theatre::open().await;
    let key = [("Idempotency-Key", "mine")];
    let open = json!({ "agent": "echo" });
    let opened = theatre.admin.with("POST", "/v1/sessions", &key, &open).await.is(201).json();
    let path = format!("/v1/sessions/{}", opened["session"].as_str().unwrap());
    theatre.admin.with("DELETE", &path, &[], &json!({})).await.is(200);
    // A face that remembers no keys.
    let face = greenroom::Face::new(
        &theatre.runtime,
        greenroom::FaceOptions::default().token(
            greenroom::Token::given("a-token-of-this-test-alone-0123456789")
                .unwrap()
                .admin("admin"),
        ),
    );
    let served = face.serve("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
    let token = "a-token-of-this-test-alone-0123456789".to_owned();
    let client = super::client::Client { at: served.address(), token };
    assert_eq!(client.with("POST", "/v1/sessions", &key, &open).await.code(), "gone");
    served.end().await;
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_is_asked_for_with_another_model_once_for_its_key() {
    let theatre = Theatre::open().await;
    let admin = &theatre.admin;
    let session = theatre.session("echo").await;
    theatre.turn(&session, "hello").await;
    let key = [("Idempotency-Key", "other")];
    let wish = json!({ "at": 1, "model": "other" });
    let fork = admin.with("POST", &at(&session, "fork"), &key, &wish).await.is(201).json();
    let fork = fork["session"].as_str().unwrap().to_owned();
    let whole = admin.get(&format!("/v1/sessions/{fork}")).await.is(200).json();
    assert_eq!(whole["agent_spec"]["model"], "other");
    assert_eq!(theatre.turn(&fork, "again").await["outcome"], "completed");
    let again = admin.with("POST", &at(&session, "fork"), &key, &wish).await.is(201).json();
    assert_eq!(again["session"], fork);
    let nobody = json!({ "model": "m", "provider": "nobody" });
    assert_eq!(admin.post(&at(&session, "fork"), &nobody).await.code(), "unprocessable");
    let half = json!({ "provider": "nobody" });
    assert_eq!(admin.post(&at(&session, "fork"), &half).await.code(), "unprocessable");
    theatre.close().await;
}
