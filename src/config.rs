//! What is set and by whom. Here is the only reader of the environment; what it finds is a value
//! that the rest is given, so that a test can give another one. `settings` lays the environment over
//! the project's and the user's file and over what is built in.

mod collector;
mod policy;
mod settings;
mod variables;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use crate::{net::Proxies, telemetry::redact::Secrets};

pub use collector::Unfit;
pub use policy::PolicyFile;
pub(crate) use settings::FILE;
pub use settings::{Origin, Row, Settings, Sourced};
pub use variables::Variables;

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
    /// Through whom vendors are reached: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` for what these
    /// leave out, and `NO_PROXY`; in small letters as well, which go first.
    pub proxies: Proxies,
    /// What of it is a secret by its name or stands in an address, and whatever else is learnt to be
    /// one later.
    pub secrets: Secrets,
    /// Everything else by its name: which variables hold credentials, presets and files say.
    pub variables: Variables,
}

impl Environment {
    /// Reads the environment of this process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn read() -> Self {
        Self::found(std::env::vars_os())
    }

    /// Reads an environment. A variable that is empty is not set.
    pub(crate) fn found(all: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let all: BTreeMap<OsString, OsString> =
            all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let set = |name: &str| all.get(OsStr::new(name)).cloned();
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| set(name).map(PathBuf::from);
        let either = |name: &str| text(name).or_else(|| text(&name.to_ascii_uppercase()));
        let below = |name: &str, folder: &str| path(name).map(|path| path.join(folder));
        let variables = Variables::found(&all);
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
            proxies: Proxies {
                http: either("http_proxy").or_else(|| either("all_proxy")),
                https: either("https_proxy").or_else(|| either("all_proxy")),
                except: either("no_proxy"),
            },
            secrets: variables.secrets(),
            variables,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&str, &str)]) -> Environment {
        Environment::found(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn an_empty_variable_is_not_set_and_a_width_that_is_no_number_is_ignored() {
        let bare = with(&[("COLUMNS", "wide")]);
        assert_eq!(bare.columns, None);
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

    #[test]
    fn a_proxy_for_everything_serves_what_no_other_one_does() {
        let check = |found: Environment, http: Option<&str>, https: Option<&str>| {
            let Proxies { http: is_http, https: is_https, .. } = &found.proxies;
            assert_eq!((is_http.as_deref(), is_https.as_deref()), (http, https));
        };
        check(with(&[]), None, None);
        check(with(&[("ALL_PROXY", "a")]), Some("a"), Some("a"));
        check(with(&[("ALL_PROXY", "a"), ("HTTPS_PROXY", "b")]), Some("a"), Some("b"));
        check(with(&[("HTTP_PROXY", "a"), ("http_proxy", "b")]), Some("b"), None);
        let except = with(&[("NO_PROXY", "x, .y"), ("HTTP_PROXY", "http://me:hush@p")]).proxies;
        assert_eq!(except.except.as_deref(), Some("x, .y"));
        assert!(!format!("{except:?}").contains("hush"), "{except:?}");
    }

    #[test]
    fn a_variable_is_found_by_its_name_and_shown_by_nobody() {
        let found = with(&[("SOME_KEY", "hush"), ("EMPTY", "")]);
        assert!(found.variables.find("SOME_KEY").is_some());
        assert!(found.variables.find("EMPTY").is_none());
        assert!(!format!("{found:?}").contains("hush"), "{found:?}");
    }
}
