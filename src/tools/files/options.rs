//! What the file tools are offered with, the same on every system; also where there are none, for
//! settings name them there too.

use std::path::PathBuf;

/// Whose slots these tools take.
pub const POOL: &str = "files";

/// What they are called.
pub const NAMES: [&str; 6] =
    ["read_file", "write_file", "edit_file", "list_files", "search_files", "todo"];

/// A folder beneath which tools may work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Where it is.
    pub path: PathBuf,
    /// Whether tools may write there.
    pub writable: bool,
}

/// What tools may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The folders; relative paths begin in the first.
    pub roots: Vec<Root>,
    /// Files and folders of the runtime itself: neither read nor written.
    pub guarded: Vec<PathBuf>,
    /// Whether files with several names are read and written. Another name may stand outside of
    /// every root, where somebody linked it to be read.
    pub hard_links: bool,
}

/// Why the file tools cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nowhere to work.
    #[error("offer file tools: there is no folder for them")]
    NoRoot,
    /// A root that cannot be used.
    #[error("offer file tools beneath {path}")]
    Root {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A root whose name models could not be told.
    #[error("offer file tools beneath {path}: its path is not UTF-8 text")]
    Name {
        /// Which.
        path: PathBuf,
    },
    /// A system that cannot resolve paths safely.
    #[error("offer file tools: they need openat2, which Linux alone has, since 5.6")]
    Kernel,
}
