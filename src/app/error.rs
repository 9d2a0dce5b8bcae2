//! Why an app does not start, or a store is not looked at: each in words for whoever started it.

use std::path::PathBuf;

use greenroom_actors::{
    ServiceError, domain::ids::ProviderName, ports::JournalError, runtime::StartError,
    scripted::ScriptError,
};

use crate::{
    agents_file::Mistakes,
    channels::{FolderError, WebhookError},
    providers::{KeyError, NetError, SetupError, UnknownProvider},
    store::OpenError,
    telemetry::{otel::Otlpless, trace::FileError},
    tools::files,
};

/// Why an app did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Its store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its script.
    #[error("read the script")]
    Script(#[from] ScriptError),
    /// Its agents file.
    #[error(transparent)]
    Agents(#[from] Mistakes),
    /// A vendor that nobody knows, or that cannot be reached any more.
    #[error(transparent)]
    NoVendor(#[from] UnknownProvider),
    /// How a vendor is set up.
    #[error(transparent)]
    Vendor(#[from] SetupError),
    /// The HTTP client.
    #[error(transparent)]
    Net(#[from] NetError),
    /// More secrets than are kept out of what is written.
    #[error(
        "keep {} secrets out of what is written: there is room for {max}; give fewer, and take variables \
         that are called like secrets and are none out of the environment", .max + .beyond,
        max = .max
    )]
    Secrets {
        /// How many are.
        max: usize,
        /// How many are not.
        beyond: usize,
    },
    /// A vendor's credential.
    #[error("provider {provider}")]
    Key {
        /// Whose.
        provider: ProviderName,
        /// What to do.
        #[source]
        source: KeyError,
    },
    /// The search service's credential.
    #[error("search service")]
    SearchKey(#[source] KeyError),
    /// Its address, which may hold a credential.
    #[error("search service: its url is no address")]
    SearchUrl,
    /// What it offers to its tools.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The folder of its questions.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its webhook.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The key that its webhook's questions are signed with.
    #[error("sign questions for the webhook")]
    WebhookKey(#[source] KeyError),
    /// The folder in which commands are to run.
    #[error("use the workspace {path}")]
    Workspace {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Who is to hold its tools' processes.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Custody(#[from] crate::tools::custody::NoCustody),
    /// A layer that nobody has heard of.
    #[error("no layer of custody is called {name:?}: there are {}", crate::tools::LAYERS.join(", "))]
    NoSuchLayer {
        /// What was required.
        name: String,
    },
    /// Who is to hold its tools' processes.
    #[cfg(not(target_os = "linux"))]
    #[error("hold processes of tools: that is done on Linux only")]
    Custody,
    /// Its file tools.
    #[error(transparent)]
    Files(#[from] files::OpenError),
    /// The folder of its traces.
    #[error(transparent)]
    Traces(#[from] FileError),
    /// The collector of its spans.
    #[error(transparent)]
    Collector(#[from] Otlpless),
    /// Its runtime.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its file, when it was looked at.
    #[error(transparent)]
    Read(#[from] JournalError),
}
