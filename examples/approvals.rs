//! Approvals: two subagents want to pay; each question comes up here with its exact request and is
//! answered: one yes, one yes with other arguments, one no with a reason the model reads. The model
//! is a script, so it needs no key:
//!
//! `cargo run --example approvals`

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::error::Error;

use greenroom::{AgentSpec, Answer, Mode, Runtime, TurnOverrides, TypedTool};

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    to: String,
    dollars: u64,
}

const SCRIPT: &str = r#"
agent treasurer when evening
    call spawn_agent {"agent": "wardrobe", "task": "the coat"}
    call spawn_agent {"agent": "bar", "task": "the ice"}
  then
    call await_agents
  then
    say Everybody has answered.
agent wardrobe
    call pay {"to": "tailor", "dollars": 40}
  then
    call pay {"to": "milliner", "dollars": 900}
  then
    say {results}
agent bar
    call pay {"to": "ice works", "dollars": 5000}
  then
    say {results}
agent treasurer
    call pay {"to": "usher", "dollars": 1}
  then
    say {results}
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pay = TypedTool::new("pay", "Pays somebody.", |ctx, pay: Pay| async move {
        // Whatever it talks to should be given ctx.idempotency_key.
        let _key = ctx.idempotency_key;
        Ok(format!("paid ${} to the {}", pay.dollars, pay.to))
    });
    let folder = tempfile::tempdir()?;
    let treasurer =
        AgentSpec::new("treasurer", "scripted").tool("pay").route("wardrobe").route("bar");
    let runtime = Runtime::builder()
        .store(folder.path().join("greenroom.db"))
        .script(SCRIPT)
        .tool(pay)
        .agent(AgentSpec::new("wardrobe", "scripted").tool("pay"))
        .agent(AgentSpec::new("bar", "scripted").tool("pay"))
        .start()
        .await?;
    let session = runtime.spawn(&treasurer).await?;
    let turn = session.send("Pay for the evening.").await?;

    // From any depth, in the order they come; open ones would still be here after a crash.
    let mut inbox = session.inbox();
    for _ in 0..3 {
        let question = inbox.next().await?;
        println!("{} asks: {}", question.row().agent, question.what());
        if question.what().contains("tailor") {
            question.approve().await?;
        } else if question.what().contains("milliner") {
            question.edit(serde_json::json!({"to": "milliner", "dollars": 90})).await?;
        } else {
            let text = "Ask the landlord for ice first.".to_owned();
            question.answer_as("ann", Answer::Comment { text }).await?;
        }
    }
    println!("\n{}", turn.outcome().await?.text());
    for child in session.tree().await?.children {
        let outcome = runtime.reading().last_outcome(child.row.session).await?;
        println!(
            "{}:\n{}",
            child.row.agent,
            outcome.map_or(String::new(), |o| o.text().to_owned())
        );
    }

    // A turn in which whatever would be asked is denied: the model reads why.
    let alone = TurnOverrides { mode: Some(Mode::DontAsk), ..TurnOverrides::default() };
    let outcome = session.send_with("Pay the usher.", alone).await?.outcome().await?;
    println!("without a question: {}", outcome.text());
    runtime.shutdown().await;
    Ok(())
}
