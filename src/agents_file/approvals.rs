//! `[approvals]`: by which ways, beside the terminal, questions reach somebody who may answer. The user's
//! settings have the same table.

use std::path::PathBuf;

use crate::document::Section;

use super::providers::{self, KeyAt, SECRETS};

/// The ways that a file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvals {
    /// A folder in which questions and answers are files, relative to the file that names it.
    pub folder: Option<PathBuf>,
    /// An address that is told of each, and the key that this is signed with.
    pub webhook: Option<Webhook>,
    /// Whether the agent above the one that asks is asked.
    pub parent: bool,
}

/// An address that is told of each question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// Where the key is.
    pub key: KeyAt,
}

pub(crate) fn read(all: &Section<'_, '_>) -> Approvals {
    let Some(set) = all.section("approvals") else { return Approvals::default() };
    set.only(&["folder", "webhook", "parent"]);
    Approvals {
        folder: set.words("folder").map(|folder| PathBuf::from(folder.value)),
        webhook: set.section("webhook").and_then(|table| webhook(&table)),
        parent: set.flag("parent").unwrap_or_default(),
    }
}

fn webhook(table: &Section<'_, '_>) -> Option<Webhook> {
    providers::secrets(table);
    let known: Vec<&str> =
        ["url", "api_key_env", "api_key_file"].into_iter().chain(SECRETS).collect();
    table.only(&known);
    let missing = |key: &str, expected: &str| {
        if !table.has(key) {
            let what = format!("`webhook` without {key:?}");
            table.sheet.note(table.span.clone(), what, expected.to_owned());
        }
    };
    missing("url", "an address such as https://HOST/PATH");
    let is_named = ["api_key_env", "api_key_file"].iter().any(|key| table.has(key));
    if !is_named && !SECRETS.iter().any(|key| table.has(key)) {
        missing("api_key_env", providers::REFERENCE);
    }
    let url = table.words("url");
    let key = providers::key(table);
    Some(Webhook { url: url?.value, key: key? })
}
