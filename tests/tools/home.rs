//! `~` is the same folder for rules and for processes: the person's, by name. What processes find
//! there is theirs, and nothing of the person's.

use std::fs;

use greenroom::tools::{
    Shell,
    custody::{Layer, Options},
};

use greenroom_actors::{
    domain::{
        permission::{Decision, Request, Rule, RulePattern, RuleSet},
        tool::Args,
    },
    runtime::{Desk, Layers, Places, Policy, Standing, decide},
};

use crate::hands::Hands;

/// A person with a secret and a project; one lives where everything is covered anyway.
fn person(place: &str, without: &[Layer]) -> (tempfile::TempDir, Hands) {
    let home = tempfile::tempdir_in(place).unwrap();
    fs::write(home.path().join("secret"), "canary").unwrap();
    let options = Options {
        home: Some(home.path().to_owned()),
        without: without.to_vec(),
        ..Options::default()
    };
    let mut hands = Hands::with(options);
    hands.folder = tempfile::tempdir_in(home.path()).unwrap();
    (home, hands)
}

#[tokio::test]
async fn a_tilde_leads_a_process_where_rules_say_it_does() {
    for place in ["/tmp", "/var/tmp"] {
        let (home, hands) = person(place, &[]);
        let home = home.path().display();
        let told = hands.shell(
            "echo ~ ~/x '~/x' $HOME; python3 -c 'import os; print(os.path.expanduser(\"~/x\"))'",
        );
        let own = format!("{home} {home}/x ~/x {home}\n{home}/x\n");
        assert_eq!(told.await.fine(), own, "in {place}");
    }
    // What a rule means by it, however it is written.
    let mut rules = RuleSet::default();
    rules.push(Rule { decision: Decision::Deny, pattern: RulePattern("Read(~/x)".to_owned()) });
    let layers = Layers { user: rules, ..Layers::default() };
    let places = Places { home: Some("/home/u".to_owned()), ..Places::default() };
    let policy = Policy::compile(&layers, Desk::Staffed).unwrap().at(places);
    for (command, decision) in [
        ("cat ~/x", Decision::Deny),
        ("cat '~/x'", Decision::Deny),
        ("cat /home/u/x", Decision::Deny),
        ("cat ~/y", Decision::Ask),
    ] {
        let args = Args(serde_json::json!({ "command": command }).to_string());
        let request = Request { tool: "shell".into(), args, cwd: Some("/ws".to_owned()) };
        let verdict = decide(&policy, &Standing::new(&[]), &request);
        assert_eq!(verdict.decision, decision, "{command}: {verdict:?}");
    }
    // Nobody knows where the person lives.
    assert_eq!(Hands::new().shell("echo ~").await.fine(), "/tmp\n");
}

#[tokio::test]
async fn a_home_holds_what_a_process_may_use_and_its_own_for_as_long_as_it_runs() {
    for place in ["/tmp", "/var/tmp"] {
        let (home, hands) = person(place, &[]);
        let work = hands.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
        let told = hands.shell("ls -A ~; echo mine >~/cache && cat ~/cache; echo kept >kept");
        assert_eq!(told.await.fine(), format!("{work}\nmine\n"), "in {place}");
        assert_eq!(fs::read_to_string(hands.folder.path().join("kept")).unwrap(), "kept\n");
        assert!(!home.path().join("cache").exists());
        for attack in ["cat ~/secret", "echo x >~/secret; test -s ~/cache", "test -e ~/secret"] {
            hands.shell(attack).await.bad();
        }
        assert_eq!(fs::read_to_string(home.path().join("secret")).unwrap(), "canary");
        // Without mounts alone it is seen that there is one.
        let (_home, free) = person(place, &[Layer::Mounts]);
        free.shell("test -e ~/secret").await.fine();
    }
}

#[tokio::test]
async fn a_tree_of_the_home_that_may_be_read_is_there() {
    for place in ["/tmp", "/var/tmp"] {
        let (home, hands) = person(place, &[]);
        let notes = home.path().join("notes");
        fs::create_dir(&notes).unwrap();
        fs::write(notes.join("a"), "noted").unwrap();
        let tool = Shell::new(hands.bench().reading(&notes));
        let command = "cat ~/notes/a; echo x >~/notes/a || echo no";
        let told = hands.call(&tool, serde_json::json!({ "command": command })).await;
        assert!(told.text.starts_with("notedno\n"), "{told:?}");
        // Where the whole home is a tree, it is the real one.
        let tool = Shell::new(hands.bench().reading(home.path()));
        let told = hands.call(&tool, serde_json::json!({ "command": "cat ~/secret" })).await;
        assert_eq!(told.fine(), "canary");
    }
}
