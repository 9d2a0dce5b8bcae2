//! The call sheet: a file beside the store in which every trade signs once. It stands for the world
//! outside: what is written there cannot be taken back, so the tool is `once`, and whoever reads
//! the file can tell whether anything happened twice.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        ids::PoolKind,
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
    },
    ports::{Clock, Tool, ToolCtx},
};

use super::{SHEET, text_in};

/// Where the sheet of a store lies.
#[must_use]
pub fn sheet(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".call-sheet");
    name.into()
}

/// How long the ink dries: a moment in which the signature is there and nobody has been told.
const INK_MS: u64 = 120;

/// The tool that signs.
pub(super) struct CallSheet {
    pub(super) sheet: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
}

impl Tool for CallSheet {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: SHEET.into(),
            description: "Sign the call sheet. A signature cannot be taken back.".to_owned(),
            schema:
                r#"{"type":"object","properties":{"who":{"type":"string"}},"required":["who"]}"#
                    .to_owned(),
            effect: EffectClass::Once,
            pool: PoolKind::from("sheets"),
        }
    }

    fn run(&self, ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        let (path, clock) = (self.sheet.clone(), Arc::clone(&self.clock));
        let who = text_in(&args, "who").unwrap_or_default();
        let line = format!("{}\t{who}\n", ctx.idempotency_key);
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || sign(&path, &line)).await {
                Ok(Ok(())) => {
                    clock.after(INK_MS).await;
                    ToolOutcome::Done { output: Output::text("signed") }
                }
                Ok(Err(error)) => failed(&error.to_string()),
                Err(error) => failed(&error.to_string()),
            }
        })
    }
}

/// One write, so that no line is ever half there.
fn sign(path: &Path, line: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

fn failed(why: &str) -> ToolOutcome {
    ToolOutcome::Failed { output: Output::text(format!("sign the call sheet: {why}")) }
}
