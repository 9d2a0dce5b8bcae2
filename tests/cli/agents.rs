//! Agents files and settings that are wrong, by what the binary says; and settings that are right,
//! by what they do.

use std::{fs, path::Path};

use super::{err, folder, greenroom, json, out, ran, refused};

fn file(folder: &Path, text: &str) -> String {
    let path = folder.join("crew.toml");
    fs::write(&path, text).expect("a file");
    path.to_string_lossy().into_owned()
}

#[test]
fn a_wrong_agents_file_is_refused_with_every_mistake_and_its_place() {
    let (folder, store) = folder();
    let text =
        "[models.big]\nprovider = \"scripted\"\n[agents.a]\nmodel = \"big\"\nroutes = [\"b\"]\n";
    let wrong = file(folder.path(), text);
    let said = format!(
        "error: {wrong} has 3 mistakes\n\
         {wrong}:1:9: model \"big\" is scripted and names no `script`\n  1 | [models.big]\n    |         \
         ^^^ expected script = \"FILE\", relative to this file\n\
         {wrong}:3:9: agent \"a\" has no `instructions`\n  3 | [agents.a]\n    |         ^ expected a text that \
         tells it what it is for, or `instructions_file`\n\
         {wrong}:5:11: agent \"a\" routes to \"b\", which is no agent of this file\n  5 | routes = [\"b\"]\n    |           \
         ^^^ expected nothing, there is none\n"
    );
    let run = ran(&["run", "--agents", &wrong, "--store", &store, "Go."]);
    assert_eq!((run.status.code(), err(&run)), (Some(1), said.clone()));
    assert!(!Path::new(&store).exists(), "nothing was begun");
    let check = ran(&["config", "check", &wrong]);
    assert_eq!((check.status.code(), err(&check)), (Some(1), said));
}

#[test]
fn what_cannot_be_run_is_refused_in_words_that_help() {
    let (folder, store) = folder();
    let run = |args: &[&str], words: &[&str]| {
        let all: Vec<&str> = ["run", "--store", &store].iter().chain(args).copied().collect();
        refused(&all, words);
    };
    run(&["Go."], &["--agents FILE", "GREENROOM_AGENTS"]);
    run(&["--agents", "/nowhere.toml", "Go."], &["read /nowhere.toml", "No such file"]);
    fs::write(folder.path().join("s"), "say hello").expect("a script");
    let model = "[models.m]\nprovider = \"scripted\"\nscript = \"s\"\n";
    let two = "[agents.ada]\ninstructions = \"x\"\n[agents.bob]\ninstructions = \"x\"\n";
    let crew = file(folder.path(), &format!("{model}{two}"));
    run(&["--agents", &crew, "Go."], &["no coordinator", "\"ada\", \"bob\""]);
    run(
        &["--agents", &crew, "--agent", "bop", "Go."],
        &["no agent \"bop\"", "did you mean \"bob\"?"],
    );
    run(&["--agents", &crew, "--agent", "bob", " "], &["the prompt is empty"]);
    fs::write(folder.path().join("s"), "agent *\n  sya hello").expect("a script");
    run(&["--agents", &crew, "Go."], &["crew.toml:3:10: script \"s\"", "line 2", "sya hello"]);
}

#[test]
fn a_projects_deny_holds_and_each_setting_says_who_set_it() {
    let (folder, store) = folder();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/agents.toml");
    let (user, project) = (folder.path().join("user"), folder.path().join("project"));
    fs::create_dir_all(project.join(".greenroom")).expect("a folder");
    fs::create_dir_all(&user).expect("a folder");
    let settings = project.join(".greenroom/config.toml");
    fs::write(&settings, "[permissions]\ndeny = [\"prompt_book\"]\n").expect("a file");
    fs::write(user.join("config.toml"), format!("agents = {example:?}\n")).expect("a file");
    let at = |args: &[&str]| {
        let mut command = greenroom(args);
        command.current_dir(&project).env("GREENROOM_HOME", &user);
        command.output().expect("the binary runs")
    };
    let run = at(&["run", "--store", &store, "Ready?"]);
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    let log = out(&ran(&["log", "lights", "--store", &store]));
    assert!(!log.contains("lamps hang, the blue ones"), "the deny holds: {log}");

    let show = at(&["config", "show", "--origin", "--store", &store]);
    let line = |key: &str| {
        let text = out(&show);
        let found = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        found.unwrap_or_else(|| panic!("no {key} in:\n{text}"))
    };
    assert!(line("store").contains("flag, --store"));
    assert!(line("agents").contains("user, "));
    assert!(line("permissions.deny").contains("project, "));
    let shown = json(&out(&at(&["config", "show", "--json"])));
    assert_eq!(shown[0]["origin"], "built in");

    fs::write(&settings, "[permissions]\nallow = [\"stamp\"]\n").expect("a file");
    let refused = at(&["sessions"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("may only tighten"), "{}", err(&refused));
}
