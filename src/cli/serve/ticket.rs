//! Where a running server is found by the other commands on its machine: a file beside the store with
//! its address and token, that only its owner can read. It is written when the server listens and taken
//! away when it ends; one that a killed server left behind names a process that is not there.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, process::geteuid};
use serde::{Deserialize, Serialize};

/// What is in the file.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::cli) struct Ticket {
    /// Where the server listens.
    pub(in crate::cli) url: String,
    /// What lets in.
    pub(in crate::cli) token: String,
    /// The process that serves.
    pub(in crate::cli) pid: u32,
    #[serde(skip)]
    at: PathBuf,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket")
            .field("url", &self.url)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// The file, until it is dropped.
#[derive(Debug)]
pub(super) struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // Somebody may have taken it away already.
        let _gone = fs::remove_file(&self.0);
    }
}

impl Ticket {
    pub(super) fn new(store: &Path, url: &str, token: &str) -> Self {
        let (url, token) = (url.to_owned(), token.to_owned());
        Self { url, token, pid: std::process::id(), at: Self::path(store) }
    }

    /// Beside the store, under its name.
    pub(in crate::cli) fn path(store: &Path) -> PathBuf {
        let mut name = store.as_os_str().to_owned();
        name.push(".serve");
        name.into()
    }

    /// Writes it whole under another name first, so that nobody reads half of it.
    pub(super) fn write(&self) -> io::Result<Beside> {
        let fresh = self.at.with_extension("serve.new");
        // One that a kill left would keep its own mode.
        let _none = fs::remove_file(&fresh);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        fs::rename(&fresh, &self.at)?;
        Ok(Beside(self.at.clone()))
    }

    /// The ticket of the server on a store, where there is one: written by the process that holds the
    /// store now, and by nobody else. A killed server leaves its ticket behind, its number may be another
    /// process's by then, and in a folder of many anybody may have put it there.
    pub(in crate::cli) fn read(store: &Path, holder: Option<u32>) -> Option<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(Self::path(store))
            .ok()?;
        let about = file.metadata().ok()?;
        let is_ours =
            about.is_file() && about.uid() == geteuid().as_raw() && about.mode() & 0o77 == 0;
        if !is_ours {
            return None;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let ticket: Self = serde_json::from_str(&text).ok()?;
        (holder == Some(ticket.pid)).then_some(ticket)
    }
}
