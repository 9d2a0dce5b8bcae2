//! What rules keep from a tool that goes through a tree or starts who does.

use std::{fmt, sync::Arc};

use crate::domain::permission::Trees;

/// What rules keep from a tool below the path that it was permitted: one that goes through a tree
/// asks about each path, for permission was asked about the first alone. One that starts processes
/// hides and keeps from them what it says, for nobody asks about what those open.
#[derive(Clone)]
pub struct Sight {
    hides: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    keeps: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    trees: Option<Trees>,
}

impl Sight {
    /// Passes by what `hides` says.
    #[must_use]
    pub fn new(hides: Arc<dyn Fn(&str) -> bool + Send + Sync>) -> Self {
        Self { hides, ..Self::default() }
    }

    /// And leaves what `keeps` says as it is.
    #[must_use]
    pub fn keeping(self, keeps: Arc<dyn Fn(&str) -> bool + Send + Sync>) -> Self {
        Self { keeps, ..self }
    }

    /// Within these folders.
    #[must_use]
    pub fn within(self, trees: Option<Trees>) -> Self {
        Self { trees, ..self }
    }

    /// Whether an absolute path must be passed by: neither shown nor entered.
    #[must_use]
    pub fn hides(&self, path: &str) -> bool {
        (self.hides)(path)
    }

    /// Whether a process must not change what lies at an absolute path.
    #[must_use]
    pub fn keeps(&self, path: &str) -> bool {
        (self.keeps)(path)
    }

    /// The folders that processes are held to, where fences say which.
    #[must_use]
    pub const fn trees(&self) -> Option<&Trees> {
        self.trees.as_ref()
    }
}

impl Default for Sight {
    /// Nothing is kept.
    fn default() -> Self {
        Self { hides: Arc::new(|_path| false), keeps: Arc::new(|_path| false), trees: None }
    }
}

impl fmt::Debug for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sight")
    }
}
