//! The end of a job is told outside: at least once, under one id, over failures and deaths.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::job::{Delivery, JobEnd},
    ports::{JobHook, NotTold},
};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::*;
use crate::{channels::server::Server, stage::Folder, workshop::Count};

/// Somebody outside: hears, but not the first so many times.
#[derive(Clone, Default)]
struct Ear {
    deaf: usize,
    calls: Count,
    heard: Arc<Mutex<BTreeMap<String, Vec<Delivery>>>>,
}

impl JobHook for Ear {
    fn tell(&self, delivery: Delivery) -> BoxFuture<'static, Result<(), NotTold>> {
        let deaf = self.calls.up() <= self.deaf;
        let heard = Arc::clone(&self.heard);
        Box::pin(async move {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.entry(delivery.id.clone()).or_default().push(delivery);
            let why = "it says 503".to_owned();
            if deaf { Err(NotTold { why, again: true, after_ms: None }) } else { Ok(()) }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_told_until_it_is_heard_under_one_id_also_after_a_crash() {
    let ear = Ear { deaf: 3, ..Ear::default() };
    let given = ear.clone();
    let furnish = |mut harness: Harness| {
        harness.hooks.insert("ops".into(), Arc::new(given));
        with_calendar(harness)
    };
    let still = Still::set("agent clerk\n    say Done.\n", furnish).await;
    let spec = JobSpec::prompt("told", "clerk", "x").hook("ops");
    let job = enqueue(&still.runtime, spec).await;
    until("it was told in vain", || async { (ear.calls.get() > 0).then_some(()) }).await;
    let still = still.crash().await;
    let told = still.advancing("it is told", 500, || async {
        let row = row(&still.runtime, job).await;
        (!row.open).then_some(row)
    });
    told.await;
    let heard = ear.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(heard.keys().collect::<Vec<_>>(), [&job.delivery(1)]);
    let all = heard.into_values().next().expect("one id");
    assert!(all.len() > 3 && all.windows(2).all(|two| two[0] == two[1]), "the same each time");
    let end = &all.first().expect("told").end;
    assert!(matches!(end, JobEnd::Completed { result: Some(_) }), "{end:?}");
    let other = JobSpec::host("x", "").hook("nobody");
    let unknown = still.runtime.jobs().enqueue(&tenant(), other, None).await;
    let unknown = refused(unknown.expect_err("no such webhook"));
    assert!(matches!(unknown, JobRefused::UnknownHook { .. }), "{unknown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_comes_to_an_address_signed_and_again_while_that_is_away() {
    const KEY: &str = "a key of the hook";
    let folder = Folder::new();
    let server = Server::that(|_, before| match before {
        0 => ("503 Service Unavailable", String::new()),
        _ => ("204 No Content", String::new()),
    })
    .await;
    let runtime = greenroom::Runtime::builder()
        .store(folder.path().join("greenroom.db"))
        .script("agent *\n  say Done.")
        .agent(greenroom::AgentSpec::new("clerk", "scripted"))
        .job_webhook("ops", &server.url, KEY)
        .start()
        .await
        .expect("it starts");
    let spec = JobSpec::prompt("told", "clerk", "x").hook("ops");
    let job = runtime.jobs().enqueue(spec).await.expect("it is taken");
    until("it has heard", || async { (!job.row().await.ok()?.open).then_some(()) }).await;
    let heard = server.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].body, heard[1].body, "the same end under the same id");
    let told = heard[1].json();
    assert_eq!((&told["kind"], &told["id"]), (&"job_ended".into(), &job.id().delivery(1).into()));
    assert_eq!(told["end"]["result"]["text"], "Done.");
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("any key");
    let time = heard[1].header("x-greenroom-time");
    mac.update(format!("v1:{time}:{}", heard[1].body).as_bytes());
    let hex: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(heard[1].header("x-greenroom-signature"), format!("v1={hex}"));
    runtime.shutdown().await;
}
