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

use super::*;
use crate::workshop::Count;

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
