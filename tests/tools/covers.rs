//! What lies in the workspace and is not for processes: what rules deny, what is kept by its name, what
//! belongs to the runtime. The attacks are programs that were allowed for something else.

use std::{fs, os::unix::fs::symlink, path::PathBuf, sync::Arc};

use greenroom::{
    AgentSpec, Runtime, ToolOutcome,
    tools::{
        Exec, Shell,
        custody::{Layer, Options},
    },
};
use greenroom_actors::{
    domain::permission::{Bounds, Trees},
    ports::Sight,
};

use crate::hands::Hands;

const CANARY: &str = "canary-in-a-denied-file";

/// Rules that deny to read names, and to change others.
fn sight(hidden: &'static [&str], kept: &'static [&str]) -> Sight {
    let named = |names: &'static [&str]| {
        Arc::new(move |path: &str| {
            names.iter().any(|name| path.ends_with(name) || path.contains(&format!("{name}/")))
        })
    };
    Sight::new(named(hidden)).keeping(named(kept))
}

/// A workspace in which one file is denied, and all the ways to it that there are.
fn workspace(without: &[Layer]) -> Hands {
    let mut hands = Hands::with(Options { without: without.to_vec(), ..Options::default() });
    hands.sight = sight(&["/secret.txt", "/vault", "/vaults"], &["/fixed.txt", "/rules"]);
    let secret = hands.file("deep/er/secret.txt", CANARY);
    hands.file("vault/inner/key", CANARY);
    hands.file("fixed.txt", "as it was");
    hands.file("rules/one", "as it was");
    hands.file("plain.txt", "plain");
    symlink("deep/er/secret.txt", hands.folder.path().join("notes.txt")).unwrap();
    hands.file("elsewhere/key", CANARY);
    symlink("../elsewhere", hands.folder.path().join("deep/vaults")).unwrap();
    fs::hard_link(hands.folder.path().join("fixed.txt"), hands.folder.path().join("same.txt"))
        .unwrap();
    fs::hard_link(&secret, hands.folder.path().join("twin.txt")).unwrap();
    hands
}

/// Ways to read what is denied, or to be able to later.
const READING: [&str; 13] = [
    "grep -rq canary .",
    "cat deep/er/secret.txt",
    "cat notes.txt",
    "cat twin.txt",
    "cat vault/inner/key",
    "cat deep/vaults/key",
    "cp deep/er/secret.txt copy && cat copy",
    "ln deep/er/secret.txt other && cat other",
    "mv deep/er/secret.txt moved && cat moved",
    "mv deep shallow",
    "mv vault other",
    "rm -f deep/er/secret.txt && ! test -e deep/er/secret.txt",
    "chmod 777 vault deep/er/secret.txt",
];
/// Ways to change what is to stay as it is.
const WRITING: [&str; 8] = [
    "echo x >>fixed.txt",
    "echo x >>same.txt",
    "rm fixed.txt",
    "mv fixed.txt other",
    "touch -d 2001-01-01 fixed.txt",
    "echo x >rules/two",
    "mv rules other",
    "echo x >new && mv -f new fixed.txt",
];

#[tokio::test]
async fn what_rules_deny_is_hidden_from_every_process_of_a_call() {
    for attack in READING.into_iter().chain(WRITING) {
        let held = workspace(&[]);
        let told = held.shell(attack).await;
        assert!(!told.good, "{attack}: {told:?} under {}", held.custody.level());
        // Without mounts alone it comes through.
        let free = workspace(&[Layer::Mounts]);
        let told = free.shell(attack).await;
        assert!(told.good, "something else stops {attack}: {told:?}");
    }
    let held = workspace(&[]);
    let told = held.shell("cat plain.txt fixed.txt rules/one; ls deep/er; echo new >made").await;
    assert_eq!(told.fine(), "plainas it wasas it wassecret.txt\n");
    let outside = |path: &str| fs::read_to_string(held.folder.path().join(path)).unwrap();
    assert_eq!((outside("twin.txt").as_str(), outside("made").as_str()), (CANARY, "new\n"));
}

#[tokio::test]
async fn what_a_process_makes_under_a_denied_name_is_its_own() {
    let hands = workspace(&[]);
    let made = "mkdir -p new && echo mine >new/secret.txt && cat new/secret.txt";
    assert_eq!(hands.shell(made).await.fine(), "mine\n");
    hands.shell("cat new/secret.txt").await.bad();
}

#[tokio::test]
async fn names_that_tools_are_kept_from_are_kept_from_processes() {
    let lay = |hands: &Hands| {
        hands.file("web/.env", CANARY);
        hands.file("web/.env.example", "harmless");
        hands.file(".ssh/known_hosts", CANARY);
        hands.file(".git/config", "[core]");
        hands.file(".git/hooks/pre-commit.sample", "");
        hands.file(".git/modules/sub/config", "[core]");
        hands.file("node_modules/a/.npmrc", "published");
    };
    let attacks = [
        "cat web/.env",
        "cat .ssh/known_hosts",
        "echo x >>.git/config",
        "echo x >.git/hooks/pre-commit",
        "mv .git/hooks .git/gone",
        "mv .git other",
        "echo x >>.git/modules/sub/config",
    ];
    for attack in attacks {
        for without in [vec![], vec![Layer::Mounts]] {
            let is_held = without.is_empty();
            let hands = Hands::with(Options { without, ..Options::default() });
            lay(&hands);
            let told = hands.shell(attack).await;
            assert_eq!(told.good, !is_held, "{attack}: {told:?}");
        }
    }
    let hands = Hands::new();
    lay(&hands);
    let work = "cat .git/config web/.env.example; echo x >.git/index; echo y >.git/HEAD;
        rm -r node_modules; ! mv web site 2>/dev/null && mkdir x && rmdir x";
    assert_eq!(hands.shell(work).await.fine(), "[core]harmless");
}

#[tokio::test]
async fn what_belongs_to_the_runtime_stays_in_its_place_also_in_a_folder_of_its_own() {
    let attacks = [
        "cat data/store/house.db",
        "echo x >>data/store/house.db",
        "mv data/store elsewhere",
        "mv data elsewhere",
        "rm -f data/store/house.db",
        "echo x >>data/agents.toml",
        "rm data/agents.toml",
    ];
    for attack in attacks {
        for without in [vec![], vec![Layer::Mounts]] {
            let is_held = without.is_empty();
            let hands = Hands::with(Options { without, ..Options::default() });
            let store = hands.file("data/store/house.db", CANARY);
            let agents = hands.file("data/agents.toml", "agents");
            let bench = hands.bench().hiding(store).sparing(agents);
            let args = serde_json::json!({ "command": attack });
            let told = hands.call(&Shell::new(bench), args).await;
            assert_eq!(told.good, !is_held, "{attack}: {told:?}");
        }
    }
}

#[tokio::test]
async fn with_more_than_can_be_covered_nothing_is_started() {
    let mut hands = workspace(&[]);
    hands.sight = sight(&["txt"], &[]);
    for no in 0..=greenroom_actors::limits::TOOL_COVERS {
        hands.file(&format!("many/{no}.txt"), "");
    }
    let told = hands.shell("echo ran").await.bad();
    assert!(told.contains("nothing was started") && told.contains("1024 are the most"), "{told}");
    // A rule that means whatever lies in a folder takes one cover.
    hands.sight = sight(&["/many"], &[]);
    assert!(hands.shell("ls many || echo closed").await.fine().contains("closed"));
}

#[tokio::test]
async fn processes_are_held_to_the_trees_that_fences_leave() {
    let mut hands = Hands::new();
    let other = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::write(other.path().join("data"), "data").unwrap();
    hands.file("src/a", "a");
    hands.file("b", "b");
    let path = |path: PathBuf| path.canonicalize().unwrap().to_str().unwrap().to_owned();
    let write = Some(vec![path(hands.folder.path().join("src"))]);
    hands.sight =
        Sight::default().within(Some(Trees { write, read: vec![path(other.path().to_owned())] }));
    let data = other.path().join("data");
    let data = data.display();
    let told = hands.shell(&format!("cat src/a {data}; echo new >src/new")).await;
    assert_eq!(told.fine(), "adata");
    for attack in ["cat b".to_owned(), "echo x >c".to_owned(), format!("echo x >{data}")] {
        hands.shell(&attack).await.bad();
    }
    hands.sight = Sight::default();
    hands.shell("cat b").await.fine();
    let exec = Exec::new(hands.bench());
    let args = serde_json::json!({ "argv": ["cat", data.to_string()] });
    hands.call(&exec, args).await.bad();
}

#[tokio::test]
async fn a_rule_of_a_running_session_holds_for_what_its_commands_open() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().join("work");
    for name in ["conf/prod.pem", "src/a", "kept/b"] {
        let path = workspace.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{CANARY} {name}\n")).unwrap();
    }
    let runtime = Runtime::builder().store(folder.path().join("green.db"));
    let runtime = runtime.workspace(&workspace).script("").start().await.unwrap();
    let mut agent = AgentSpec::new("smith", "scripted").allowed_tool("exec").allowed_tool("shell");
    for rule in ["Read(*.pem)", "Edit(kept/**)"] {
        agent.authority.rules.push(greenroom_actors::domain::permission::Rule {
            decision: greenroom_actors::domain::permission::Decision::Deny,
            pattern: greenroom_actors::domain::permission::RulePattern(rule.to_owned()),
        });
    }
    let session = runtime.spawn(&agent).await.unwrap();
    let search = serde_json::json!({ "argv": ["grep", "-rh", "canary", "."] });
    let outcome = session.run_tool("exec", search).await.unwrap();
    let said = outcome.told().0.shown().to_owned();
    assert!(said.contains("src/a") && said.contains("kept/b"), "{said}");
    assert!(!said.contains(&format!("{CANARY} conf")), "{said}");
    let script = "import os; open('kept/b', 'a').write('x')";
    let outcome =
        session.run_tool("exec", serde_json::json!({ "argv": ["python3", "-c", script] }));
    let outcome = outcome.await.unwrap();
    assert!(!matches!(outcome, ToolOutcome::Done { .. }), "{outcome:?}");
    assert_eq!(fs::read_to_string(workspace.join("kept/b")).unwrap(), format!("{CANARY} kept/b\n"));
    // And roots of an agent are what its processes may write in.
    agent.authority.bounds = Bounds { roots: vec!["src".to_owned()], readable: Vec::new() };
    let fenced = runtime.spawn(&agent).await.unwrap();
    let list = serde_json::json!({ "argv": ["python3", "-c", "print(open('kept/b').read())"] });
    let outcome = fenced.run_tool("exec", list).await.unwrap();
    assert!(!matches!(outcome, ToolOutcome::Done { .. }), "{outcome:?}");
    runtime.shutdown().await;
}
