//! Agents that work on files: beneath the folder where `run` was started, within their rules, and
//! never on what the runtime itself lives on.

use super::{err, folder, greenroom, json, out};

const FILE: &str = "[models.house]\nprovider = \"scripted\"\nscript = \"clerk.script\"\n\
    [agents.clerk]\ninstructions = \"You work on files.\"\n\
    tools = [\"read_file\", \"write_file\"]\n\
    permissions = { allow = [\"Read\", \"Edit\"] }\n";
const SCRIPT: &str = r#"
agent clerk
    call read_file {"path": "notes.txt"}
    call write_file {"path": "sub/answer.txt", "content": "42\n"}
    call read_file {"path": "../outside.txt"}
    call write_file {"path": "team.toml", "content": "", "replace": true}
    call read_file {"path": "green.db"}
    call write_file {"path": "green.db-wal", "content": "", "replace": true}
  then
    say {results}
"#;

#[test]
fn agents_work_on_the_files_beneath_where_they_were_started_and_on_no_others() {
    let (folder, _store) = folder();
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let put = |name: &str, text: &str| std::fs::write(place.join(name), text).unwrap();
    put("team.toml", FILE);
    put("clerk.script", SCRIPT);
    put("notes.txt", "forty-two");
    put("../outside.txt", "CANARY");
    let mut command = greenroom(&["run", "--agents", "team.toml", "--store", "green.db", "Go."]);
    let run = command.current_dir(&place).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    let said = out(&run);
    assert!(said.contains("1\tforty-two"), "{said}");
    assert!(said.contains("created sub/answer.txt: 1 lines, 3 bytes"), "{said}");
    assert_eq!(std::fs::read_to_string(place.join("sub/answer.txt")).unwrap(), "42\n");
    assert!(said.contains("../outside.txt is outside of what may be reached"), "{said}");
    assert!(!said.contains("CANARY"), "{said}");
    assert_eq!(said.matches("it belongs to the runtime").count(), 3, "{said}");
    assert_eq!(std::fs::read_to_string(place.join("team.toml")).unwrap(), FILE);
}

const RUNNER: &str = "[models.house]\nprovider = \"scripted\"\nscript = \"clerk.script\"\n\
    [providers.home]\nkind = \"ollama\"\napi_key_file = \"keys/home\"\n\
    [agents.clerk]\ninstructions = \"You run commands.\"\n\
    tools = [\"shell\"]\n\
    permissions = { allow = [\"shell\"], deny = [\"Read(*.pem)\"] }\n";
const ATTACKS: [&str; 8] = [
    "cat keys/home",
    "echo x >>team.toml",
    "mv team.toml other.toml",
    "cat data/green.db",
    "mv data elsewhere",
    "grep -r key.9137 .",
    "echo x >>settings/config.toml",
    "cat ~/outside",
];

#[test]
fn commands_are_kept_from_what_the_runtime_lives_on_wherever_it_lies() {
    let (folder, _store) = folder();
    let place = folder.path().join("place");
    let put = |name: &str, text: &str| {
        let path = place.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let calls = ATTACKS.map(|attack| {
        let command = format!("{attack} && echo came through");
        format!("    call shell {}\n", serde_json::json!({ "command": command }))
    });
    put("team.toml", RUNNER);
    put("clerk.script", &format!("agent clerk\n{}  then\n    say {{results}}\n", calls.concat()));
    put("keys/home", "key-9137");
    put("deep/er/key.pem", "key-9137");
    put("settings/config.toml", "");
    put("data/here", "");
    put("../outside", "key-9137");
    let arguments = ["run", "--agents", "team.toml", "--store", "data/green.db", "Go."];
    let mut command = greenroom(&arguments);
    let command = command.env("GREENROOM_HOME", place.join("settings")).env("HOME", folder.path());
    let run = command.current_dir(&place).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    let said = out(&run);
    assert_eq!(said.matches("exit code").count(), ATTACKS.len(), "{said}");
    assert!(!said.contains("\ncame through") && !said.contains("key-9137"), "{said}");
    assert_eq!(std::fs::read_to_string(place.join("team.toml")).unwrap(), RUNNER);
    assert_eq!(std::fs::read_to_string(place.join("settings/config.toml")).unwrap(), "");
}

#[test]
fn a_tool_that_failed_again_and_again_is_shown_in_the_tree() {
    let (folder, _store) = folder();
    let place = folder.path();
    let call = "    call read_file {\"path\": \"gone.txt\"}\n";
    let script = format!("agent clerk\n{}  then\n    say done\n", call.repeat(5));
    std::fs::write(place.join("team.toml"), FILE).unwrap();
    std::fs::write(place.join("clerk.script"), script).unwrap();
    let play = |args: &[&str]| {
        let output = greenroom(args).current_dir(place).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    play(&["run", "--agents", "team.toml", "--store", "green.db", "Go."]);
    let said = play(&["tree", "--store", "green.db"]);
    assert!(said.contains("asked: read_file of clerk ("), "{said}");
    assert!(said.contains("which failed 5 of 5 times, until 2"), "{said}");
    let tree = json(&play(&["tree", "--store", "green.db", "--json"]));
    let raised = &tree[0]["raised"][0];
    assert_eq!((&raised["tool"], &raised["failed"]), (&"read_file".into(), &5.into()), "{tree}");
    assert!(raised["until"].is_i64(), "{tree}");
}

#[test]
fn a_file_says_how_its_commands_are_held_and_what_is_not_begun_without() {
    let (folder, _store) = folder();
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let put = |name: &str, text: &str| std::fs::write(place.join(name), text).unwrap();
    let held = |how: &str| {
        format!(
            "[models.house]\nprovider = \"scripted\"\nscript = \"clerk.script\"\n[custody]\n{how}\n\
            [agents.clerk]\ninstructions = \"You run commands.\"\ntools = [\"shell\"]\n\
            permissions = {{ mode = \"bypass_permissions\" }}\n"
        )
    };
    let run = |how: &str, command: &str| {
        let call = serde_json::json!({ "command": command });
        put("team.toml", &held(how));
        put(
            "clerk.script",
            &format!("agent clerk\n    call shell {call}\n  then\n    say {{results}}\n"),
        );
        let arguments = ["run", "--agents", "team.toml", "--store", "../green.db", "Go."];
        let run = greenroom(&arguments).current_dir(&place).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", err(&run));
        out(&run)
    };
    let all = std::thread::available_parallelism().unwrap().get();
    let said = run("spared_processors = 0", "sleep 1; echo $(nproc) of all");
    assert!(said.contains(&format!("{all} of all")), "{said}");
    let rest = (all - 1).max(1);
    let until = format!("until [ $(nproc) = {rest} ]; do :; done; echo $(nproc) of all");
    assert!(run("spared_processors = 1", &until).contains(&format!("{rest} of all")));

    // In the sandbox itself none can be had: descriptors are sent to nobody there.
    std::fs::copy(env!("CARGO_BIN_EXE_greenroom"), place.join("greenroom")).unwrap();
    put("inner.toml", &held("require = [\"users\"]"));
    let inner = "./greenroom run --agents inner.toml --store inner.db Go.";
    let said = run("require = [\"users\", \"calls\"]", inner);
    assert!(said.contains("[exit code 1]"), "{said}");
    assert!(said.contains("because: start a process, step Handover"), "{said}");
    assert!(said.contains("because: Operation not permitted"), "{said}");
}
