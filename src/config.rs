//! What is set and by whom. Here is the only reader of the environment; what it finds is a value
//! that the rest is given, so that a test can give another one. `settings` lays the environment over
//! the project's and the user's file and over what is built in.

mod policy;
mod settings;

use std::{ffi::OsString, path::PathBuf};

pub use policy::PolicyFile;
pub use settings::{Origin, Row, Settings, Sourced};

/// What the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `GREENROOM_STORE`: the store that commands use.
    pub store: Option<PathBuf>,
    /// `GREENROOM_AGENTS`: the agents file that `run` uses.
    pub agents: Option<PathBuf>,
    /// Where the user's settings are: `GREENROOM_HOME`, or `greenroom` below `XDG_CONFIG_HOME`, or
    /// below `.config` in `HOME`.
    pub settings: Option<PathBuf>,
    /// `HOME`: what `~/` stands for in rules.
    pub home: Option<PathBuf>,
    /// `RUST_LOG`: which log lines go to stderr.
    pub log: Option<String>,
    /// `NO_COLOR`: set and not empty, nothing is coloured.
    pub is_plain: bool,
    /// `COLUMNS`: how wide to print where there is no terminal to ask.
    pub columns: Option<usize>,
    /// Where throw-away folders go (`TMPDIR`).
    pub temp: PathBuf,
}

impl Environment {
    /// Reads the environment of this process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn read() -> Self {
        Self::found(|name| std::env::var_os(name))
    }

    /// Reads an environment. A variable that is empty is not set.
    fn found(find: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| find(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| set(name).map(PathBuf::from);
        let below = |name: &str, folder: &str| path(name).map(|path| path.join(folder));
        Self {
            store: path("GREENROOM_STORE"),
            agents: path("GREENROOM_AGENTS"),
            settings: path("GREENROOM_HOME")
                .or_else(|| below("XDG_CONFIG_HOME", "greenroom"))
                .or_else(|| below("HOME", ".config/greenroom")),
            home: path("HOME"),
            log: text("RUST_LOG"),
            is_plain: set("NO_COLOR").is_some(),
            columns: text("COLUMNS").and_then(|columns| columns.parse().ok()),
            temp: path("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&str, &str)]) -> Environment {
        Environment::found(move |name| {
            let pair = pairs.iter().find(|(known, _)| *known == name);
            pair.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn an_empty_variable_is_not_set_and_a_width_that_is_no_number_is_ignored() {
        let bare = with(&[]);
        assert_eq!(with(&[("NO_COLOR", ""), ("GREENROOM_STORE", ""), ("COLUMNS", "wide")]), bare);
        let full = with(&[("NO_COLOR", "0"), ("GREENROOM_STORE", "a.db"), ("COLUMNS", "72")]);
        assert!(full.is_plain);
        assert_eq!((full.store, full.columns), (Some("a.db".into()), Some(72)));
    }

    #[test]
    fn the_users_settings_are_found_by_the_first_name_that_is_set() {
        let check = |found: Environment, path: Option<&str>| {
            assert_eq!(found.settings, path.map(PathBuf::from));
        };
        check(with(&[]), None);
        check(with(&[("HOME", "/h")]), Some("/h/.config/greenroom"));
        check(with(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), Some("/x/greenroom"));
        check(with(&[("GREENROOM_HOME", "/g"), ("XDG_CONFIG_HOME", "/x")]), Some("/g"));
    }
}
