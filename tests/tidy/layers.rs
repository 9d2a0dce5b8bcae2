//! Who may import whom, as data. In `actors/` a module imports only rows above its own; in the root
//! crate adapters and faces meet in `app` alone. Test code is free.

use crate::{finds, none, tree};

/// The modules of `actors/` and their layers. A row may import rows with a lower number, and its own
/// row, except for the actors: those never import each other.
const LAYERS: &[(u8, &[&str])] = &[
    (0, &["limits", "domain"]),
    (1, &["policy"]),
    (2, &["fault", "owned", "ports", "log"]),
    (3, &["protocol"]),
    (4, &["bus", "directory"]),
    (ACTORS, &["session", "ledger", "permission", "gate", "tool_pool", "jobs"]),
    (6, &["supervisor"]),
    (7, &["registry", "runtime", "scripted", "testing"]),
];
const ACTORS: u8 = 5;

/// What a module must not name although it lies above it, or outside.
const NEVER: &[(&str, &[&str])] = &[
    ("limits", &["tokio", "ractor", "tracing", "dashmap", "futures_util"]),
    ("domain", &["tokio", "ractor", "tracing", "dashmap", "futures_util"]),
    ("policy", &["tokio", "ractor", "tracing", "dashmap", "futures_util", "std::time"]),
    ("ports", &["ractor", "tracing", "dashmap", "std::fs", "std::net", "std::process"]),
    ("log", &["ractor", "dashmap", "std::fs", "std::net", "std::process"]),
    ("protocol", &["crate::ports", "dashmap"]),
];

/// What a module of the root crate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Implements a port.
    Adapter,
    /// Used by adapters: it knows no adapter and no face.
    Shared,
    /// Uses the runtime's handle.
    Face,
    /// A face that may start the house: the command line.
    Door,
    /// Reads settings: every module's options, but nothing that runs.
    Settings,
    /// Joins both sides.
    Joint,
}

const ROOT: &[(&str, Kind)] = &[
    ("store", Kind::Adapter),
    ("channels", Kind::Adapter),
    ("tools", Kind::Adapter),
    ("providers", Kind::Adapter),
    ("hooks", Kind::Adapter),
    ("mcp", Kind::Adapter),
    ("document", Kind::Shared),
    ("net", Kind::Shared),
    ("clock", Kind::Shared),
    ("calendar", Kind::Shared),
    ("telemetry", Kind::Shared),
    ("registry", Kind::Shared),
    ("typed", Kind::Shared),
    ("http", Kind::Face),
    ("cli", Kind::Door),
    ("embed", Kind::Door),
    ("config", Kind::Settings),
    ("agents_file", Kind::Settings),
    ("app", Kind::Joint),
    ("lib", Kind::Joint),
    ("main", Kind::Joint),
];

/// What adapters and shared modules may know of the runtime.
const FOR_ADAPTERS: &[&str] = &["domain", "ports", "limits", "log", "fault", "owned", "scripted"];
/// What faces and settings may know of it, beside the names it exports at its root (`Runtime`).
const FOR_FACES: &[&str] = &["domain", "limits", "runtime"];

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&module)).map(|(layer, _)| *layer)
}

fn kind(module: &str) -> Option<Kind> {
    ROOT.iter().find(|(name, _)| *name == module).map(|(_, kind)| *kind)
}

/// The outermost module a file belongs to, and how deep the file lies below the crate's root.
fn place<'a>(path: &'a str, folder: &str) -> Option<(&'a str, usize)> {
    let path = path.strip_prefix(folder)?.strip_suffix(".rs")?;
    Some((path.split('/').next()?, path.split('/').count()))
}

/// Modules at the crate's root that a file names, as `crate::…` or by climbing with `super`. An
/// inline module climbs less high than it looks, so what `super` finds counts only if it is `known`.
fn named(code: &str, depth: usize, known: impl Fn(&str) -> bool) -> Vec<String> {
    let mut climbed = tree::segments(code, &vec!["super"; depth].join("::"));
    climbed.retain(|module| known(module));
    climbed.extend(tree::segments(code, "crate"));
    climbed
}

fn actors(path: &str, text: &str) -> Vec<String> {
    let Some((own, depth)) = place(path, "actors/src/") else { return vec![] };
    if own == "lib" || tree::is_test(path) {
        return vec![];
    }
    let Some(height) = layer(own) else {
        return vec![format!("{path}: `{own}` has no layer; give it one in LAYERS")];
    };
    let code = tree::code(&tree::production(text).join("\n"));
    let mut offences = Vec::new();
    let others = named(&code, depth, |module| layer(module).is_some());
    for other in others.into_iter().filter(|other| other != own) {
        match layer(&other) {
            Some(theirs) if theirs < height => {}
            Some(theirs) if theirs == height && height != ACTORS => {}
            Some(ACTORS) if height == ACTORS => {
                offences.push(format!("{path}: actor `{own}` imports actor `{other}`"));
            }
            Some(_) => offences.push(format!("{path}: `{own}` imports `{other}` from below")),
            None => offences.push(format!("{path}: names `crate::{other}`, which has no layer")),
        }
    }
    let never = NEVER.iter().filter(|(module, _)| *module == own).flat_map(|(_, names)| *names);
    for name in never.filter(|name| mentions(&code, name)) {
        offences.push(format!("{path}: `{own}` must not know `{name}`"));
    }
    if own == "policy" && mentions(&code, "async") {
        offences.push(format!("{path}: a decision is not async"));
    }
    offences
}

/// Whether the code names a path or a word as a whole.
fn mentions(code: &str, name: &str) -> bool {
    if let Some((root, last)) = name.split_once("::") {
        return tree::segments(code, root).iter().any(|segment| segment == last);
    }
    code.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
}

fn root(path: &str, text: &str) -> Vec<String> {
    let Some((own, depth)) = place(path, "src/") else { return vec![] };
    if tree::is_test(path) {
        return vec![];
    }
    let Some(what) = kind(own) else {
        return vec![format!("{path}: `{own}` is neither adapter nor face; say what in ROOT")];
    };
    let code = tree::code(&tree::production(text).join("\n"));
    let mut offences = Vec::new();
    let others = named(&code, depth, |module| kind(module).is_some());
    for other in others.into_iter().filter(|other| other != own) {
        let theirs = kind(&other);
        let fine = match what {
            Kind::Joint => true,
            Kind::Adapter | Kind::Shared => theirs == Some(Kind::Shared),
            Kind::Face => matches!(theirs, Some(Kind::Face | Kind::Shared)),
            Kind::Door => {
                matches!(theirs, Some(Kind::Face | Kind::Shared | Kind::Settings | Kind::Joint))
            }
            Kind::Settings => theirs.is_some_and(|theirs| theirs != Kind::Joint),
        };
        if !fine {
            offences.push(format!("{path}: {what:?} `{own}` imports `crate::{other}`"));
        }
    }
    for name in tree::segments(&code, "greenroom_actors") {
        let fine = match what {
            Kind::Joint => true,
            Kind::Adapter | Kind::Shared => FOR_ADAPTERS.contains(&name.as_str()),
            Kind::Face | Kind::Door | Kind::Settings => {
                FOR_FACES.contains(&name.as_str()) || name.starts_with(char::is_uppercase)
            }
        };
        if !fine {
            offences.push(format!("{path}: {what:?} `{own}` imports `greenroom_actors::{name}`"));
        }
    }
    if what != Kind::Joint && code.contains("greenroom_actors as ") {
        offences.push(format!("{path}: renames the runtime, which hides what is imported"));
    }
    offences
}

#[test]
fn actors_import_only_from_above() {
    none(tree::all().iter().flat_map(|source| actors(&source.path, &source.text)).collect());
}

#[test]
fn adapters_and_faces_meet_in_app_alone() {
    none(tree::all().iter().flat_map(|source| root(&source.path, &source.text)).collect());
}

#[test]
fn an_import_from_below_is_found() {
    let from = |path: &str, text: &str| actors(&format!("actors/src/{path}"), text);
    finds(&from("domain/ids.rs", "use crate::policy::turn;"), "from below");
    finds(&from("protocol/gate.rs", "use crate::{\n domain::ids,\n gate::Gate,\n};"), "from below");
    finds(&from("gate.rs", "use crate::ledger::Ledger;"), "actor `gate` imports actor `ledger`");
    finds(&from("session/effects.rs", "fn a() { crate::jobs::b() }"), "imports actor `jobs`");
    finds(&from("session/effects.rs", "use super::super::ledger;"), "imports actor `ledger`");
    finds(&from("session.rs", "use crate::Runtime;"), "has no layer");
    finds(&from("brand_new.rs", ""), "has no layer");
    assert!(from("session/effects.rs", "use super::inbox; use crate::session::Inbox;").is_empty());
    assert!(from("runtime.rs", "use crate::{registry, supervisor, domain};").is_empty());
    assert!(from("gate/tests.rs", "use crate::{ledger, testing};").is_empty());
    assert!(from("gate.rs", "#[cfg(test)]\nmod tests {\n    use crate::testing;\n}\n").is_empty());
}

#[test]
fn a_forbidden_word_in_a_low_layer_is_found() {
    let from = |path: &str, text: &str| actors(&format!("actors/src/{path}"), text);
    finds(&from("domain/ids.rs", "use tokio::sync::watch;"), "must not know `tokio`");
    finds(&from("policy/turn.rs", "use std::time::Duration;"), "must not know `std::time`");
    finds(&from("policy/turn.rs", "pub async fn step() {}"), "not async");
    finds(&from("ports.rs", "use ractor::ActorRef;"), "must not know `ractor`");
    finds(&from("protocol/gate.rs", "use crate::ports::Clock;"), "must not know `crate::ports`");
    assert!(from("policy/turn.rs", "/// Unlike tokio, async.\nfn step() {}").is_empty());
}

#[test]
fn an_adapter_that_knows_too_much_is_found() {
    let from = |path: &str, text: &str| root(&format!("src/{path}"), text);
    finds(
        &from("store.rs", "use greenroom_actors::{domain, Runtime};"),
        "greenroom_actors::Runtime",
    );
    finds(&from("tools/exec.rs", "use crate::store::Store;"), "imports `crate::store`");
    finds(&from("tools.rs", "use super::http;"), "imports `crate::http`");
    finds(&from("net.rs", "use crate::providers;"), "imports `crate::providers`");
    finds(&from("store.rs", "use greenroom_actors as runtime;"), "renames");
    finds(&from("store.rs", "use greenroom_actors::*;"), "greenroom_actors::*");
    finds(&from("novelty.rs", ""), "neither adapter nor face");
    assert!(from("providers/ollama.rs", "use crate::net; use greenroom_actors::ports;").is_empty());
}

#[test]
fn a_face_that_knows_an_adapter_is_found() {
    let from = |path: &str, text: &str| root(&format!("src/{path}"), text);
    finds(&from("http.rs", "use crate::store::Store;"), "imports `crate::store`");
    finds(&from("cli/demo.rs", "use crate::tools;"), "imports `crate::tools`");
    finds(&from("http.rs", "use crate::app;"), "imports `crate::app`");
    finds(&from("http.rs", "use greenroom_actors::ledger;"), "greenroom_actors::ledger");
    finds(&from("config.rs", "use crate::app;"), "imports `crate::app`");
    assert!(from("cli.rs", "use crate::app; use greenroom_actors::{domain, Runtime};").is_empty());
    assert!(from("app.rs", "use crate::{http, store}; use greenroom_actors::gate;").is_empty());
}
