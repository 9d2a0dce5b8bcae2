//! Questions that reach somebody by a folder, a webhook, a function, or the agent above: each through
//! the embedding API, with real files, real sockets and real kills.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::{FutureExt as _, future::BoxFuture};
use greenroom::{
    AgentSpec, Answer, ApprovalRow, Builder, Event, Runtime, Session, ToolError, TypedTool,
};
use greenroom_actors::{
    domain::{ids::ApprovalId, outcome::TurnOutcome},
    testing::harness::{bounded, events},
};

use crate::{
    killed,
    props::{asked, count, is_whole, logged, seen},
    stage::{Folder, Stage, file_in},
};

pub mod folder;
mod function;
mod parent;
pub mod server;
mod webhook;

#[derive(schemars::JsonSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    cents: u64,
}

const SCRIPT: &str = "agent clerk\n  call pay {\"cents\": 900}\n then\n  say {last}";

/// A till that is asked about, and how often it was used.
fn till(uses: &Arc<AtomicUsize>) -> TypedTool<Pay> {
    let uses = Arc::clone(uses);
    TypedTool::new("pay", "Pays.", move |_ctx, args: Pay| {
        uses.fetch_add(1, SeqCst);
        async move { Ok::<_, ToolError>(format!("paid {}", args.cents)) }
    })
}

fn house(folder: &Path, uses: &Arc<AtomicUsize>) -> Builder {
    Runtime::builder().store(file_in(folder)).script(SCRIPT).tool(till(uses)).agent(clerk())
}

fn clerk() -> AgentSpec {
    AgentSpec::new("clerk", "scripted").tool("pay").ask("pay")
}

/// Somebody wants something paid.
async fn pays(runtime: &Runtime) -> (Session, greenroom::TurnStream) {
    let session = runtime.open("clerk").await.expect("a session");
    let turn = session.send("pay").await.expect("it is taken");
    (session, turn)
}

async fn said(turn: greenroom::TurnStream) -> String {
    match bounded("the turn", turn.outcome()).await.expect("its outcome") {
        TurnOutcome::Completed { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

async fn open(runtime: &Runtime) -> ApprovalRow {
    asked(runtime, 1).await;
    runtime.approvals(None).await.expect("the inbox").remove(0)
}

/// Waits for the end of the only turn of a session that a runtime before this one began.
async fn goes_on(runtime: &Runtime, session: &Session) {
    logged(runtime, session.id(), "its turn has ended", |events| {
        (count(events, "turn_finished") == 1).then_some(())
    })
    .await;
}

/// Who answered, as the log says.
async fn answered_by(runtime: &Runtime, session: &Session) -> Vec<String> {
    let events = events(runtime, session.id()).await;
    is_whole(&events);
    let by = |event: &Event| match event {
        Event::ApprovalDecided { by, .. } => Some(by.to_string()),
        _ => None,
    };
    events.iter().filter_map(by).collect()
}

/// An answer as it stands in a file or a response.
fn reply(row: &ApprovalRow, answer: &str, more: &str) -> String {
    let (id, digest) = (row.id, &row.ask.digest.0);
    format!(r#"{{"approval": "{id}", "digest": "{digest}", "answer": "{answer}"{more}}}"#)
}
