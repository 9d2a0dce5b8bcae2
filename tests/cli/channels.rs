//! `run` without a terminal, whose agents file says where questions go instead; and a folder for them
//! in which agents write, which is none.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use super::{err, folder, greenroom, json, out, ran};

/// An agents file with one agent that stamps the letter, and may not without a yes. It spells the call
/// as nobody would.
fn crew(folder: &Path, tools: &str, approvals: &str) -> String {
    let script = "agent solo\n  call stamp {\"what\": \"the \\u006cetter\"}\n then\n  say {last}\n";
    fs::write(folder.join("crew.script"), script).expect("a script");
    let text = format!(
        "[models.house]\nprovider = \"scripted\"\nscript = \"crew.script\"\n\
         [tools.stamp]\ndescription = \"Stamps.\"\nreply = \"stamped\"\n\
         [agents.solo]\ninstructions = \"You stamp.\"\ntools = [{tools}]\n{approvals}"
    );
    let file = folder.join("crew.toml");
    fs::write(&file, text).expect("an agents file");
    file.to_string_lossy().into_owned()
}

#[test]
fn without_a_terminal_a_folder_is_asked_and_its_answer_counts() {
    let (place, store) = folder();
    let file = crew(place.path(), "\"stamp\"", "[approvals]\nfolder = \"questions\"\n");
    asked_in(&place.path().join("questions"), &store, &mut stamping(&file, &store));
}

#[test]
fn the_users_own_folder_is_asked_where_the_agents_file_names_none() {
    let (place, store) = folder();
    let file = crew(place.path(), "\"stamp\"", "");
    let home = place.path().join("home");
    fs::create_dir(&home).expect("a folder");
    fs::write(home.join("config.toml"), "[approvals]\nfolder = \"mine\"\n").expect("settings");
    asked_in(&home.join("mine"), &store, stamping(&file, &store).env("GREENROOM_HOME", &home));
}

fn stamping(file: &str, store: &str) -> Command {
    greenroom(&["run", "--agents", file, "--store", store, "Stamp it."])
}

/// The question is found in this folder, and answered there with a yes.
fn asked_in(questions: &Path, store: &str, run: &mut Command) {
    let mut child =
        run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut said = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut seen = Vec::new();
    while let Some(Ok(line)) = said.next() {
        seen.push(line);
        if seen.last().is_some_and(|line| line.contains("may it call stamp?")) {
            break;
        }
    }
    // What would run stands below, as it would.
    let call = r#"{"what":"the letter"}"#;
    assert_eq!(said.next().and_then(Result::ok).as_deref().map(str::trim), Some(call));
    let seen = seen.join("\n");
    assert!(seen.contains("no terminal: what is asked waits for an answer"), "{seen}");
    // The store can be looked at beside the run.
    let rows = json(&out(&ran(&["approvals", "--store", store, "--json"])));
    assert_eq!(rows[0]["ask"]["subject"]["request"]["args"], call);
    let listed = out(&ran(&["approvals", "--store", store]));
    assert!(listed.contains(&format!("stamp {call}")), "{listed}");
    let (asked_at, until) = (rows[0]["asked_at"].as_i64(), rows[0]["ask"]["expires_at"].as_i64());
    assert!(asked_at > Some(1_700_000_000_000) && asked_at < until, "{rows}");
    assert!(listed.contains("WAITS") && listed.contains(" s  "), "{listed}");
    let id = rows[0]["approval"].as_str().expect("an id");
    let digest = rows[0]["ask"]["digest"].as_str().expect("a digest");
    let answer = format!(r#"{{"approval": "{id}", "digest": "{digest}", "answer": "once"}}"#);
    fs::write(questions.join(format!("{}.answer.json", id.replace('/', "-"))), answer)
        .expect("an answer");
    // Its pipe is read to the end, so that it is never held up by it.
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    let ended = child.wait_with_output().expect("its end");
    assert_eq!(ended.status.code(), Some(0), "{rest:?}");
    assert_eq!(out(&ended), "stamped\n", "{rest:?}");
}

#[test]
fn a_folder_in_which_agents_write_is_refused() {
    let (place, store) = folder();
    let file =
        crew(place.path(), "\"stamp\", \"write_file\"", "[approvals]\nfolder = \"questions\"\n");
    let run = greenroom(&["run", "--agents", &file, "--store", &store, "Stamp it."])
        .current_dir(place.path())
        .output()
        .expect("the binary runs");
    assert_ne!(run.status.code(), Some(0));
    assert!(err(&run).contains("agents write there, and could answer themselves"), "{}", err(&run));
}

/// What it says, to its end or until it asks something.
fn until_it_asks(run: &mut Command) -> String {
    let mut child =
        run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut seen = String::new();
    for line in BufReader::new(child.stderr.take().expect("piped")).lines() {
        seen += &line.expect("text");
        if seen.contains("may it call stamp?") {
            child.kill().expect("it is ours");
        }
    }
    child.wait().expect("its end");
    seen
}

#[test]
fn a_folder_within_a_root_of_any_fence_is_refused() {
    for drawn_by in ["the agents file", "the user", "the project"] {
        let (place, store) = folder();
        let at = |name: &str| place.path().join(name);
        for name in ["work", "work/.greenroom", "home", "near", "near/deep"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        let near = at("near").to_string_lossy().into_owned();
        let bounds = |root: &str| format!("roots = [\".\", \"{root}\", \"not/there\"]");
        let (mut own, settings) =
            (String::new(), |root| format!("[permissions]\n{}\n", bounds(root)));
        match drawn_by {
            "the agents file" => own = settings(&near),
            "the user" => fs::write(at("home/config.toml"), settings("~/near")).expect("settings"),
            _ => fs::write(at("work/.greenroom/config.toml"), settings(&near)).expect("settings"),
        }
        let run = |questions: &str| {
            let ways = format!("{own}[approvals]\nfolder = \"{questions}\"\n");
            let file = crew(place.path(), "\"stamp\"", &ways);
            let mut command = stamping(&file, &store);
            command.env("GREENROOM_HOME", at("home")).env("HOME", place.path());
            command.current_dir(at("work"));
            command
        };
        let why = until_it_asks(&mut run("near/deep/questions"));
        let words = "agents write there, and could answer themselves";
        assert!(why.contains(words), "{drawn_by}: {why}");
        asked_in(&at("beside"), &store, &mut run("beside"));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn no_process_of_a_tool_sees_the_folder_of_questions() {
    let (place, store) = folder();
    let at = |name: &str| place.path().join(name);
    for name in ["work", "near", "near/questions"] {
        fs::create_dir(at(name)).expect("a folder");
    }
    // Nobody else may write there, whatever the mask of who runs this.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(at("near/questions"), mode).expect("its mode");
    for name in ["near/letter", "near/questions/CANARY"] {
        fs::write(at(name), "a letter").expect("a file");
    }
    let near = at("near").to_string_lossy().into_owned();
    let file = crew(
        place.path(),
        "\"shell\"",
        &format!(
            "[permissions]\nallow = [\"shell\"]\nroots = [\".\"]\nreadable = [\"{near}\"]\n\
             [approvals]\nfolder = \"near/questions\"\n"
        ),
    );
    let calls = [format!("cat {near}/letter"), format!("ls {near}/questions")];
    let calls = calls
        .map(|command| format!("    call shell {}\n", serde_json::json!({ "command": command })));
    let script = format!("agent solo\n{}  then\n    say {{results}}\n", calls.concat());
    fs::write(at("crew.script"), script).expect("a script");
    let run = stamping(&file, &store).current_dir(at("work")).output().expect("the binary runs");
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    let said = out(&run);
    assert!(said.contains("a letter"), "what lies beside it is read: {said}");
    assert!(!said.contains("CANARY") && said.contains("exit code"), "{said}");
}
