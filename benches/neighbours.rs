//! What others notice of tools that use all they can get: a turn of another session, a process of another
//! tool and a bare process, from their begin to their end, beside one tool that computes, four, and one
//! that forks without end. Each is compared with itself beside nobody. Run it with
//! `cargo bench --bench neighbours`; `--quick` does fewer.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a bench measures real time, prints, and shares helpers with others"
)]

mod support;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use greenroom::{
    Runtime, Session,
    clock::SystemClock,
    tools::{
        custody::{Custody, Layer, Options, Order, Why, Wishes},
        hearing::Hearing,
    },
};
use greenroom_actors::{limits, ports::Cancel, scripted::NoopModel};
use support::starts::{bare, millis, order, ours};
use tokio::task::JoinSet;

const SPIN: &str = "while :; do :; done";
/// What everybody knows as a fork bomb. Many die out where no more may be started, and are lit again.
const BOMB: &str = "exec perl -e 'while (1) {
    system(q(sh), q(-c), q(bomb() { bomb | bomb & }; bomb 2>/dev/null)) }'";
/// Half of whom it starts goes on to do the same, so it is as large as it may be until it is ended.
const CROWD: &str = "exec perl -e '$SIG{CHLD} = q(IGNORE);
    while (1) { my $child = fork; exit if defined $child && !$child && rand() < .5 }'";

/// Who else there is.
const ROWS: [(&str, usize, &str); 5] = [
    ("nobody", 0, ""),
    ("one that computes", 1, SPIN),
    ("four that compute", 4, SPIN),
    ("a shell's fork bomb", 1, BOMB),
    ("256 that fork and end", 1, CROWD),
];

/// How long each took: turns, processes under custody, bare processes.
type Times = [Vec<Duration>; 3];

struct House {
    custody: Custody,
    session: Session,
}

impl House {
    async fn turn(&self) -> Duration {
        let begun = Instant::now();
        let outcome = self.session.send("go").await.unwrap().outcome().await.unwrap();
        let took = begun.elapsed();
        assert!(matches!(outcome, greenroom::TurnOutcome::Completed { .. }), "{outcome:?}");
        took
    }

    /// All three in turns, so that whatever else the machine does falls on each.
    async fn times(&self, count: usize) -> Times {
        let (order, mut times) = (order(), Times::default());
        for _ in 0..count {
            times[0].push(self.turn().await);
            times[1].push(ours(&self.custody, &order).await);
            times[2].push(bare().await);
        }
        times.iter_mut().for_each(|times| times.sort());
        times
    }

    async fn beside(&self, (tools, command): (usize, &str), count: usize) -> Times {
        let order = Order {
            program: PathBuf::from("/bin/sh"),
            argv: ["sh", "-c", command].map(Into::into).into(),
            ..order()
        };
        let (stop, cancel) = Cancel::channel();
        let mut others = JoinSet::new();
        for _ in 0..tools {
            let (custody, order, cancel) = (self.custody.clone(), order.clone(), cancel.clone());
            others.spawn(async move {
                let hearing = Hearing::default();
                let wishes = Wishes { clock: &SystemClock, after_ms: 600_000, cancel, hearing };
                let report = custody.run(&order, wishes).await.unwrap();
                assert_eq!(report.why, Why::Cancelled, "it should have gone on: {report:?}");
            });
        }
        // Until they are not new any more, nor held for commands like those that are measured.
        let begun = Instant::now();
        while begun.elapsed().as_millis() < 4 * u128::from(limits::TOOL_NEW_MS) {
            self.times(10).await;
        }
        let times = self.times(count).await;
        stop.send_replace(true);
        others.join_all().await;
        times
    }
}

fn row(name: &str, times: &Times, alone: &Times) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    for (times, alone) in times.iter().zip(alone) {
        row.extend([0.5, 0.99].map(|share| format!("{:.2}", millis(times, share))));
        row.push(format!("{:.1}", millis(times, 0.99) / millis(alone, 0.99)));
    }
    row
}

fn main() {
    let count = if support::Wanted::of_command_line().quick { 30 } else { 500 };
    let rows = support::executor().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let builder = Runtime::builder().store(folder.path().join("green.db"));
        let runtime = builder.provider(NoopModel).start().await.unwrap();
        let session = runtime.spawn(&support::agent("noop", &[])).await.unwrap();
        let custody = Custody::start(Options::default()).unwrap();
        println!("in force: {}", custody.level());
        // Nobody would bound them.
        let counts = custody.level().has(Layer::Count);
        let house = House { custody, session };
        house.times(10).await;
        let mut all = Vec::new();
        for (name, tools, command) in
            ROWS.into_iter().filter(|row| counts || ![BOMB, CROWD].contains(&row.2))
        {
            all.push((name, house.beside((tools, command), count).await));
        }
        runtime.shutdown().await;
        all
    });
    let rows: Vec<_> = rows.iter().map(|(name, times)| row(name, times, &rows[0].1)).collect();
    let head = [
        "beside",
        "turn p50",
        "p99 ms",
        "times",
        "custody p50",
        "p99 ms",
        "times",
        "bare p50",
        "p99 ms",
        "times",
    ];
    support::table::print("What others notice of tools that use all they get", &head, &rows);
}
