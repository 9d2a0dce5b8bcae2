//! Jobs over HTTP: asked for once under a key, driven by a host that is another program, run by the
//! runtime, and of no concern to other tenants.

use greenroom::FaceOptions;
use greenroom_actors::testing::harness::eventually;
use serde_json::{Value, json};

use super::theatre::{Theatre, items};

async fn asked(theatre: &Theatre, body: &Value) -> String {
    let job = theatre.admin.post("/v1/jobs", body).await.is(201).json();
    job["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_takes_a_job_says_how_far_it_is_and_what_it_left() {
    let theatre = Theatre::open().await;
    let admin = &theatre.admin;
    let job =
        asked(&theatre, &json!({ "name": "backup", "queue": "night", "payload": "all" })).await;
    let path = |verb: &str| format!("/v1/jobs/{job}/{verb}");
    let queue = json!({ "queue": "night" });
    let taken = admin.post("/v1/jobs/take", &queue).await.is(200).json();
    assert_eq!(
        (&taken["job"], &taken["payload"], &taken["attempt"]),
        (&json!(job), &json!("all"), &json!(1))
    );
    assert_eq!(admin.post("/v1/jobs/take", &queue).await.is(200).json(), Value::Null);
    let half = json!({ "attempt": 1, "percent": 50, "detail": "half" });
    let row = admin.post(&path("progress"), &half).await.is(200).json();
    assert_eq!((&row["state"], &row["progress"]), (&json!("running"), &json!(50)));
    let jobs = admin.get("/v1/status").await.is(200).json()["jobs"].clone();
    assert_eq!((&jobs["running"], &jobs["queued"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&jobs["latest"][0]["id"], &jobs["latest"][0]["detail"]),
        (&json!(job), &json!("half"))
    );
    let theirs = theatre.tenant.get("/v1/status").await.is(200).json();
    assert_eq!((&theirs["jobs"]["running"], &theirs["jobs"]["latest"]), (&json!(0), &json!([])));
    let stale = json!({ "attempt": 2, "percent": 60 });
    assert_eq!(admin.post(&path("progress"), &stale).await.code(), "conflict");
    admin.post(&path("complete"), &json!({ "attempt": 1, "result": "42 files" })).await.is(200);
    assert_eq!(admin.get(&path("result")).await.is(200).json()["result"], "42 files");
    assert_eq!(admin.post(&path("cancel"), &json!({})).await.code(), "conflict");
    let whole = admin.get(&format!("/v1/jobs/{job}")).await.is(200).json();
    let steps: Vec<_> =
        whole["history"].as_array().unwrap().iter().map(|step| step["step"].clone()).collect();
    assert_eq!(steps, ["created", "started", "progressed", "ended"]);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_that_is_sent_again_is_the_same_attempt_however_large_it_is_and_whoever_forgot() {
    let theatre = Theatre::open().await;
    // Larger than an answer that is kept.
    let large = "x".repeat(100_000);
    for name in ["one", "another"] {
        asked(&theatre, &json!({ "name": name, "payload": large })).await;
    }
    let (key, queue) = ([("Idempotency-Key", "mine")], json!({ "queue": "default" }));
    let take = async |theatre: &Theatre| {
        let taken = theatre.admin.with("POST", "/v1/jobs/take", &key, &queue).await.is(200).json();
        (taken["job"].clone(), taken["attempt"].clone())
    };
    let first = take(&theatre).await;
    assert_eq!(take(&theatre).await, first, "its answer was too large to be kept");
    // Another face on the same runtime has answered nothing yet.
    let Theatre { folder, runtime, face, served, .. } = theatre;
    served.end().await;
    drop(face);
    let theatre = Theatre::with(folder, runtime, FaceOptions::default()).await;
    assert_eq!(take(&theatre).await, first);
    let path = format!("/v1/jobs/{}/start", first.0.as_str().unwrap());
    let other = theatre.admin.post(&path, &json!({})).await;
    assert_eq!(other.code(), "conflict", "without the key it is somebody else who asks");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_is_run_by_the_runtime_once_for_its_key() {
    let theatre = Theatre::open().await;
    let body = json!({ "name": "report", "agent": "echo", "prompt": "the news" });
    let key = [("Idempotency-Key", "tonight")];
    let first = theatre.admin.with("POST", "/v1/jobs", &key, &body).await.is(201).json();
    let again = theatre.admin.with("POST", "/v1/jobs", &key, &body).await.is(201).json();
    assert_eq!(first["id"], again["id"]);
    let path = format!("/v1/jobs/{}", first["id"].as_str().unwrap());
    let row = eventually(&greenroom::app::clock(), "the end of the job", || async {
        let row = theatre.admin.get(&path).await.is(200).json();
        row["ended_at"].is_number().then_some(row)
    })
    .await;
    assert_eq!((&row["state"], &row["attempt"]), (&json!("completed"), &json!(1)));
    let left = theatre.admin.get(&format!("{path}/result")).await.is(200).json();
    assert_eq!(left["result"], "You said the news.");
    assert_eq!(items(&theatre.admin.get("/v1/jobs?state=completed").await).len(), 1);
    assert_eq!(items(&theatre.admin.get("/v1/jobs?state=queued").await).len(), 0);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_job_is_refused_with_what_was_expected() {
    let theatre = Theatre::open().await;
    for (body, words) in [
        (json!({ "name": "a", "agent": "echo" }), "expected `agent` with `prompt`"),
        (json!({ "name": "a", "prompt": "x", "payload": "y" }), "expected `agent` with `prompt`"),
        (json!({ "name": "a", "at": 1, "cron": "* * * * *" }), "expected `at`, or `cron`"),
        (json!({ "name": "a", "cron": "every day" }), "five fields and a zone"),
        (json!({ "name": "a", "after": ["x"] }), "no job's id"),
        (json!({ "name": "a", "hook": "nobody" }), "nobody"),
    ] {
        let refused = theatre.admin.post("/v1/jobs", &body).await;
        assert!([409, 422].contains(&refused.status), "{body}: {}", refused.text());
        assert!(refused.text().contains(words), "{body}: {}", refused.text());
    }
    let nobody = json!({ "name": "a", "agent": "nobody", "prompt": "x" });
    assert_eq!(theatre.admin.post("/v1/jobs", &nobody).await.status, 404);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_job_is_not_there() {
    let theatre = Theatre::open().await;
    let job = asked(&theatre, &json!({ "name": "ours" })).await;
    let tenant = &theatre.tenant;
    let none = "00000000-0000-0000-0000-000000000000";
    for (method, verb, body) in [
        ("GET", "", json!(null)),
        ("GET", "/result", json!(null)),
        ("POST", "/cancel", json!({})),
        ("POST", "/pause", json!({})),
        ("POST", "/start", json!({})),
        ("POST", "/complete", json!({ "attempt": 1 })),
    ] {
        let ask = |id: String| {
            let (path, body) = (format!("/v1/jobs/{id}{verb}"), body.clone());
            async move {
                let reply = match method {
                    "GET" => tenant.get(&path).await,
                    _ => tenant.post(&path, &body).await,
                };
                (reply.status, reply.text())
            }
        };
        let (theirs, nothing) = (ask(job.clone()).await, ask(none.to_owned()).await);
        assert_eq!(theirs.0, 404, "{method} {verb}: {}", theirs.1);
        assert_eq!(theirs.1.replace(&job, none), nothing.1, "{method} {verb}");
    }
    assert!(items(&tenant.get("/v1/jobs").await.is(200)).is_empty());
    assert_eq!(
        tenant.post("/v1/jobs/take", &json!({ "queue": "default" })).await.is(200).json(),
        Value::Null
    );
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_begins_while_everything_is_stopped() {
    let theatre = Theatre::open().await;
    let admin = &theatre.admin;
    let host = asked(&theatre, &json!({ "name": "backup" })).await;
    let first = theatre.runtime.jobs().take("default").await.unwrap().unwrap();
    let prompt = greenroom::JobSpec::prompt("report", "echo", "the news").after(first.job);
    let prompt = theatre.runtime.jobs().enqueue(prompt).await.unwrap();
    admin.post("/v1/halt", &json!({})).await.is(200);
    // What was begun may end. That lets the prompt begin, which the program that the runtime is in asked
    // for; it waits all the same.
    let path = format!("/v1/jobs/{host}/complete");
    admin.post(&path, &json!({ "attempt": 1 })).await.is(200);
    let queue = json!({ "queue": "default" });
    assert_eq!(admin.post("/v1/jobs/take", &queue).await.code(), "halted");
    let asked_now = json!({ "name": "backup" });
    assert_eq!(admin.post("/v1/jobs", &asked_now).await.code(), "halted");
    assert!(theatre.runtime.jobs().take("default").await.is_err(), "nor by that program");
    assert_eq!(prompt.row().await.unwrap().attempt, 0);
    admin.post("/v1/unhalt", &json!({})).await.is(200);
    assert_eq!(prompt.ended().await.unwrap().state.word(), "completed");
    let next = asked(&theatre, &asked_now).await;
    assert_eq!(admin.post("/v1/jobs/take", &queue).await.is(200).json()["job"], next);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_jobs_join_from_either_end_while_others_are_asked_for() {
    let theatre = Theatre::unhurried().await;
    let ask = async |no: usize| {
        let body = json!({ "name": format!("job {no}"), "queue": "q", "payload": "x" });
        let key = format!("key-{no}");
        let key = [("Idempotency-Key", key.as_str())];
        theatre.admin.with("POST", "/v1/jobs", &key, &body).await.is(201);
    };
    for no in 0..7 {
        ask(no).await;
    }
    for order in ["oldest", "newest"] {
        let (mut found, mut after) = (Vec::new(), String::new());
        for no in 0.. {
            let path = format!("/v1/jobs?order={order}&limit=3{after}");
            let page = theatre.admin.get(&path).await.is(200);
            found.extend(items(&page));
            let next = page.json()["next"].as_str().map(|next| format!("&after={next}"));
            let Some(next) = next.filter(|_| no < 3) else { break };
            after = next;
            if order == "newest" {
                // It stands before all that was told, and is told to nobody who is past it.
                ask(100 + no).await;
            }
        }
        let moments: Vec<_> = found
            .iter()
            .map(|job| (job["created_at"].as_i64().unwrap(), job["id"].as_str().unwrap()))
            .collect();
        let mut sorted = moments.clone();
        sorted.sort_unstable();
        if order == "newest" {
            sorted.reverse();
        }
        assert_eq!((moments.len(), &moments), (7, &sorted), "{order}");
    }
    for wrong in ["order=backwards", "after=7", "after=7:x"] {
        let refused = theatre.admin.get(&format!("/v1/jobs?{wrong}")).await;
        assert_eq!(refused.code(), "invalid", "{wrong}");
    }
    theatre.close().await;
}
