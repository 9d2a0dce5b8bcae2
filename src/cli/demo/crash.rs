//! `greenroom demo --crash`: the demo in a process of its own, killed with SIGKILL at a moment drawn
//! from the seed, started again, and looked at from outside. This process is the observer: it
//! shares nothing with the runtime but its files, and it reads them only when all has ended.

use std::{
    io,
    path::Path,
    process::{ExitStatus, Stdio},
};

use greenroom_actors::domain::ids::SessionId;
use serde::Serialize;
use tokio::process::{Child, Command};

use crate::app;

use super::{
    super::{
        CliError, Done,
        ending::{Signals, me, shell},
        screen::{Screen, Tone, wrapped},
    },
    observer::{self, Check},
};

/// The demo runs some two seconds; it is killed in its first one and a half.
const KILL_MIN_MS: u64 = 250;
const KILL_SPAN_MS: u64 = 1_250;

/// Where what was seen begins.
const INDENT: &str = "          ";

/// What the observer found, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    store: &'a Path,
    seed: u64,
    killed_after_ms: u64,
    root: SessionId,
    checks: &'a [Check],
}

pub(super) async fn run(
    (store, seed, json): (&Path, u64, bool),
    screen: &Screen,
) -> Result<Done, CliError> {
    if store.exists() {
        return Err(CliError::NotNew { store: store.to_owned() });
    }
    let mut signals = Signals::listen();
    let clock = app::clock();
    // Another stretch of the same seed than the panics', so that the two do not move together.
    let after_ms =
        KILL_MIN_MS + seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) % KILL_SPAN_MS;
    let mut child = demo(store, seed)?;
    let pid = child.id().unwrap_or_default();
    Screen::remark(&format!("observer: the demo is process {pid}; it is killed in {after_ms} ms"));
    tokio::select! {
        // It was faster than its killer; then there is nothing to show.
        status = child.wait() => return early(status.map_err(CliError::Child)?),
        _wish = signals.next() => return interrupted(child).await,
        () = clock.after(after_ms) => {}
    }
    child.kill().await.map_err(CliError::Child)?;
    let told = observer::at_work(store).await?;
    Screen::remark(&screen.paint_remark(
        Tone::Bad,
        &format!("observer: kill -9 {pid}; {told}. Starting it again on the same store"),
    ));
    let mut child = demo(store, seed)?;
    let status = tokio::select! {
        status = child.wait() => status.map_err(CliError::Child)?,
        _wish = signals.next() => return interrupted(child).await,
    };
    if !status.success() {
        return early(status);
    }
    let (root, checks) = observer::examine(store).await?;
    let well = checks.iter().all(|check| check.holds);
    if json {
        let report = Report { store, seed, killed_after_ms: after_ms, root, checks: &checks };
        Screen::print(&serde_json::to_string_pretty(&report)?)?;
    } else {
        let line = |check: &Check| {
            let (word, tone) =
                if check.holds { ("holds ", Tone::Good) } else { ("BROKEN", Tone::Bad) };
            let seen = wrapped(&check.seen, screen.width, INDENT.len());
            format!("  {}  {}\n{INDENT}{seen}", screen.paint(tone, word), check.promise)
        };
        let lines: Vec<String> = checks.iter().map(line).collect();
        let (me, store) = (me(), shell(store));
        Screen::print(&format!(
            "The observer, who knows the files alone:\n{}\n\nLook yourself:\n  \
             {me} tree --store {store}\n  {me} log lights --store {store}",
            lines.join("\n")
        ))?;
    }
    Ok(if well { Done::Well } else { Done::Badly })
}

/// This program again, as a plain demo. Its tree goes nowhere: the observer's verdict is the result.
fn demo(store: &Path, seed: u64) -> Result<Child, CliError> {
    let me = std::env::current_exe().map_err(CliError::Child)?;
    let mut command = Command::new(me);
    command.arg("demo").arg("--store").arg(store).args(["--seed", &seed.to_string()]);
    // It must not outlive its observer.
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command.spawn().map_err(CliError::Child)
}

fn early(status: ExitStatus) -> Result<Done, CliError> {
    Err(CliError::Child(io::Error::other(format!("it ended by itself: {status}"))))
}

/// The signal went to the child as well; it ends in its own order.
async fn interrupted(mut child: Child) -> Result<Done, CliError> {
    let _status = child.wait().await.map_err(CliError::Child)?;
    Ok(Done::Interrupted)
}
