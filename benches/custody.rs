//! What custody adds to the start of a process: `true` started, ended, reaped and told of, under every
//! layer that this machine has, layer by layer, and bare; in a small process and in one that holds
//! half a GiB, as a runtime with many sessions does; and as the tool `exec` in workspaces of few and many
//! files, which are looked through for what rules deny. Run it with `cargo bench --bench custody`;
//! `--quick` does fewer.

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
    sync::Arc,
    time::{Duration, Instant},
};

use greenroom::{
    Args, Tool as _, ToolCtx,
    clock::SystemClock,
    tools::{
        Bench, Exec,
        custody::{Custody, Layer, Options},
    },
};
use greenroom_actors::{
    domain::{
        ids::{CallId, ToolCallNo},
        permission::{RulePattern, RuleSet},
    },
    policy::rules,
    ports::{Cancel, Clock as _, Progress, Services, Sight},
    runtime::{Desk, Layers, Policy},
};

use support::starts::{bare, millis, order, ours};

/// What a runtime of many sessions holds.
const HELD: usize = 512 << 20;

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

/// A workspace with so many files, one of them denied, in a repository.
fn workspace(files: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    for name in [".git/hooks", "src", "conf"] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    for name in [".git/config", ".git/HEAD", "conf/prod.pem"] {
        std::fs::write(folder.path().join(name), "text").unwrap();
    }
    for no in 0..files {
        let folder = folder.path().join(format!("src/{}", no / 100));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{no}.rs")), "text").unwrap();
    }
    folder
}

/// As an app would run it: with a rule that names files at any depth.
async fn as_exec(custody: &Custody, files: usize, count: usize) -> Vec<Duration> {
    let folder = workspace(files);
    let exec = Exec::new(Bench::new(custody.clone(), Arc::new(SystemClock), &folder).unwrap());
    let layers = Layers {
        user: RuleSet { deny: vec![RulePattern("Read(*.pem)".to_owned())], ..RuleSet::default() },
        ..Layers::default()
    };
    let policy = Policy::compile(&layers, Desk::Staffed).unwrap();
    let sight = rules::Sight::of(&policy, (&[], &RuleSet::default()), (&"exec".into(), None));
    let sight = Sight::new(Arc::new(move |path| sight.hides(path)));
    let mut times = Vec::new();
    for _ in 0..count {
        let (_sender, cancel) = Cancel::channel();
        let ctx = ToolCtx {
            call: CallId::tool(SystemClock.new_session(), ToolCallNo(1)),
            idempotency_key: "key".to_owned(),
            traceparent: String::new(),
            tenant: "tenant".into(),
            principal: "bench".into(),
            cwd: None,
            deadline: SystemClock.now().plus_ms(600_000),
            cancel,
            progress: Progress::new(Arc::new(drop)),
            overlay: Default::default(),
            services: Services::default(),
            sight: sight.clone(),
        };
        let begun = Instant::now();
        let outcome = exec.run(ctx, Args(r#"{"argv":["true"]}"#.to_owned())).await;
        times.push(begun.elapsed());
        assert!(!outcome.told().1, "{outcome:?}");
    }
    times.sort();
    times
}

fn row(name: &str, held: &[Duration], free: &[Duration]) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    for times in [held, free] {
        row.extend([0.1, 0.5, 0.99].map(|share| format!("{:.2}", millis(times, share))));
    }
    row.push(format!("{:.2}", millis(held, 0.5) - millis(free, 0.5)));
    row
}

fn main() {
    let count = if support::Wanted::of_command_line().quick { 30 } else { 500 };
    let executor = support::executor();
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
        for files in [10, 10_000, 100_000] {
            let (_, free) = pairs(&full, 10).await;
            let times = as_exec(&full, files, if files > 10 { count / 10 } else { count }).await;
            rows.push(row(&format!("exec, {files} files"), &times, &free));
        }
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
    support::table::print("A process under custody against a bare one", &head, &rows);
}
