//! Starts of processes: `true` started, ended, reaped and told of, under custody and bare.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use greenroom::{
    clock::SystemClock,
    tools::{
        custody::{Custody, End, Order, Wishes},
        hearing::Hearing,
    },
};
use greenroom_actors::ports::Cancel;

pub fn order() -> Order {
    Order {
        program: PathBuf::from("/usr/bin/true"),
        argv: vec!["true".into()],
        cwd: PathBuf::from("/"),
        write: vec![PathBuf::from("/var/tmp")],
        ..Order::default()
    }
}

pub async fn ours(custody: &Custody, order: &Order) -> Duration {
    let (_sender, cancel) = Cancel::channel();
    let wishes =
        Wishes { clock: &SystemClock, after_ms: 60_000, cancel, hearing: Hearing::default() };
    let begun = Instant::now();
    let report = custody.run(order, wishes).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(report.end, End::Exited(0));
    took
}

pub async fn bare() -> Duration {
    let begun = Instant::now();
    let output = tokio::process::Command::new("/usr/bin/true").output().await.unwrap();
    let took = begun.elapsed();
    assert!(output.status.success());
    took
}

/// Milliseconds below which this share of the sorted lengths lies.
pub fn millis(sorted: &[Duration], share: f64) -> f64 {
    super::quantile(sorted, share).as_secs_f64() * 1e3
}
