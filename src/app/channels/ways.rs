//! Which channels a house has: what an agents file or a program says, opened before anything runs, so
//! that a channel that cannot be used is a refusal to start and not a question that nobody hears.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom_actors::{
    Runtime,
    domain::{agent::AgentSpec, catalog::ApprovalRow, permission::Answer},
    owned::Owned,
    ports::HookTable,
    runtime::Places,
};
use secrecy::SecretString;

use crate::{
    agents_file,
    app::{AppError, clock, vendors},
    channels::{Callback, Channel, Folder, SignedBy, Webhook},
    config::{Environment, Settings},
    providers::Key,
    telemetry::{chain, redact::Secrets},
};

use super::{parent::Parent, staff};

/// How questions reach somebody.
#[derive(Default)]
pub struct Approvals {
    /// Ways of the program's own.
    pub own: Vec<Arc<dyn Channel>>,
    /// A folder of files.
    pub folder: Option<PathBuf>,
    /// An address that is told of each.
    pub webhook: Option<Hook>,
    /// Whether the agent above is asked.
    pub parent: bool,
    /// Where agents write: whoever can put a file into the folder of questions may allow anything.
    pub away_from: Vec<PathBuf>,
}

/// An address that is told of each question, signed.
#[derive(Debug)]
pub struct Hook {
    url: String,
    key: Key,
}

impl Hook {
    /// With a key of the program's own.
    #[must_use]
    pub fn with_key(url: String, key: SecretString) -> Self {
        let key = Key::Variable {
            name: "the program's key for the webhook".to_owned(),
            value: Some(key),
        };
        Self { url, key }
    }

    fn open(self, secrets: &Secrets) -> Result<Webhook, AppError> {
        let Self { url, key } = self;
        key.find().map_err(AppError::WebhookKey)?;
        let key = key.watched(secrets);
        let signed_by: SignedBy = Arc::new(move || match key.find() {
            Ok(Some(key)) => Ok(key),
            Ok(None) => Err("no key to sign with".to_owned()),
            Err(error) => Err(chain(&error)),
        });
        let proxies = Environment::read().proxies;
        Ok(Webhook::new(&url, signed_by, clock(), Some(&proxies))?)
    }
}

impl std::fmt::Debug for Approvals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let own: Vec<&str> = self.own.iter().map(|channel| channel.name()).collect();
        f.debug_struct("Approvals")
            .field("own", &own)
            .field("folder", &self.folder)
            .field("webhook", &self.webhook.is_some())
            .field("parent", &self.parent)
            .finish()
    }
}

/// Opens webhooks for the ends of jobs.
pub(in crate::app) fn hooks(
    hooks: Vec<(String, Hook)>,
    secrets: &Secrets,
) -> Result<HookTable, AppError> {
    let mut table = HookTable::new();
    for (name, hook) in hooks {
        table.insert(name.into(), Arc::new(hook.open(secrets)?));
    }
    Ok(table)
}

/// Where agents may write: the workspace, and the roots of all fences, of who runs this, of the project, and of each agent. A fence takes away, and
/// one that stands alone gives what it names; nobody needs to know which it is to stay clear of all.
pub(in crate::app) fn roots(
    places: &Places,
    agents: &[AgentSpec],
    workspace: Option<&Path>,
) -> Vec<PathBuf> {
    let named = places.workspace.as_deref().map(Path::new);
    let here = named.or(workspace).unwrap_or(Path::new("."));
    let placed = |folder: &String| match (folder.strip_prefix("~/"), &places.home) {
        (Some(rest), Some(home)) => Some(Path::new(home).join(rest)),
        // Where nobody knows the home, the fence leaves it out too.
        (Some(_), None) => None,
        (None, _) => Some(here.join(folder)),
    };
    let own = [&places.bounds, &places.narrowed];
    let all = own.into_iter().chain(agents.iter().map(|agent| &agent.authority.bounds));
    let roots = all.flat_map(|bounds| &bounds.roots).filter_map(placed);
    workspace.map(Path::to_owned).into_iter().chain(roots).collect()
}

/// Channels that can be used.
pub(in crate::app) struct Ways {
    channels: Vec<Arc<dyn Channel>>,
    parent: bool,
}

impl Approvals {
    /// What an agents file names, with paths relative to its folder.
    pub(in crate::app) fn of(
        file: agents_file::Approvals,
        environment: &Environment,
        folder: &Path,
    ) -> Self {
        let hook = |hook: agents_file::Webhook| {
            let key = vendors::key_at(&hook.key, environment, folder);
            Hook { url: hook.url, key }
        };
        Self {
            own: Vec::new(),
            folder: file.folder.map(|path| folder.join(path)),
            webhook: file.webhook.map(hook),
            parent: file.parent,
            away_from: Vec::new(),
        }
    }

    /// Adds the ways of the user's settings that nobody has named already: who wrote an agents file may
    /// say where its questions go, and who runs it hears of them by the user's own ways where it does not.
    pub fn or_those_of(&mut self, settings: &Settings) {
        let Some((named, folder)) = settings.approvals() else { return };
        let Self { folder: at, webhook, parent, .. } =
            Self::of(named.clone(), &settings.environment, folder);
        self.folder = self.folder.take().or(at);
        self.webhook = self.webhook.take().or(webhook);
        self.parent |= parent;
    }

    /// Adds a function that is asked.
    pub fn ask<F, Fut>(&mut self, ask: F)
    where
        F: Fn(Arc<ApprovalRow>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<Answer>> + Send + 'static,
    {
        self.own.push(Arc::new(Callback::new(ask)));
    }

    /// Whether there is anybody by them; an agent above is not somebody: it may know no answer.
    #[must_use]
    pub fn reach_somebody(&self) -> bool {
        self.folder.is_some()
            || self.webhook.is_some()
            || self.own.iter().any(|channel| channel.reaches_somebody())
    }

    /// Opens each.
    pub(in crate::app) fn open(self, secrets: &Secrets) -> Result<Ways, AppError> {
        let mut channels = self.own;
        if let Some(path) = self.folder {
            let folder = Folder::open(&path, clock())?;
            for at in self.away_from {
                folder.is_outside(&at)?;
            }
            channels.push(Arc::new(folder));
        }
        if let Some(hook) = self.webhook {
            channels.push(Arc::new(hook.open(secrets)?));
        }
        Ok(Ways { channels, parent: self.parent })
    }
}

impl Ways {
    /// Starts asking through them, where there are any.
    pub(in crate::app) fn staff(self, runtime: &Runtime) -> Option<Owned> {
        let mut channels = self.channels;
        if self.parent {
            channels.push(Arc::new(Parent(runtime.clone())));
        }
        (!channels.is_empty()).then(|| staff(runtime, clock(), channels))
    }
}
