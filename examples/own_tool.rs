//! An own tool: a struct of arguments, a closure, and what the model reads when its arguments do
//! not fit, before anybody is asked and before anything starts. The model is a script that makes
//! three mistakes and mends them, so it needs no key:
//!
//! `cargo run --example own_tool`

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::error::Error;

use greenroom::{AgentSpec, EffectClass, Event, Runtime, TurnEvent, TypedTool};

/// Its comments are what the model reads.
#[derive(schemars::JsonSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Seats {
    /// Which evening.
    evening: Evening,
    /// How many seats, next to one another.
    #[schemars(range(min = 1, max = 8))]
    count: u32,
}

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Evening {
    Friday,
    Saturday,
}

const SCRIPT: &str = r#"
agent *
    call find_seats {"evening": "sunday", "count": 12, "cheap": true}
  then
    call find_seats {"evening": "saturday", "count": 3}
  then
    say I found you {last}.
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let find_seats =
        TypedTool::new("find_seats", "Finds seats.", |_ctx, wanted: Seats| async move {
            let row = match wanted.evening {
                Evening::Friday => return Err("the house is sold out on Friday".into()),
                Evening::Saturday => "G",
            };
            Ok(format!("row {row}, seats 1 to {}", wanted.count))
        })
        .effect(EffectClass::Pure);

    let folder = tempfile::tempdir()?;
    let store = folder.path().join("greenroom.db");
    let runtime = Runtime::builder().store(store).script(SCRIPT).tool(find_seats).start().await?;
    for tool in runtime.tools() {
        println!("{}: {}\n{}\n", tool.name, tool.description, tool.schema);
    }

    let clerk = AgentSpec::new("clerk", "scripted").allowed_tool("find_seats");
    let session = runtime.spawn(&clerk).await?;
    let mut turn = session.send("Three seats for the weekend, please.").await?;
    while let Some(event) = turn.next().await {
        let TurnEvent::Happened(_, event) = event else { continue };
        match *event {
            Event::ToolRequested { args, .. } => println!("the model calls with {}", args.0),
            Event::ToolStarted { .. } => println!("the tool runs"),
            Event::ToolFinished { outcome, .. } => println!("{}\n", outcome.told().0.shown()),
            _ => {}
        }
    }
    println!("{}", turn.outcome().await?.text());

    // The same tool without a model: same check, same rules, same log.
    let friday = serde_json::json!({"evening": "friday", "count": 2});
    let outcome = session.run_tool("find_seats", friday).await?;
    println!("by hand: {}: {}", outcome.word(), outcome.told().0.shown());
    runtime.shutdown().await;
    Ok(())
}
