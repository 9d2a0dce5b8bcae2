//! A crash and the recovery: this program starts itself, kills that process with `kill -9` while
//! two tools run, and starts itself once more on the same store. The second process runs the very
//! same lines: the input has a key, so it is the same turn that goes on. A tool that may be repeated
//! is; the other is not, and the model is told that its outcome is unknown. The model is a script,
//! so it needs no key:
//!
//! `cargo run --example crash_and_recovery`

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::{
    error::Error,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use greenroom::{AgentSpec, EffectClass, Runtime, ToolCtx, ToolError, TypedTool, UserInput};

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct Nothing {}

const SCRIPT: &str = "
agent clerk
    call print_tickets
    call charge_card
  then
    say {results}
";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    if let (Some(store), Some(life)) = (args.next(), args.next()) {
        return work(Path::new(&store), life == "first");
    }
    let folder = tempfile::tempdir()?;
    let start = |life: &str| {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(folder.path().join("greenroom.db")).arg(life).stdout(Stdio::piped()).spawn()
    };
    for life in ["first", "second"] {
        let mut child = start(life)?;
        let mut running = 0;
        for line in BufReader::new(child.stdout.take().ok_or("piped above")?).lines() {
            let line = line?;
            println!("{life} process: {line}");
            running += usize::from(line.ends_with(" runs"));
            if life == "first" && running == 2 {
                // SIGKILL: nothing in there can prepare for it.
                child.kill()?;
            }
        }
        println!("{life} process: {}\n", child.wait()?);
    }
    Ok(())
}

/// What each process does.
#[tokio::main]
async fn work(store: &Path, hang: bool) -> Result<(), Box<dyn Error>> {
    let tool = |name: &'static str, effect| {
        TypedTool::new(name, "Does it.", move |ctx, _: Nothing| run(name, hang, ctx)).effect(effect)
    };
    let runtime = Runtime::builder()
        .store(store)
        .script(SCRIPT)
        .tool(tool("print_tickets", EffectClass::Idempotent))
        .tool(tool("charge_card", EffectClass::Once))
        .start()
        .await?;
    let clerk = AgentSpec::new("clerk", "scripted")
        .allowed_tool("print_tickets")
        .allowed_tool("charge_card");
    let session = match runtime.list().await?.first() {
        Some(row) => runtime.session(row.session),
        None => runtime.spawn(&clerk).await?,
    };
    let turn = session.send_as("order-1", UserInput::text("Two seats, please.")).await?;
    println!("the turn ended:\n{}", turn.outcome().await?.text());
    println!("restarts: {}", session.row().await?.restarts);
    runtime.shutdown().await;
    Ok(())
}

async fn run(name: &str, hang: bool, ctx: ToolCtx) -> Result<String, ToolError> {
    println!("{name} runs");
    if hang {
        std::future::pending::<()>().await;
    }
    // The same key in every run of this call: whoever gets it can tell the second from the first.
    let key = ctx.idempotency_key.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(format!("{name} is done, under key …/{key}"))
}
