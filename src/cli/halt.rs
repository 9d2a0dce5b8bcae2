//! `greenroom halt` and `greenroom unhalt`: the kill switch, of a running server or in a store that nobody
//! works on. There the word is written, and so are the cancels; the next runtime on the store heeds both.

use clap::Args;
use serde_json::json;

use crate::{
    app::{self, App},
    config::Settings,
};

use super::{CliError, Common, Done, ending::shell, orders::tell, remote::Remote, screen::counted};

/// `greenroom halt`.
#[derive(Args, Debug)]
pub(super) struct HaltArgs {
    /// Why, for the logs and for whoever is refused
    #[arg(long, value_name = "TEXT", default_value = "stopped on the command line")]
    reason: String,
    #[command(flatten)]
    common: Common,
}

/// `greenroom unhalt`.
#[derive(Args, Debug)]
pub(super) struct UnhaltArgs {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn halt(args: HaltArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let (cancelled, failed) = match Remote::on(&store)? {
        Some(remote) => {
            let said = remote.post("/v1/halt", &json!({ "reason": args.reason })).await?;
            let figure = |name: &str| said[name].as_u64().unwrap_or_default();
            (figure("cancelled"), figure("failed"))
        }
        None => {
            let app = app::dark(&store).await?;
            let halted = app.runtime().halt(&args.reason).await;
            app.shutdown().await;
            let halted = halted?;
            (halted.cancelled as u64, halted.failed as u64)
        }
    };
    let told = json!({ "halted": true, "cancelled": cancelled, "failed": failed });
    tell(args.common.json, &told, || {
        let mut words = format!(
            "stopped: {} cancelled; nothing begins before `greenroom unhalt --store {}`",
            counted(cancelled, "session"),
            shell(&store)
        );
        if failed > 0 {
            let more = counted(failed, "session");
            words.push_str(&format!("; {more} not yet, each stops itself as soon as it can"));
        }
        words
    })
}

pub(super) async fn unhalt(args: UnhaltArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    match Remote::on(&store)? {
        Some(remote) => drop(remote.post("/v1/unhalt", &json!({})).await?),
        None => {
            let app = app::dark(&store).await?;
            let lifted = app.runtime().unhalt().await;
            app.shutdown().await;
            lifted?;
        }
    }
    tell(args.common.json, &json!({ "halted": false }), || {
        "new work may begin again; what was cancelled stays so".to_owned()
    })
}

/// What whoever starts or looks at a store is told where everything in it is stopped.
pub(super) fn remark(app: &App, store: &std::path::Path) -> Option<String> {
    let halt = app.runtime().halted()?;
    let (by, reason) = (halt.by, halt.reason);
    let store = shell(store);
    Some(format!(
        "everything was stopped by {by}: {reason}; nothing begins before `greenroom unhalt --store {store}`"
    ))
}
