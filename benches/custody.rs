//! What custody adds to the start of a process: `true` started, ended, reaped and told of, under every
//! layer that this machine has, layer by layer, and bare; in a small process and in one that holds
//! half a GiB, as a runtime with many sessions does; and with four other tools that spin, which a
//! neighbour should hardly notice. Run it with `cargo bench --bench custody`;
//! `--quick` does fewer.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a bench measures real time, prints, and shares helpers with others"
)]

#[path = "support/table.rs"]
mod table;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use greenroom::{
    clock::SystemClock,
    tools::{
        custody::{Custody, End, Layer, Options, Order, Wishes},
        hearing::Hearing,
    },
};
use greenroom_actors::ports::Cancel;

/// What a runtime of many sessions holds.
const HELD: usize = 512 << 20;

fn order() -> Order {
    Order {
        program: PathBuf::from("/usr/bin/true"),
        argv: vec!["true".into()],
        cwd: PathBuf::from("/"),
        ..Order::default()
    }
}

async fn ours(custody: &Custody, order: &Order) -> Duration {
    let (_sender, cancel) = Cancel::channel();
    let wishes =
        Wishes { clock: &SystemClock, after_ms: 60_000, cancel, hearing: Hearing::default() };
    let begun = Instant::now();
    let report = custody.run(order, wishes).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(report.end, End::Exited(0));
    took
}

async fn bare() -> Duration {
    let begun = Instant::now();
    let output = tokio::process::Command::new("/usr/bin/true").output().await.unwrap();
    let took = begun.elapsed();
    assert!(output.status.success());
    took
}

/// Both in turns, so that whatever else the machine does falls on both.
async fn pairs(custody: &Custody, count: usize) -> (Vec<Duration>, Vec<Duration>) {
    let order = order();
    let (mut held, mut free) = (Vec::new(), Vec::new());
    for _ in 0..count {
        held.push(ours(custody, &order).await);
        free.push(bare().await);
    }
    held.sort();
    free.sort();
    (held, free)
}

/// The same while four tools use all the processor they get.
async fn beside_spinners(custody: &Custody, count: usize) -> (Vec<Duration>, Vec<Duration>) {
    let spinner = Order {
        program: PathBuf::from("/bin/sh"),
        argv: ["sh", "-c", "while :; do :; done"].map(Into::into).into(),
        ..order()
    };
    let (stop, cancel) = Cancel::channel();
    let mut spinners = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (custody, spinner, cancel) = (custody.clone(), spinner.clone(), cancel.clone());
        spinners.spawn(async move {
            let hearing = Hearing::default();
            let wishes = Wishes { clock: &SystemClock, after_ms: 600_000, cancel, hearing };
            custody.run(&spinner, wishes).await.unwrap();
        });
    }
    let times = pairs(custody, count).await;
    stop.send_replace(true);
    spinners.join_all().await;
    times
}

fn ms(times: &[Duration], percent: usize) -> f64 {
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1_000.0
}

fn row(name: &str, held: &[Duration], free: &[Duration]) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    for times in [held, free] {
        row.extend([10, 50, 99].map(|percent| format!("{:.2}", ms(times, percent))));
    }
    row.push(format!("{:.2}", ms(held, 50) - ms(free, 50)));
    row
}

fn main() {
    let is_quick = std::env::args().any(|arg| arg == "--quick");
    let count = if is_quick { 30 } else { 500 };
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut rows = Vec::new();
    executor.block_on(async {
        let full = Custody::start(Options::default()).unwrap();
        println!("in force: {}", full.level());
        pairs(&full, 10).await;
        let (held, free) = pairs(&full, count).await;
        rows.push(row("every layer", &held, &free));
        for layer in Layer::ALL.into_iter().filter(|layer| full.level().has(*layer)) {
            let options = Options { without: vec![layer], ..Options::default() };
            let custody = Custody::start(options).unwrap();
            let (held, free) = pairs(&custody, count / 5).await;
            rows.push(row(&format!("without {layer}"), &held, &free));
        }
        let options = Options { without: Layer::ALL.to_vec(), ..Options::default() };
        let none = Custody::start(options).unwrap();
        let (held, free) = pairs(&none, count).await;
        rows.push(row("no layer", &held, &free));
        let (held, free) = beside_spinners(&full, count).await;
        rows.push(row("every layer, 4 others spin", &held, &free));
        let ballast = vec![1_u8; HELD];
        let (held, free) = pairs(&full, count).await;
        rows.push(row("every layer, 512 MiB held", &held, &free));
        assert!(ballast.iter().all(|byte| *byte == 1));
    });
    let head = [
        "process start",
        "p10 ms",
        "p50 ms",
        "p99 ms",
        "bare p10",
        "bare p50",
        "bare p99",
        "added p50",
    ];
    table::print("A process under custody against a bare one", &head, &rows);
}
