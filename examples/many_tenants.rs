//! Many tenants in one runtime: each has its own sessions, questions, data and bill; none can reach
//! another's. Twenty tenants work at once, and their agents share one tool that tells them apart by
//! its context. The model is a script, so it needs no key:
//!
//! `cargo run --example many_tenants`

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use std::{collections::BTreeMap, error::Error, sync::Mutex};

use futures_util::future::try_join_all;
use greenroom::{AgentSpec, CallError, EffectClass, Runtime, Tenant, TypedTool};

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Remember {
    what: String,
}

/// What the program keeps, by tenant.
type Notes = Mutex<BTreeMap<String, Vec<String>>>;

const SCRIPT: &str = r#"
agent notary
    call remember {"what": "{input}"}
  then
    say {last}
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let remember = TypedTool::new("remember", "Keeps a note.", |ctx, note: Remember| async move {
        let notes = ctx.services.get::<Notes>("notes").ok_or("there is no place for notes")?;
        let mut notes = notes.lock().map_err(|_poisoned| "the notes are broken")?;
        // Whose data it is comes with the call; no argument of a model can change it.
        let own = notes.entry(ctx.tenant.to_string()).or_default();
        own.push(note.what);
        Ok(format!("{} has {} notes", ctx.tenant, own.len()))
    })
    .effect(EffectClass::Once);

    let folder = tempfile::tempdir()?;
    let runtime = Runtime::builder()
        .store(folder.path().join("greenroom.db"))
        .script(SCRIPT)
        .service("notes", Notes::default())?
        .tool(remember)
        .agent(AgentSpec::new("notary", "scripted").allowed_tool("remember"))
        .start()
        .await?;

    let tenants: Vec<Tenant> = (1..=20).map(|no| runtime.tenant(format!("theatre-{no}"))).collect();
    let said = try_join_all(tenants.iter().map(two_notes)).await?;
    said.iter().take(3).for_each(|text| println!("{text}"));

    let (one, two) = (&tenants[0], &tenants[1]);
    let sessions = one.list().await?;
    let (id, calls) = (sessions[0].session, one.totals().await?.calls);
    println!("\n{} has {} session and a bill for {calls} calls", one.id(), sessions.len());
    let why = two.session(id).await.expect_err("it is not theirs");
    println!("{} asks for that session: {why}", two.id());
    println!("all together: {} sessions", runtime.list().await?.len());
    runtime.shutdown().await;
    Ok(())
}

/// Two turns of one session; the second comes back to it by its id, as a web server would.
async fn two_notes(tenant: &Tenant) -> Result<String, CallError> {
    let id = tenant.open("notary").await?.id();
    let session = tenant.session(id).await?;
    session.send("first night").await?.outcome().await?;
    let outcome = tenant.session(id).await?.send("second night").await?.outcome().await?;
    Ok(outcome.text().to_owned())
}
