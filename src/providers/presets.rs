//! The providers that need no address: what each is called, where it is, which format it speaks,
//! which variables hold its key and its address, and in what it differs. They are data; a provider
//! that is none of these is set up by its address and its format.
//!
//! A name that once led somewhere, or leads to nothing that a key opens, is known as well, so that
//! it fails with what to use instead.

mod table;
#[cfg(test)]
mod tests;

use super::{Kind, Quirks};

/// A provider that is known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// Its format.
    pub kind: Kind,
    /// Where its paths begin; none where each customer has an address of their own. `{project}`
    /// and `{location}` stand for what the setup says.
    pub base_url: Option<&'static str>,
    /// What follows an address that names a server alone, as the variables below may do.
    pub base_path: &'static str,
    /// Variables that hold another address, the first that is set.
    pub base_variables: &'static [&'static str],
    /// Whether it needs a key.
    pub key: KeyNeed,
    /// Variables that hold its key, the first that is set.
    pub key_variables: &'static [&'static str],
    /// In what it differs, where it speaks Chat Completions.
    pub quirks: Quirks,
}

/// Whether a provider needs a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNeed {
    /// It answers nobody without.
    Needed,
    /// It may, as a server of one's own does: sent where there is one.
    Optional,
}

/// Why a name leads to no provider.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnknownProvider {
    /// Nobody knows it.
    #[error("there is no provider {name:?}{}", near.map_or_else(String::new, |near| format!("; did you mean {near:?}?")))]
    Unknown {
        /// What was said.
        name: String,
        /// What was probably meant.
        near: Option<&'static str>,
    },
    /// It is known, and cannot be used.
    #[error("provider {name:?} cannot be used: {why}")]
    Gone {
        /// What was said.
        name: String,
        /// Why, and what to use instead.
        why: &'static str,
    },
}

/// The provider of this name, or alias; letter case, `-` and `_` make no difference.
///
/// # Errors
/// When there is none, with what was probably meant, or what to use instead.
pub fn preset(name: &str) -> Result<&'static Preset, UnknownProvider> {
    let wanted = plain(name);
    let is = |known: &str| plain(known) == wanted;
    let found = table::PRESETS.iter().find(|preset| preset.names().any(is));
    if let Some(preset) = found {
        return Ok(preset);
    }
    let gone = table::GONE.iter().find(|(names, _)| names.iter().copied().any(is));
    Err(match gone {
        Some((_, why)) => UnknownProvider::Gone { name: name.to_owned(), why },
        None => UnknownProvider::Unknown { name: name.to_owned(), near: near(&wanted) },
    })
}

/// All of them, in the order of their table.
#[must_use]
pub fn presets() -> &'static [Preset] {
    table::PRESETS
}

impl Preset {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

fn plain(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(['-', ' ', '.'], "_")
}

/// The name that is fewest mistakes away, if those are at most a third of its letters.
fn near(wanted: &str) -> Option<&'static str> {
    let names = table::PRESETS.iter().flat_map(Preset::names);
    let far = names.map(|known| (strsim::damerau_levenshtein(&plain(known), wanted), known));
    let (mistakes, known) = far.min_by_key(|(mistakes, _)| *mistakes)?;
    (mistakes * 3 <= known.len()).then_some(known)
}
