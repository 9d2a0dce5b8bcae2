//! Parallel subagents: a director sends three agents to work at once, one of which loses its model's
//! task to a panic and comes back; the director waits for all and reports. The model is a script, so
//! it needs no key:
//!
//! `cargo run --example parallel_subagents`

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::error::Error;

use greenroom::{AgentSpec, Event, Heard, Note, Role, Runtime, TreeNode};

const SCRIPT: &str = r#"
agent director
    call spawn_agent {"agent": "lights", "task": "Do the lamps hang?"}
    call spawn_agent {"agent": "sound", "task": "Is the thunder loud?"}
    call spawn_agent {"agent": "props", "task": "Is the letter sealed?"}
  then
    call await_agents
  then
    say Curtain up.
agent lights
    wait 600ms
    say Forty-two lamps hang.
agent sound
    wait 600ms
    first 1 panic the thunder was too loud
    say The thunder rolls to the right.
agent props
    wait 600ms
    say The letter is sealed.
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut house =
        Runtime::builder().store(folder.path().join("greenroom.db")).script(SCRIPT).agent(
            AgentSpec::new("director", "scripted")
                .role(Role::Coordinator)
                .route("lights")
                .route("sound")
                .route("props"),
        );
    for trade in ["lights", "sound", "props"] {
        house = house.agent(AgentSpec::new(trade, "scripted"));
    }
    let runtime = house.start().await?;

    let mut everybody = runtime.subscribe();
    let session = runtime.open("director").await?;
    let turn = session.send("Is everything ready?").await?;
    let mut begin = None;
    while let Some(heard) = everybody.next().await {
        let Heard::Note(Note::Frame(frame)) = heard else { continue };
        let ms = frame.at.since_ms(*begin.get_or_insert(frame.at));
        for event in frame.events.iter() {
            match event {
                Event::TurnStarted { .. } => println!("{ms:>4} ms  {} begins", frame.agent),
                Event::SessionRestarted { .. } => println!("{ms:>4} ms  {} is back", frame.agent),
                Event::TurnFinished { outcome, .. } => {
                    println!("{ms:>4} ms  {}: {}", frame.agent, outcome.text());
                }
                _ => {}
            }
        }
        let is_end = |event: &Event| matches!(event, Event::TurnFinished { .. });
        if frame.session == session.id() && frame.events.iter().any(is_end) {
            break;
        }
    }
    println!("\nthe director's turn: {}\n", turn.outcome().await?.word());
    show(&session.tree().await?, 0);
    runtime.shutdown().await;
    Ok(())
}

fn show(node: &TreeNode, depth: usize) {
    let (agent, restarts, calls) = (&node.row.agent, node.row.restarts, node.own.calls);
    println!("{:indent$}{agent}: {calls} calls, {restarts} restarts", "", indent = 2 * depth);
    node.children.iter().for_each(|child| show(child, depth + 1));
}
