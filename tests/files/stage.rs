//! A workspace in a folder of its own, an outside beside it that must never be touched or told, and
//! the tools as a session would call them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use greenroom::{
    Args, Tool, ToolCtx, ToolOutcome,
    tools::files::{Options, Root, tools},
};
use greenroom_actors::{
    ports::{Cancel, Probe},
    testing::harness::{bounded, tool_ctx},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What stands in the files outside: it must never be in an answer.
pub const CANARY: &str = "CANARY-4711";

pub struct Stage {
    folder: TempDir,
    tools: Vec<Arc<dyn Tool>>,
    cwd: Option<String>,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other options than usual.
    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ws", "ws_evil", "outside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("secret.txt"), CANARY).unwrap();
        }
        fs::remove_file(folder.path().join("ws/secret.txt")).unwrap();
        let root = Root { path: folder.path().join("ws"), writable: true };
        let mut options = Options { roots: vec![root], ..Options::default() };
        change(&mut options);
        Self { tools: tools(&options).unwrap(), folder, cwd: None }
    }

    /// The same tools, called by a host that stands in this folder.
    pub fn standing_in(mut self, cwd: impl Into<String>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// A path in the workspace.
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("ws").join(path)
    }

    pub fn outside(&self, path: &str) -> PathBuf {
        self.folder.path().join("outside").join(path)
    }

    /// The folder that all of it lies in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into the workspace, and folders above it.
    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn tool(&self, name: &str) -> Arc<dyn Tool> {
        Arc::clone(self.tools.iter().find(|tool| tool.spec().name.as_str() == name).unwrap())
    }

    pub fn ctx(&self, cancel: Cancel) -> ToolCtx {
        ToolCtx { cwd: self.cwd.clone(), ..tool_ctx(cancel) }
    }

    pub async fn call(&self, name: &str, args: Value) -> ToolOutcome {
        let (_wish, cancel) = Cancel::channel();
        let (tool, args) = (self.tool(name), Args(args.to_string()));
        assert_eq!(tool.check(&args), Ok(()), "the arguments fit");
        bounded(name, tool.run(self.ctx(cancel), args)).await
    }

    /// What it answers; a failure fails the test.
    pub async fn done(&self, name: &str, args: Value) -> String {
        match self.call(name, args.clone()).await {
            ToolOutcome::Done { output } => output.shown().to_owned(),
            other => panic!("{name} {args}: {other:?}"),
        }
    }

    /// What it says when it refuses; anything else fails the test.
    pub async fn refused(&self, name: &str, args: Value) -> String {
        match self.call(name, args.clone()).await {
            ToolOutcome::Failed { output } => output.shown().to_owned(),
            other => panic!("{name} {args}: {other:?}"),
        }
    }

    pub async fn probe(&self, name: &str, args: Value) -> Probe {
        let (_wish, cancel) = Cancel::channel();
        bounded(name, self.tool(name).probe(self.ctx(cancel), Args(args.to_string()))).await
    }

    /// Every way in to a path, with what each answers: reads, lists, searches, writes and edits.
    pub async fn every_way(&self, path: &str) -> Vec<(&'static str, ToolOutcome)> {
        let edits = json!([{"old_text": "CANARY", "new_text": "x"}]);
        let mut all = Vec::new();
        for (name, args) in [
            ("read_file", json!({ "path": path })),
            ("list_files", json!({ "path": path })),
            ("search_files", json!({ "path": path, "pattern": "CANARY" })),
            ("write_file", json!({ "path": path, "content": "x", "replace": true })),
            ("edit_file", json!({ "path": path, "edits": edits })),
        ] {
            all.push((name, self.call(name, args).await));
        }
        all
    }

    /// The outside is as it was.
    pub fn outside_is_untouched(&self) {
        for name in ["outside", "ws_evil"] {
            let found: Vec<String> = fs::read_dir(self.folder.path().join(name))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            assert_eq!(found, ["secret.txt"], "{name}");
            let text = fs::read_to_string(self.folder.path().join(name).join("secret.txt"));
            assert_eq!(text.unwrap(), CANARY, "{name}");
        }
    }
}
