//! The environment's variables by name, for credentials: which of them are some only a preset or an
//! agents file says. Nothing here is printed, and what is found stays wrapped.

use std::{collections::BTreeMap, ffi::OsString, fmt, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};

/// Variables of the environment as they were at the start. Clones share them.
#[derive(Clone, Default)]
pub struct Variables(Arc<BTreeMap<String, SecretString>>);

impl Variables {
    pub(super) fn found(all: &BTreeMap<OsString, OsString>) -> Self {
        let text = |(name, value): (&OsString, &OsString)| {
            Some((name.to_str()?.to_owned(), SecretString::from(value.to_str()?)))
        };
        Self(Arc::new(all.iter().filter_map(text).collect()))
    }

    /// What a variable holds; nothing where it is not set, empty, or no text.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<SecretString> {
        self.0.get(name).cloned()
    }
}

impl PartialEq for Variables {
    fn eq(&self, other: &Self) -> bool {
        let same = |((a, x), (b, y)): ((&String, &SecretString), (&String, &SecretString))| {
            a == b && x.expose_secret() == y.expose_secret()
        };
        self.0.len() == other.0.len() && self.0.iter().zip(other.0.iter()).all(same)
    }
}

impl Eq for Variables {}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Variables").field(&self.0.len()).finish()
    }
}
