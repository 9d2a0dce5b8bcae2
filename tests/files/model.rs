//! The opener held against a tree in memory: whatever names, links and second names there are, and
//! whatever path is asked for, the tools do what the tree says and nothing else.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

use greenroom::ToolOutcome;
use proptest::prelude::*;
use serde_json::json;

use crate::stage::Stage;

/// What stands at a path in the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    File(String),
    Folder,
    /// Whatever it points at.
    Link,
    /// A second name of the file outside.
    Second,
}

/// What somebody does to the workspace, or asks a tool to do.
#[derive(Clone, Debug)]
enum Act {
    Folder(String),
    Link(String, String),
    Second(String),
    Write(String, String),
    Read(String),
    List(String),
}

#[derive(Debug, Default)]
struct Tree(BTreeMap<Vec<String>, Node>);

/// What a path comes to.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    Outside,
    /// A name that is kept.
    Kept,
    /// A link, or something that is no folder, on the way.
    Blocked,
    Missing,
    Found(Node),
}

impl Tree {
    fn parts(path: &str) -> Option<Vec<String>> {
        let mut parts = vec!["ws".to_owned()];
        if path.starts_with('/') {
            parts.clear();
        }
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                name => parts.push(name.to_owned()),
            }
        }
        (parts.first().is_some_and(|first| first == "ws")).then(|| parts.split_off(1))
    }

    fn meet(&self, path: &str, writes: bool) -> Met {
        let Some(parts) = Self::parts(path) else { return Met::Outside };
        if parts.iter().any(|part| part == ".env" || (writes && part == ".git")) {
            return Met::Kept;
        }
        for end in 1..parts.len() {
            match self.0.get(&parts[..end]) {
                Some(Node::Folder) => {}
                None => return Met::Missing,
                Some(Node::File(_) | Node::Link | Node::Second) => return Met::Blocked,
            }
        }
        if parts.is_empty() {
            return Met::Found(Node::Folder);
        }
        self.0.get(&parts).map_or(Met::Missing, |node| Met::Found(node.clone()))
    }

    /// Whether somebody with a shell could make this here.
    fn is_free(&self, parts: &[String]) -> bool {
        let above = parts.split_last().map(|(_, above)| above);
        !self.0.contains_key(parts)
            && above
                .is_some_and(|above| above.is_empty() || self.0.get(above) == Some(&Node::Folder))
    }

    fn list(&self, parts: &[String]) -> Vec<String> {
        let below = self.0.iter().filter(|(path, _)| path.len() > parts.len());
        let below = below.filter(|(path, _)| path.starts_with(parts));
        let below = below.filter(|(path, _)| {
            // Nothing below .git, unless the walk began there.
            let inside = path.iter().skip(parts.len());
            let folders = (parts.len() + 1..=path.len())
                .filter(|end| self.0.get(&path[..*end]) == Some(&Node::Folder));
            inside.clone().all(|part| part != ".git")
                || folders.map(|end| &path[end - 1]).all(|part| part != ".git")
        });
        let mut lines: Vec<String> = below
            .map(|(path, node)| {
                let mark = match node {
                    Node::File(_) | Node::Second => "",
                    Node::Folder => "/",
                    Node::Link => " (link)",
                };
                format!("{}{mark}", path.join("/"))
            })
            .collect();
        lines.sort();
        lines
    }
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", ".git", ".env"]).prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        12 => name(),
        1 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just(String::new()),
    ];
    let start =
        prop_oneof![8 => Just(""), 1 => Just("../"), 1 => Just("../ws/"), 1 => Just("../outside/")];
    (start, prop::collection::vec(part, 1..4))
        .prop_map(|(start, parts)| format!("{start}{}", parts.join("/")))
        .prop_filter("an empty path is none", |path| !path.is_empty())
}

fn act() -> impl Strategy<Value = Act> {
    let target = prop_oneof![
        path(),
        Just("../outside/secret.txt".to_owned()),
        Just("/etc".to_owned()),
        Just(".".to_owned())
    ];
    prop_oneof![
        3 => path().prop_map(Act::Folder),
        3 => (path(), target).prop_map(|(at, to)| Act::Link(at, to)),
        1 => path().prop_map(Act::Second),
        6 => (path(), "[a-z]{1,8}").prop_map(|(at, text)| Act::Write(at, text)),
        6 => path().prop_map(Act::Read),
        2 => path().prop_map(Act::List),
    ]
}

async fn play(stage: &Stage, tree: &mut Tree, act: &Act) {
    let free = |tree: &Tree, path: &str| Tree::parts(path).filter(|parts| tree.is_free(parts));
    match act {
        Act::Folder(path) => {
            if let Some(parts) = free(tree, path) {
                fs::create_dir(stage.at(&parts.join("/"))).unwrap();
                tree.0.insert(parts, Node::Folder);
            }
        }
        Act::Link(path, to) => {
            if let Some(parts) = free(tree, path) {
                symlink(to, stage.at(&parts.join("/"))).unwrap();
                tree.0.insert(parts, Node::Link);
            }
        }
        Act::Second(path) => {
            if let Some(parts) = free(tree, path) {
                fs::hard_link(stage.outside("secret.txt"), stage.at(&parts.join("/"))).unwrap();
                tree.0.insert(parts, Node::Second);
            }
        }
        Act::Write(path, text) => {
            let args = json!({ "path": path, "content": text, "replace": true });
            let outcome = stage.call("write_file", args).await;
            let met = tree.meet(path, true);
            let may = matches!(met, Met::Missing | Met::Found(Node::File(_)));
            assert_eq!(matches!(outcome, ToolOutcome::Done { .. }), may, "{met:?} {outcome:?}");
            if may {
                let parts = Tree::parts(path).unwrap();
                for end in 1..parts.len() {
                    tree.0.insert(parts[..end].to_vec(), Node::Folder);
                }
                tree.0.insert(parts, Node::File(text.clone()));
            }
        }
        Act::Read(path) => {
            let outcome = stage.call("read_file", json!({ "path": path })).await;
            match (tree.meet(path, false), &outcome) {
                (Met::Found(Node::File(text)), ToolOutcome::Done { output }) => {
                    assert_eq!(output.shown(), format!("1\t{text}"));
                }
                (Met::Found(Node::File(_)), other) => panic!("not read: {other:?}"),
                (_, ToolOutcome::Failed { .. }) => {}
                (met, other) => panic!("{met:?} {other:?}"),
            }
        }
        Act::List(path) => {
            let args = json!({ "path": path, "ignored": true });
            let outcome = stage.call("list_files", args).await;
            match (tree.meet(path, false), &outcome) {
                (Met::Found(Node::Folder), ToolOutcome::Done { output }) => {
                    let parts = Tree::parts(path).unwrap();
                    let mut lines: Vec<&str> = output
                        .shown()
                        .lines()
                        .filter(|line| !line.starts_with("[nothing"))
                        .collect();
                    lines.sort_unstable();
                    assert_eq!(lines, tree.list(&parts));
                }
                (Met::Found(Node::Folder), other) => panic!("not listed: {other:?}"),
                (_, ToolOutcome::Failed { .. }) => {}
                (met, other) => panic!("{met:?} {other:?}"),
            }
        }
    }
}

/// What really stands in the workspace.
fn real(stage: &Stage, tree: &Tree) {
    for (parts, node) in &tree.0 {
        let path = stage.at(&parts.join("/"));
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        match node {
            Node::File(text) => assert_eq!(&fs::read_to_string(&path).unwrap(), text),
            Node::Folder => assert!(kind.is_dir()),
            Node::Link => assert!(kind.is_symlink()),
            Node::Second => assert!(kind.is_file()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tools_do_what_a_tree_in_memory_says(acts in prop::collection::vec(act(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (stage, mut tree) = (Stage::new(), Tree::default());
            for act in &acts {
                play(&stage, &mut tree, act).await;
            }
            real(&stage, &tree);
            stage.outside_is_untouched();
        });
    }
}
