//! One agent: a runtime on a store, a session, two turns as they stream, what they cost, and the
//! log that is left. The model is a script, so it needs no key:
//!
//! `cargo run --example one_agent`

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::error::Error;

use greenroom::{AgentSpec, Event, Runtime, Session, TurnEvent};

const SCRIPT: &str = "
agent prompter turn 1
    think They want to know who I am.
    stream 5 every 10ms
    say I am the prompter. I sit on the left and know every line.
agent prompter
    stream 5 every 10ms
    say You said: {input} That is in the second act.
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let runtime =
        Runtime::builder().store(folder.path().join("greenroom.db")).script(SCRIPT).start().await?;
    let prompter = AgentSpec::new("prompter", "scripted")
        .instructions("You are the prompter of a small theatre. Answer in a sentence or two.");

    let session = runtime.spawn(&prompter).await?;
    say(&session, "Who are you?").await?;
    say(&session, "To be, or not to be.").await?;

    let totals = session.totals().await?;
    println!("\n{} calls, {} tokens", totals.calls, totals.usage.tokens());
    println!("the log has {} frames; the last ones:", session.log().await?.len());
    for frame in session.log().await?.iter().rev().take(3).rev() {
        let names: Vec<&str> = frame.events.iter().map(Event::name).collect();
        println!("  {:>2}  {}", frame.envelope.position, names.join(", "));
    }
    runtime.shutdown().await;
    Ok(())
}

/// One turn, its words as they come.
async fn say(session: &Session, words: &str) -> Result<(), Box<dyn Error>> {
    println!("you: {words}");
    let mut turn = session.send(words).await?;
    print!("it:  ");
    while let Some(event) = turn.next().await {
        match event {
            TurnEvent::Text(piece) => print!("{piece}"),
            TurnEvent::Thinking(piece) => print!("({piece}) "),
            TurnEvent::Progress(_) | TurnEvent::Happened(..) | TurnEvent::Lagged(_) => {}
        }
    }
    println!("\n     [{}]", turn.outcome().await?.word());
    Ok(())
}
