//! Custody with a workspace, and a call as the runtime would make one.

use std::{path::PathBuf, sync::Arc, time::Instant};

use greenroom::{
    Args, Tool, ToolCtx,
    clock::SystemClock,
    tools::{
        Bench, Exec, Shell,
        custody::{Custody, Options},
    },
};
use greenroom_actors::{
    domain::ids::{CallId, ToolCallNo},
    ports::{Cancel, Clock as _, Sight},
    testing::harness::tool_ctx,
};
use tempfile::TempDir;
use tokio::sync::watch;

pub struct Hands {
    pub folder: TempDir,
    pub custody: Custody,
    /// What rules keep from calls.
    pub sight: Sight,
}

impl Hands {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let custody = Custody::start(options).unwrap_or_else(|error| panic!("{error:?}"));
        Self { folder, custody, sight: Sight::default() }
    }

    /// A file in the workspace, with the folders that it needs.
    pub fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn bench(&self) -> Bench {
        Bench::new(self.custody.clone(), Arc::new(SystemClock), self.folder.path()).unwrap()
    }

    /// A bash string, and what it printed.
    pub async fn shell(&self, command: &str) -> Told {
        let args = serde_json::json!({ "command": command, "timeout_ms": 60_000 });
        self.call(&Shell::new(self.bench()), args).await
    }

    pub async fn shell_for(&self, timeout_ms: u64, command: &str) -> Told {
        let args = serde_json::json!({ "command": command, "timeout_ms": timeout_ms });
        self.call(&Shell::new(self.bench()), args).await
    }

    pub async fn exec(&self, argv: &[&str]) -> Told {
        let args = serde_json::json!({ "argv": argv, "timeout_ms": 60_000 });
        self.call(&Exec::new(self.bench()), args).await
    }

    pub async fn call(&self, tool: &dyn Tool, args: serde_json::Value) -> Told {
        let (_cancel, mut ctx) = context();
        ctx.sight = self.sight.clone();
        let args = Args(args.to_string());
        if let Err(why) = tool.check(&args) {
            return Told { text: why, good: false, took_ms: 0 };
        }
        let begun = Instant::now();
        let outcome = tool.run(ctx, args).await;
        let (output, failed) = outcome.told();
        Told {
            text: output.shown().to_owned(),
            good: !failed,
            took_ms: begun.elapsed().as_millis() as u64,
        }
    }
}

/// What a call said.
#[derive(Debug)]
pub struct Told {
    pub text: String,
    pub good: bool,
    pub took_ms: u64,
}

impl Told {
    #[track_caller]
    pub fn fine(self) -> String {
        assert!(self.good, "{self:?}");
        self.text
    }

    /// Whether it failed for this reason; for any other it must not.
    #[track_caller]
    pub fn bad_because(self, why: &str) -> bool {
        assert!(self.good || self.text.contains(why), "{self:?}");
        !self.good
    }

    #[track_caller]
    pub fn bad(self) -> String {
        assert!(!self.good, "{self:?}");
        self.text
    }
}

/// A context, and the wish to stop.
pub fn context() -> (watch::Sender<bool>, ToolCtx) {
    let (sender, cancel) = Cancel::channel();
    // Each call is another's, and has ten minutes.
    let ctx = ToolCtx {
        call: CallId::tool(SystemClock.new_session(), ToolCallNo(1)),
        deadline: SystemClock.now().plus_ms(600_000),
        ..tool_ctx(cancel)
    };
    (sender, ctx)
}

/// A number that no other process has in its command line.
pub fn mark() -> String {
    format!("86400.{}", SystemClock.random() % 1_000_000_000)
}

/// Ids of the living processes that have it there.
pub fn marked(mark: &str) -> Vec<u32> {
    marks(mark).collect()
}

/// The same, one after the other.
pub fn marks(mark: &str) -> impl Iterator<Item = u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Who is being reaped has no command line any more.
    pids.filter(|pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.windows(mark.len()).any(|part| part == mark.as_bytes()))
    })
    .filter(|pid| *pid != std::process::id())
}

/// Waits until it is so, or says what is not.
#[track_caller]
pub fn eventually(most_ms: u64, what: &str, is_so: impl Fn() -> bool) -> u64 {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed().as_millis() < u128::from(most_ms),
            "not within {most_ms} ms: {what}"
        );
        std::thread::yield_now();
    }
    begun.elapsed().as_millis() as u64
}

/// Whether this is the process of one test alone; where it is not, one is started and must succeed.
/// What others hold in memory is then no part of what is measured.
pub fn alone(test: &str) -> bool {
    const ALONE: &str = "GREENROOM_TEST_ALONE";
    if std::env::var(ALONE).is_ok() {
        return true;
    }
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    let output = process.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    false
}

/// What this process holds.
pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
