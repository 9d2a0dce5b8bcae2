//! The layers of settings, each over the one before: built in, the user's `config.toml`, the
//! project's `.greenroom/config.toml`, the environment, and at last a flag of the command line.
//!
//! A project's file comes with what somebody else wrote, so it may only tighten: it adds rules that
//! deny or ask, draws a fence within that of the user, and names a store within its own folder. Everything
//! else in it is refused, not left out in silence; so are ways by which questions go, for whoever hears a
//! question may allow it. It is looked for from the current folder upwards to the root of the repository;
//! outside a repository in the current folder alone, because above it may be anybody's.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use greenroom_actors::{
    domain::permission::{Bounds, RuleSet},
    runtime::{Layers, Places},
};

use crate::{
    agents_file,
    document::{Mistakes, Section, Sheet},
    net::without_password,
};

use super::Environment;

/// The file's name in either folder.
pub(crate) const FILE: &str = "config.toml";
/// The folder of a project's settings.
const FOLDER: &str = ".greenroom";
const KEYS: [&str; 5] = ["store", "agents", "log", "permissions", "approvals"];

/// Who has set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    BuiltIn,
    /// The user's file.
    User(PathBuf),
    /// The project's file.
    Project(PathBuf),
    /// A variable of the environment.
    Environment(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::User(path) => write!(f, "user, {}", path.display()),
            Self::Project(path) => write!(f, "project, {}", path.display()),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Flag(name) => write!(f, "flag, {name}"),
        }
    }
}

/// A value and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Who set it.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    const fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

/// Everything that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The environment, for what has no other layer.
    pub environment: Environment,
    /// The store.
    pub store: Sourced<PathBuf>,
    /// The agents file of `run`.
    pub agents: Option<Sourced<PathBuf>>,
    /// Which log lines go to stderr.
    pub log: Option<Sourced<String>>,
    /// Rules of the user and of the project.
    pub rules: Layers,
    /// The user's fence, and the project's, which only takes away.
    bounds: (Bounds, Bounds),
    /// The user's ways for questions.
    approvals: agents_file::Approvals,
    user: Option<PathBuf>,
    project: Option<PathBuf>,
}

/// A setting as a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Who set it.
    pub origin: Origin,
}

/// What one file says.
#[derive(Default)]
struct Found {
    store: Option<PathBuf>,
    agents: Option<PathBuf>,
    log: Option<String>,
    rules: RuleSet,
    bounds: Bounds,
    approvals: agents_file::Approvals,
}

impl Settings {
    /// The folders that path rules are relative to.
    #[must_use]
    pub fn places(&self) -> Places {
        let text = |folder: &Path| folder.to_str().map(str::to_owned);
        let up = |file: &Option<PathBuf>, levels| {
            text(file.as_deref()?.ancestors().nth(levels).filter(|folder| folder.is_absolute())?)
        };
        Places {
            home: self.environment.home.as_deref().and_then(text),
            user: up(&self.user, 1),
            // The file lies in the project's `.greenroom`.
            project: up(&self.project, 2),
            workspace: None,
            bounds: self.bounds.0.clone(),
            narrowed: self.bounds.1.clone(),
        }
    }

    /// Finds every layer as it is seen from a folder.
    ///
    /// # Errors
    /// When a file is there and cannot be read, or something in it is wrong.
    pub fn find(environment: Environment, folder: &Path) -> Result<Self, Mistakes> {
        let store = Sourced::new(PathBuf::from("greenroom.db"), Origin::BuiltIn);
        let (rules, user, project) = (Layers::default(), None, None);
        let mut settings = Self {
            environment,
            store,
            agents: None,
            log: None,
            rules,
            bounds: (Bounds::default(), Bounds::default()),
            approvals: agents_file::Approvals::default(),
            user,
            project,
        };
        if let Some(folder) = settings.environment.settings.clone() {
            let path = folder.join(FILE);
            if let Some(found) = read(&path, &folder, false)? {
                settings.bounds.0 = found.bounds.clone();
                settings.approvals = found.approvals.clone();
                let origin = Origin::User(path.clone());
                settings.rules.user = settings.lay(found, &origin);
                settings.user = Some(path);
            }
        }
        if let Some(project) = project_of(folder) {
            let path = project.join(FOLDER).join(FILE);
            if let Some(found) = read(&path, &project, true)? {
                settings.bounds.1 = beneath(found.bounds.clone(), &project);
                let origin = Origin::Project(path.clone());
                settings.rules.project = settings.lay(found, &origin);
                settings.project = Some(path);
            }
        }
        let Environment { store, agents, log, .. } = settings.environment.clone();
        let path = |path: Option<PathBuf>, name| {
            path.map(|path| Sourced::new(path, Origin::Environment(name)))
        };
        settings.store = path(store, "GREENROOM_STORE").unwrap_or(settings.store);
        settings.agents = path(agents, "GREENROOM_AGENTS").or(settings.agents);
        let log = log.map(|log| Sourced::new(log, Origin::Environment("RUST_LOG")));
        settings.log = log.or(settings.log);
        Ok(settings)
    }

    /// Lays a file over what is there; its rules are a layer of their own.
    fn lay(&mut self, found: Found, origin: &Origin) -> RuleSet {
        let Found { store, agents, log, rules, bounds: _, approvals: _ } = found;
        if let Some(store) = store {
            self.store = Sourced::new(store, origin.clone());
        }
        self.agents = agents.map(|path| Sourced::new(path, origin.clone())).or(self.agents.take());
        self.log = log.map(|log| Sourced::new(log, origin.clone())).or(self.log.take());
        rules
    }

    /// The user's ways for questions, and the folder that paths in them are relative to.
    #[must_use]
    pub fn approvals(&self) -> Option<(&agents_file::Approvals, &Path)> {
        let folder = self.user.as_deref().and_then(Path::parent)?;
        Some((&self.approvals, folder))
    }

    /// Lays a flag over everything.
    pub fn flag_store(&mut self, store: Option<PathBuf>) {
        if let Some(store) = store {
            self.store = Sourced::new(store, Origin::Flag("--store"));
        }
    }

    /// Every setting as a line, in the order of the keys.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let path = |key, found: &Sourced<PathBuf>| Row {
            key,
            value: found.value.display().to_string(),
            origin: found.origin.clone(),
        };
        let mut rows = vec![path("store", &self.store)];
        rows.extend(self.agents.as_ref().map(|agents| path("agents", agents)));
        rows.extend(self.log.as_ref().map(|log| Row {
            key: "log",
            value: log.value.clone(),
            origin: log.origin.clone(),
        }));
        let user =
            self.user.clone().map(|path| (Origin::User(path), &self.rules.user, &self.bounds.0));
        let project = self
            .project
            .clone()
            .map(|path| (Origin::Project(path), &self.rules.project, &self.bounds.1));
        for (origin, rules, bounds) in user.into_iter().chain(project) {
            let line = |(key, value): (&'static str, &String)| Row {
                key,
                value: value.clone(),
                origin: origin.clone(),
            };
            let roots = bounds.roots.iter().map(|folder| ("permissions.roots", folder));
            let readable = bounds.readable.iter().map(|folder| ("permissions.readable", folder));
            rows.extend(roots.chain(readable).map(line));
            for (key, list) in [
                ("permissions.deny", &rules.deny),
                ("permissions.ask", &rules.ask),
                ("permissions.allow", &rules.allow),
            ] {
                rows.extend(list.iter().map(|pattern| line((key, &pattern.0))));
            }
        }
        rows.extend(self.ways());
        rows
    }

    /// The user's ways for questions as lines.
    fn ways(&self) -> Vec<Row> {
        let Some(path) = self.user.clone() else { return Vec::new() };
        let agents_file::Approvals { folder, webhook, parent } = &self.approvals;
        let folder = folder.as_ref().map(|folder| folder.display().to_string());
        // An address may hold a token, so only its beginning is told.
        let host = |url: &str| url.split('/').take(3).collect::<Vec<_>>().join("/");
        let webhook = webhook.as_ref().map(|webhook| without_password(&host(&webhook.url)));
        let parent = parent.then(|| "true".to_owned());
        let ways = [
            ("approvals.folder", folder),
            ("approvals.webhook", webhook),
            ("approvals.parent", parent),
        ];
        let row = |(key, value): (&'static str, Option<String>)| {
            Some(Row { key, value: value?, origin: Origin::User(path.clone()) })
        };
        ways.into_iter().filter_map(row).collect()
    }
}

/// The nearest folder with settings, within the repository.
fn project_of(folder: &Path) -> Option<PathBuf> {
    let root = folder.ancestors().find(|folder| folder.join(".git").exists());
    let within = |above: &&Path| root.map_or(*above == folder, |root| above.starts_with(root));
    let found =
        folder.ancestors().take_while(within).find(|at| at.join(FOLDER).join(FILE).exists());
    found.map(Path::to_owned)
}

/// Reads one file, if it is there. Paths in it are relative to `base`.
fn read(path: &Path, base: &Path, is_project: bool) -> Result<Option<Found>, Mistakes> {
    let name = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Mistakes::unreadable(&name, &error.to_string())),
    };
    let sheet = Sheet::new(&name, &text);
    let mut found = Found::default();
    if let Some(table) = sheet.parse() {
        let all = Section::outermost(&sheet, &table);
        all.only(&KEYS);
        if is_project {
            tightens(&all);
        }
        let path = |key: &str| all.words(key).map(|path| base.join(path.value));
        found = Found {
            store: path("store"),
            agents: path("agents"),
            log: all.words("log").map(|log| log.value),
            rules: rules(&all),
            bounds: all
                .section("permissions")
                .map(|own| agents_file::bounds(&own))
                .unwrap_or_default(),
            approvals: agents_file::approvals(&all),
        };
    }
    sheet.finish()?;
    Ok(Some(found))
}

fn rules(all: &Section<'_, '_>) -> RuleSet {
    let Some(permissions) = all.section("permissions") else { return RuleSet::default() };
    permissions.only(&["roots", "readable", "deny", "ask", "allow"]);
    agents_file::rules(&permissions)
}

/// The folders of a project's file begin at the project, wherever in it somebody works.
fn beneath(bounds: Bounds, project: &Path) -> Bounds {
    let placed = |folder: String| match folder.starts_with("~/") {
        true => folder,
        false => project.join(folder).to_string_lossy().into_owned(),
    };
    Bounds {
        roots: bounds.roots.into_iter().map(placed).collect(),
        readable: bounds.readable.into_iter().map(placed).collect(),
    }
}

/// Notes what a project may not set.
fn tightens(all: &Section<'_, '_>) {
    let expected = "it in your own settings: a project's file may only tighten";
    for key in ["agents", "log", "approvals"] {
        if all.has(key) {
            all.sheet.note(all.place(key), format!("a project sets `{key}`"), expected.to_owned());
        }
    }
    if let Some(permissions) = all.section("permissions")
        && permissions.has("allow")
    {
        let what = "a project sets `permissions.allow`".to_owned();
        all.sheet.note(permissions.place("allow"), what, expected.to_owned());
    }
    if let Some(store) = all.text("store") {
        let path = Path::new(&store.value);
        let is_within =
            path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_within {
            let what = format!("a project puts its store at {:?}", store.value);
            all.sheet.note(store.span, what, "a path within the project's folder".to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
