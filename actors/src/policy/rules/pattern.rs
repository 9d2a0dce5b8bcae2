//! The grammar: `Tool` or `Tool(spec)`. Reading a pattern either gives one meaning or an error that
//! says what was expected, where, and how to mend it; nothing is guessed.
//!
//! | Pattern | Matches |
//! | --- | --- |
//! | `fetch`, `*`, `mcp__git__*` | the tool of that name, `*` being any text |
//! | `mcp__git` | every tool of that server |
//! | `Bash(git:*)`, `Bash(git *)` | the command `git`, bare or with words after it |
//! | `Bash(git push)` | exactly that command; `*` anywhere is any text |
//! | `exec(git push)` | the same, only where it is run without a shell |
//! | `Read(//etc/**)`, `~/…`, `/…`, `./…` | paths from the root, home, the rule's settings, the cwd |
//! | `WebFetch(domain:x.org)` | addresses at that host |
//! | `Tool(key:glob)` | the argument `key` |
//! | `Tool(glob)` | the canonical arguments, or the only argument when that is a string |
//!
//! `key` is letters, digits, `_`, `-`, `.`; a colon before `//` belongs to an address, not to a key.

use crate::{domain::permission::RulePattern, limits};

use super::{
    Side, facts,
    glob::Glob,
    path::PathGlob,
    shell,
    tools::{self, Kind, Row, TABLE},
};

/// A pattern that has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read rule {pattern:?}{}: at character {at} expected {}; {}", named(.layer.as_deref()), .fault.expected(), .fault.mend())]
pub struct RuleError {
    /// The rule as written, cut to a readable length.
    pub pattern: String,
    /// Where in it, in characters from 0.
    pub at: usize,
    /// What is wrong.
    pub fault: Fault,
    /// The layer and list it stands in, where known.
    pub layer: Option<String>,
}

/// What can be wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing there.
    NoName,
    /// A character that no tool name has.
    BadName,
    /// An opening bracket without its end.
    Unclosed,
    /// Something after the closing bracket.
    AfterEnd,
    /// Nothing between the brackets.
    NoSpec,
    /// `:*` before the end of a command.
    ColonInside,
    /// A `[` in a path that is never closed, or a `!` in front.
    BadPath,
    /// `domain:` without a plain host.
    BadDomain,
    /// Longer than a rule may be.
    TooLong,
}

impl Fault {
    /// What would have been right.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::NoName => "a tool name",
            Self::BadName => "a letter, a digit, or one of _ - . / : *",
            Self::Unclosed => "`)` as the last character",
            Self::AfterEnd => "nothing after `)`",
            Self::NoSpec => "something between the brackets",
            Self::ColonInside => "`:*` only at the end",
            Self::BadPath => "a path in gitignore syntax",
            Self::BadDomain => "a host such as example.org or *.example.org",
            Self::TooLong => "a shorter rule",
        }
    }

    /// How to mend it.
    #[must_use]
    pub const fn mend(self) -> &'static str {
        match self {
            Self::NoName => "write `Tool` or `Tool(spec)`",
            Self::BadName => "put what the tool is asked to do in brackets: `Tool(spec)`",
            Self::Unclosed => "close the bracket",
            Self::AfterEnd => "write one rule per entry",
            Self::NoSpec => "write the tool's name alone to match every use of it",
            Self::ColonInside => "use `*` in the middle, as in `Bash(git * main)`",
            Self::BadPath => "close every `[`, and put exceptions into another list instead of `!`",
            Self::BadDomain => "leave out scheme, port and path",
            Self::TooLong => "use `*` for the long part",
        }
    }
}

fn named(layer: Option<&str>) -> String {
    layer.map(|layer| format!(" ({layer})")).unwrap_or_default()
}

/// A pattern with its meaning.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As written.
    pub(super) text: String,
    pub(super) name: Name,
    pub(super) spec: Option<Spec>,
    /// The rows of the table that the name means when it tightens, and when it allows.
    rows: (u16, u16),
}

/// Which tools.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Exact(String),
    Glob(Glob),
}

/// Which uses of them.
#[derive(Clone, Debug)]
pub(super) enum Spec {
    Command(shell::Spec),
    Path(PathGlob),
    Domain(String),
    Key { key: String, glob: Glob },
    Whole(Glob),
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn read(pattern: &RulePattern) -> Result<Self, RuleError> {
        let text = pattern.0.as_str();
        let error = |at: usize, fault| RuleError {
            pattern: text.chars().take(limits::RULE_SHOWN).collect(),
            at,
            fault,
            layer: None,
        };
        if text.len() > limits::RULE_BYTES {
            return Err(error(limits::RULE_BYTES, Fault::TooLong));
        }
        let (name, inside) = match text.split_once('(') {
            None => (text, None),
            Some((name, rest)) => (name, Some(rest)),
        };
        if name.is_empty() {
            return Err(error(0, Fault::NoName));
        }
        if let Some(at) = name.chars().position(|c| !is_name_char(c)) {
            return Err(error(at, Fault::BadName));
        }
        let start = name.chars().count() + 1;
        let spec = match inside {
            None => None,
            Some(rest) => match rest.rsplit_once(')') {
                None => return Err(error(start + rest.chars().count(), Fault::Unclosed)),
                Some((spec, "")) => {
                    Some(read_spec(name, spec).map_err(|fault| error(start, fault))?)
                }
                Some((spec, _)) => {
                    return Err(error(start + spec.chars().count() + 1, Fault::AfterEnd));
                }
            },
        };
        let name = if name.contains('*') {
            Name::Glob(Glob::text(name))
        } else {
            Name::Exact(name.to_owned())
        };
        let rows = |side| {
            let meant = |row: &&&'static Row| facts::names(&name, row.names[0], Some(row), side);
            TABLE.iter().filter(meant).fold(0, |rows, row| rows | row.bit)
        };
        let rows = (rows(Side::Tighten), rows(Side::Allow));
        Ok(Self { text: text.to_owned(), name, spec, rows })
    }

    /// Whether the name means a tool of the table.
    pub(super) const fn covers(&self, row: &Row, side: Side) -> bool {
        let rows = match side {
            Side::Tighten => self.rows.0,
            Side::Allow => self.rows.1,
        };
        rows & row.bit != 0
    }
}

const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '*')
}

fn read_spec(name: &str, spec: &str) -> Result<Spec, Fault> {
    if spec.trim().is_empty() {
        return Err(Fault::NoSpec);
    }
    match tools::row(name).map(|row| row.kind) {
        Some(Kind::Shell | Kind::Argv) => read_command(spec),
        Some(Kind::Path) => PathGlob::read(spec).map(Spec::Path).ok_or(Fault::BadPath),
        Some(Kind::Url) => match spec.strip_prefix("domain:") {
            Some(host) if is_host(host) => Ok(Spec::Domain(host.to_ascii_lowercase())),
            Some(_) => Err(Fault::BadDomain),
            None => Ok(read_generic(spec)),
        },
        None => Ok(read_generic(spec)),
    }
}

fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix("*.").unwrap_or(host);
    !bare.is_empty()
        && bare.split('.').all(|label| {
            !label.is_empty()
                && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        })
}

fn read_command(raw: &str) -> Result<Spec, Fault> {
    let spec = raw.split_whitespace().collect::<Vec<_>>().join(" ");
    // An escaped star is the character itself, so it opens nothing.
    let (head, open) = match spec.strip_suffix(":*").or_else(|| spec.strip_suffix(" *")) {
        Some(head) => (head, true),
        None => (spec.as_str(), false),
    };
    if head.contains(":*") {
        return Err(Fault::ColonInside);
    }
    if open && head.is_empty() {
        return Err(Fault::NoSpec);
    }
    Ok(Spec::Command(shell::Spec::new(head, open, raw)))
}

fn read_generic(spec: &str) -> Spec {
    let is_key = |key: &str| {
        !key.is_empty()
            && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    match spec.split_once(':') {
        Some((key, glob)) if is_key(key) && !glob.starts_with("//") => {
            Spec::Key { key: key.to_owned(), glob: Glob::text(glob) }
        }
        Some(_) | None => Spec::Whole(Glob::text(spec)),
    }
}
