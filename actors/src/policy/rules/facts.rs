//! A request as patterns see it, prepared once for all of them, and the answer of one pattern.

use serde_json::{Map, Value};

use crate::domain::permission::Request;

use super::{
    Match, Side,
    path::Bases,
    pattern::{Name, Pattern, Spec},
    shell::Command,
    tools::{self, Kind, Row},
    url,
};

const NO_OBJECT: Match = Match::Unclear("the arguments are not a JSON object");

/// A request, prepared.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    tool: &'a str,
    row: Option<&'static Row>,
    cwd: Option<&'a str>,
    args: Option<Map<String, Value>>,
    canonical: String,
    /// The argument that specs of this tool read; why it cannot be read otherwise.
    main: Result<String, &'static str>,
    command: Option<Command>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let row = tools::row(request.tool.as_str());
        let args = request.args.object().ok();
        let main = row.map_or(Err("the tool has no main argument"), |row| main(row, args.as_ref()));
        let command = match (&main, row.map(|row| row.kind)) {
            (Ok(text), Some(Kind::Shell)) => Some(Command::new(text)),
            _ => None,
        };
        Self {
            tool: request.tool.as_str(),
            row,
            cwd: request.cwd.as_deref(),
            args,
            canonical: request.args.canonical(),
            main,
            command,
        }
    }

    pub(super) const fn row(&self) -> Option<&'static Row> {
        self.row
    }

    pub(super) const fn main(&self) -> Option<&String> {
        match &self.main {
            Ok(text) => Some(text),
            Err(_) => None,
        }
    }

    pub(super) const fn command(&self) -> Option<&Command> {
        self.command.as_ref()
    }

    pub(super) fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Whether the pattern means this request.
    pub(super) fn fits(&self, pattern: &Pattern, side: Side, bases: Bases<'_>) -> Match {
        if !names(&pattern.name, self.tool, self.row, side) {
            return Match::No;
        }
        let Some(spec) = &pattern.spec else { return Match::Yes };
        if self.args.is_none() {
            return side.unless_allowing(NO_OBJECT);
        }
        match (self.row.map(|row| row.kind), spec) {
            (Some(Kind::Shell), Spec::Command { whole, more }) => match (&self.command, side) {
                (None, _) => side.unless_allowing(Match::Unclear("there is no command to read")),
                (Some(command), Side::Allow) => {
                    Match::when(command.is_allowed_by(whole, more.as_ref()))
                }
                (Some(command), Side::Tighten) => command.is_caught_by(whole, more.as_ref()),
            },
            (Some(Kind::Path), Spec::Path(glob)) => match &self.main {
                Ok(path) => glob.matches(path, Bases { cwd: self.cwd, ..bases }, side),
                Err(why) => side.unless_allowing(Match::Unclear(why)),
            },
            (_, Spec::Domain(wanted)) => self.at_host(wanted, side),
            (Some(Kind::Url), Spec::Key { .. } | Spec::Whole(_)) => {
                let plain = self.main.as_ref().is_ok_and(|url| url::host(url).is_some());
                if side == Side::Allow && !plain { Match::No } else { self.generic(spec, side) }
            }
            // A generic spec knows nothing of commands and paths, so it must not open them.
            (Some(_), Spec::Key { .. } | Spec::Whole(_)) if side == Side::Allow => Match::No,
            (_, Spec::Key { .. } | Spec::Whole(_)) => self.generic(spec, side),
            (_, Spec::Command { .. } | Spec::Path(_)) => Match::No,
        }
    }

    fn at_host(&self, wanted: &str, side: Side) -> Match {
        let Some(host) = self.main.as_ref().ok().and_then(|url| url::host(url)) else {
            return side.unless_allowing(Match::Unclear("the address has no plain host"));
        };
        let below =
            |parent: &str| host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
        Match::when(match (wanted.strip_prefix("*."), side) {
            (Some(parent), _) => below(parent),
            // Who forbids a host means what lies below it too; who allows it means just it.
            (None, Side::Tighten) => host == wanted || below(wanted),
            (None, Side::Allow) => host == wanted,
        })
    }

    fn generic(&self, spec: &Spec, side: Side) -> Match {
        let Some(args) = &self.args else { return side.unless_allowing(NO_OBJECT) };
        match spec {
            Spec::Key { key, glob } => match args.get(key) {
                None | Some(Value::Null) => Match::No,
                Some(Value::String(text)) => Match::when(glob.is_match(text)),
                Some(Value::Array(_) | Value::Object(_)) => {
                    side.unless_allowing(Match::Unclear("the argument is a list or an object"))
                }
                Some(plain @ (Value::Bool(_) | Value::Number(_))) => {
                    Match::when(glob.is_match(&plain.to_string()))
                }
            },
            Spec::Whole(glob) => {
                let mut strings = args.values().filter_map(Value::as_str);
                Match::when(
                    glob.is_match(&self.canonical)
                        || match side {
                            Side::Tighten => strings.any(|text| glob.is_match(text)),
                            Side::Allow => {
                                args.len() == 1
                                    && strings.all(|text| glob.is_match(text))
                                    && args.values().all(Value::is_string)
                            }
                        },
                )
            }
            Spec::Command { .. } | Spec::Path(_) | Spec::Domain(_) => Match::No,
        }
    }
}

/// Whether a rule's name means a tool, by any spelling of either.
pub(super) fn names(name: &Name, tool: &str, row: Option<&'static Row>, side: Side) -> bool {
    let spellings = row.map_or(&[] as &[&str], |row| row.names);
    let groups = row.map_or(&[] as &[&str], |row| row.covered_by);
    let mut all = std::iter::once(tool).chain(spellings.iter().copied());
    match name {
        Name::Glob(glob) => all.any(|name| glob.is_match(name)),
        Name::Exact(wanted) => {
            all.any(|name| name == wanted)
                || groups.contains(&wanted.as_str())
                || is_of_server(tool, wanted, side)
        }
    }
}

/// `mcp__server` means every tool of that server. Names may hold `__` themselves, so that the
/// server cannot always be told: what forbids takes the wider reading, what allows the narrower.
fn is_of_server(tool: &str, wanted: &str, side: Side) -> bool {
    let Some(server) = wanted.strip_prefix("mcp__") else { return false };
    let rest = tool
        .strip_prefix("mcp__")
        .and_then(|tail| tail.strip_prefix(server))
        .and_then(|tail| tail.strip_prefix("__"));
    match (rest, side) {
        (None, _) => false,
        (Some(_), Side::Tighten) => true,
        (Some(rest), Side::Allow) => {
            !server.contains("__") && !rest.is_empty() && !rest.contains("__")
        }
    }
}

fn main(row: &Row, args: Option<&Map<String, Value>>) -> Result<String, &'static str> {
    let args = args.ok_or("the arguments are not a JSON object")?;
    let mut found = row.args.iter().filter_map(|name| args.get(*name));
    let text = match found.next() {
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err("the argument that the rule reads is not a text"),
        None => return Err("the argument that the rule reads is missing"),
    };
    if found.next().is_some() {
        return Err("the argument that the rule reads is given twice");
    }
    match (row.kind, args.get("args")) {
        (Kind::Shell, Some(Value::Array(words))) => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            let words = words.ok_or("the command's words are not texts")?;
            Ok(format!("{text} {}", words.join(" ")))
        }
        (Kind::Shell, Some(_)) => Err("the command's words are not a list"),
        (Kind::Shell | Kind::Path | Kind::Url, _) => Ok(text),
    }
}
