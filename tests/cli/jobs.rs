//! `greenroom jobs`: read beside a runtime, ordered in the dark, carried out by the next runtime.

use greenroom::{AgentSpec, JobSpec, Runtime, Timestamp};

use super::{err, folder, greenroom, json, out, ran};

async fn runtime(store: &str) -> Runtime {
    let agent = AgentSpec::new("clerk", "scripted");
    let builder = Runtime::builder().store(store).script("agent *\n  say Done.").agent(agent);
    builder.start().await.expect("a runtime")
}

fn executor() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("an executor")
}

#[test]
fn jobs_are_listed_beside_a_runtime_and_ordered_where_none_is() {
    let (_folder, store) = folder();
    let far = Timestamp(32_503_680_000_000);
    let (job, later) = executor().block_on(async {
        let runtime = runtime(&store).await;
        let jobs = runtime.jobs();
        let job = jobs.enqueue(JobSpec::prompt("report", "clerk", "go")).await.expect("taken");
        job.ended().await.expect("it ends");
        let later = JobSpec::prompt("later", "clerk", "go").at(far);
        let later = jobs.enqueue(later).await.expect("taken");
        let listed = ran(&["jobs", "--store", &store]);
        let text = out(&listed);
        assert!(text.contains("report") && text.contains("completed"), "{text}{}", err(&listed));
        let id = later.id().to_string();
        let held =
            greenroom(&["jobs", "cancel", &id, "--store", &store]).output().expect("it runs");
        assert!(!held.status.success() && err(&held).contains("holds it"), "{}", err(&held));
        runtime.shutdown().await;
        (job.id().to_string(), id)
    });
    let shown = out(&ran(&["jobs", "show", "report", "--store", &store]));
    for part in [job.as_str(), "prompt of queue default", "attempt 1 of 3", "created", "Done."] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let queued =
        json(&out(&ran(&["jobs", "list", "--state", "queued", "--json", "--store", &store])));
    assert_eq!(queued[0]["job"], later.as_str());
    assert!(queued.as_array().is_some_and(|all| all.len() == 1), "{queued}");
    let paused = json(&out(&ran(&["jobs", "pause", "later", "--json", "--store", &store])));
    assert_eq!(paused["state"], "paused");
    let resumed = out(&ran(&["jobs", "resume", "later", "--store", &store]));
    assert!(resumed.contains("is queued; the next runtime on this store goes on"), "{resumed}");
    assert!(out(&ran(&["jobs", "cancel", "later", "--store", &store])).contains("is cancelled"));
    let again = ran(&["jobs", "retry", "later", "--store", &store]);
    assert!(out(&again).contains("is queued"), "{}", err(&again));
    executor().block_on(async {
        let runtime = runtime(&store).await;
        let later = runtime.jobs().job(later.parse().expect("an id"));
        assert_eq!(
            later.ended().await.expect("it ends").state.word(),
            "completed",
            "now, not then"
        );
        runtime.shutdown().await;
    });
    let wrong =
        greenroom(&["jobs", "retry", "report", "--store", &store]).output().expect("it runs");
    assert!(err(&wrong).contains("retry is for one that is failed"), "{}", err(&wrong));
    let none = greenroom(&["jobs", "show", "nobody", "--store", &store]).output().expect("it runs");
    assert!(err(&none).contains("no job fits"), "{}", err(&none));
}
