//! A budget: six agents work in parallel below one that may spend five cents. Every call is reserved
//! at its upper bound before it is made, so the sum stays within, whoever comes first; who finds no
//! room ends as `budget_exhausted` and the rest go on. The model is a script with a price, so it
//! needs no key:
//!
//! `cargo run --example budget`

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::error::Error;

use greenroom::{AgentSpec, Budget, Event, NanoUsd, Price, PriceBook, Runtime, Sampling};

const SCRIPT: &str = r#"
agent lead
    call spawn_agent {"agent": "reader", "task": "act one"}
    call spawn_agent {"agent": "reader", "task": "act two"}
    call spawn_agent {"agent": "reader", "task": "act three"}
    call spawn_agent {"agent": "reader", "task": "act four"}
    call spawn_agent {"agent": "reader", "task": "act five"}
    call spawn_agent {"agent": "reader", "task": "the epilogue"}
  then
    call await_agents
  then
    say That is what five cents buy.
agent reader
    wait 50ms
    usage input=300 output=700
    say I have read {input}.
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = NanoUsd::cents(5);
    // Dollars per million tokens: 0.30 in, 15 out.
    let price = Price { input: 300_000, output: 15_000_000, ..Price::default() };
    let tokens = |max| Sampling { output_tokens_max: Some(max), ..Sampling::default() };
    let lead = AgentSpec::new("lead", "scripted")
        .route("reader")
        .sampling(tokens(100))
        .budget(Budget::default().money(limit).agents(10));

    let folder = tempfile::tempdir()?;
    let runtime = Runtime::builder()
        .store(folder.path().join("greenroom.db"))
        .script(SCRIPT)
        .prices(PriceBook::default().with("scripted", price))
        .agent(AgentSpec::new("reader", "scripted").sampling(tokens(1_000)))
        .start()
        .await?;
    let session = runtime.spawn(&lead).await?;
    let outcome = session.send("Read the play.").await?.outcome().await?;

    for frame in session.log().await? {
        for event in frame.events {
            match event {
                Event::ChildFinished { report, .. } => {
                    println!("{:>16}  {}", report.outcome.word(), report.outcome.text());
                }
                Event::BudgetWarned { percent, .. } => println!("         warning  {percent} %"),
                _ => {}
            }
        }
    }
    println!("{:>16}  {}", outcome.word(), outcome.text());
    let totals = session.totals().await?;
    println!("\nspent {} of {limit} in {} calls", totals.cost, totals.calls);
    assert!(totals.cost <= limit, "never more than the limit");
    runtime.shutdown().await;
    Ok(())
}
