//! Why a file tool did nothing: one enum, since the tools branch on some of it, with words that a
//! model can mend its call by. A path in it is as the model gave it or as the root names it.

use std::io;

use crate::typed::{Stopped, ToolError};

/// Why nothing was opened or changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// No path that could be.
    #[error("{shown:?} is no path: {why}")]
    NoPath {
        /// What was given.
        shown: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Not beneath a root.
    #[error("{path} is outside of what may be reached; it must lie beneath {roots}")]
    Outside {
        /// What was asked for.
        path: String,
        /// The roots.
        roots: String,
    },
    /// Beneath a root that is for reading.
    #[error("{path} lies in a folder that may only be read")]
    ReadOnly {
        /// What was to be written.
        path: String,
    },
    /// A name that is kept from tools.
    #[error("{path} must not be {verb} by tools, whether it exists or not: {why}")]
    Protected {
        /// What was asked for.
        path: String,
        /// What was to be done with it.
        verb: &'static str,
        /// Why it is kept.
        why: &'static str,
    },
    /// A symbolic link on the way.
    #[error("{link} is a symbolic link, and links are not followed; {hint}")]
    Link {
        /// The link.
        link: String,
        /// What can be done.
        hint: String,
    },
    /// Another file system is mounted on the way.
    #[error("{path} lies on another file system than its root, which is not crossed")]
    Mount {
        /// What was asked for.
        path: String,
    },
    /// There is nothing.
    #[error("{path} does not exist{hint}")]
    Missing {
        /// What was asked for.
        path: String,
        /// What may have been meant.
        hint: String,
    },
    /// Something is there that is not what the tool works on.
    #[error("{path} is {is}; {hint}")]
    Kind {
        /// What was asked for.
        path: String,
        /// What it is.
        is: &'static str,
        /// What can be done.
        hint: &'static str,
    },
    /// It has a second name, which may stand outside.
    #[error(
        "{path} has {names} names (hard links), and another may stand outside of what may be \
         reached; copy it to a file of its own first"
    )]
    HardLinks {
        /// What was asked for.
        path: String,
        /// How many.
        names: String,
    },
    /// Too much.
    #[error("{path} has {bytes} bytes, {most} are the most; {hint}")]
    TooLarge {
        /// What was asked for.
        path: String,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        most: u64,
        /// What can be done.
        hint: &'static str,
    },
    /// Another writer was there in the meantime.
    #[error("{path} was changed by somebody else in the meantime; read it again")]
    Changed {
        /// What was to be written.
        path: String,
    },
    /// The arguments do not fit what is there.
    #[error("{0}")]
    Misfit(String),
    /// The system.
    #[error("{what} {path}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// With what.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody wants it stopped, and nothing was changed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Refusal {
    /// A failure of the system.
    pub(super) fn io(
        what: &'static str,
        path: impl Into<String>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io { what, path: path.into(), source: source.into() }
    }

    /// As a tool reports it.
    pub(super) fn told(self) -> ToolError {
        if let Self::Stopped(stopped) = self { Box::new(stopped) } else { Box::new(self) }
    }
}
