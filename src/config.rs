//! The only reader of the environment. What it finds is a value that the rest is given, so that a
//! test can give another one. A flag of the command line goes before what stands here.

use std::{ffi::OsString, path::PathBuf};

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `GREENROOM_STORE`: the store that commands use.
    pub store: Option<PathBuf>,
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
        Self {
            store: set("GREENROOM_STORE").map(PathBuf::from),
            log: text("RUST_LOG"),
            is_plain: set("NO_COLOR").is_some(),
            columns: text("COLUMNS").and_then(|columns| columns.parse().ok()),
            temp: set("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set_and_a_width_that_is_no_number_is_ignored() {
        let with = |pairs: &'static [(&str, &str)]| {
            Environment::found(move |name| {
                let pair = pairs.iter().find(|(known, _)| *known == name);
                pair.map(|(_, value)| OsString::from(value))
            })
        };
        let bare = with(&[]);
        assert_eq!(with(&[("NO_COLOR", ""), ("GREENROOM_STORE", ""), ("COLUMNS", "wide")]), bare);
        let full = with(&[("NO_COLOR", "0"), ("GREENROOM_STORE", "a.db"), ("COLUMNS", "72")]);
        assert!(full.is_plain);
        assert_eq!((full.store, full.columns), (Some("a.db".into()), Some(72)));
    }
}
