//! `greenroom delete`: a session and all below it, for good, from a running server or from a store that
//! nobody works on. It asks nobody: who does not say --yes is told what would go.

use clap::Args;
use greenroom_actors::domain::catalog::SessionFilter;
use serde_json::json;

use crate::{app, config::Settings};

use super::{
    CliError, Common, Done, ending::shell, look, orders::tell, remote::Remote, screen::counted,
};

/// `greenroom delete`.
#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    /// An id, its beginning or its end, or an agent's name: whatever fits one session only
    session: String,
    /// Do it; nothing brings it back
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn delete(args: DeleteArgs, settings: &Settings) -> Result<Done, CliError> {
    let store = args.common.store(settings);
    let reading = app::look(&store)?;
    let session = look::find(&reading, &args.session, &store).await?;
    if !args.yes {
        let filter =
            SessionFilter { root: Some(session), archived: true, ..SessionFilter::default() };
        let sessions = reading.all_sessions(filter).await?.len() as u64;
        let sessions = counted(sessions, "session");
        return Err(CliError::NotSure { session, sessions, store });
    }
    let sessions = match Remote::on(&store)? {
        Some(remote) => {
            let told = remote.delete(&format!("/v1/sessions/{session}")).await?;
            told["sessions"].as_u64().unwrap_or_default()
        }
        None => {
            let app = app::dark(&store).await?;
            let deleted = app.runtime().delete(session).await;
            app.shutdown().await;
            deleted?
        }
    };
    let told = json!({ "session": session.to_string(), "sessions": sessions });
    tell(args.common.json, &told, || {
        format!("deleted {session}: {} and all they said", counted(sessions, "session"))
    })
}

/// How to say it again, surely.
pub(super) fn surely(session: &impl ToString, store: &std::path::Path) -> String {
    format!("greenroom delete {} --yes --store {}", session.to_string(), shell(store))
}
