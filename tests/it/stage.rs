//! The stage of the integration tests: a real SQLite file in a folder of its own, the real clock,
//! and a scripted model. `crash` throws everything in memory away; but the store is closed, so what
//! was on its way to the file still comes there. Where that could matter a process is killed: see
//! `killed`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom::{
    clock::SystemClock,
    store::{Store, StoreOptions},
};
use greenroom_actors::{Runtime, runtime::Deps, testing::harness::Harness};
use tempfile::TempDir;

/// A folder, gone with the test that made it; another process only plays in it.
pub struct Folder {
    path: PathBuf,
    _gone_with: Option<TempDir>,
}

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { path: folder.path().to_owned(), _gone_with: Some(folder) }
    }

    pub const fn of_another(path: PathBuf) -> Self {
        Self { path, _gone_with: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

pub struct Stage {
    pub folder: Folder,
    pub harness: Harness,
    pub store: Arc<Store>,
    pub runtime: Runtime,
}

pub fn deps(store: &Arc<Store>) -> Deps {
    Deps {
        journal: Arc::clone(store) as _,
        catalog: Arc::clone(store) as _,
        blobs: Arc::clone(store) as _,
        clock: Arc::new(SystemClock),
    }
}

pub fn open(path: &Path) -> Arc<Store> {
    Arc::new(Store::open(path, StoreOptions::default()).expect("open the store"))
}

/// Where the file of a stage stands.
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join("greenroom.db")
}

impl Stage {
    /// Starts with this script; `arrange` adds agents and tools.
    pub async fn set(script: &str, arrange: impl FnOnce(Harness) -> Harness) -> Self {
        Self::on(Folder::new(), script, arrange).await
    }

    /// The same in a folder where somebody may have played before.
    pub async fn on(
        folder: Folder,
        script: &str,
        arrange: impl FnOnce(Harness) -> Harness,
    ) -> Self {
        let store = open(&file_in(folder.path()));
        let harness = arrange(Harness::scripted(deps(&store), script));
        let runtime = harness.start().await;
        Self { folder, harness, store, runtime }
    }

    /// Ends in order and leaves its folder to whoever plays next.
    pub fn leaves(self) -> Folder {
        drop(self.runtime);
        self.store.close();
        self.folder
    }

    /// Everything in memory dies; the file is opened anew and a new runtime starts on it.
    pub async fn crash(self) -> Self {
        let Self { folder, mut harness, store, runtime } = self;
        drop(runtime);
        store.close();
        drop(store);
        let store = open(&file_in(folder.path()));
        // The clock goes on: it is the machine's, or a test's that counts sessions.
        harness.deps = Deps { clock: Arc::clone(&harness.deps.clock), ..deps(&store) };
        let runtime = harness.start().await;
        Self { folder, harness, store, runtime }
    }
}
