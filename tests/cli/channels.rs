//! `run` without a terminal, whose agents file says where questions go instead; and a folder for them
//! in which agents write, which is none.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use super::{err, folder, greenroom, json, out, ran};

/// An agents file with one agent that stamps the letter, and may not without a yes.
fn crew(folder: &Path, tools: &str, approvals: &str) -> String {
    let script = "agent solo\n  call stamp {\"what\": \"the letter\"}\n then\n  say {last}\n";
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
    let seen = seen.join("\n");
    assert!(seen.contains("no terminal: what is asked waits for an answer"), "{seen}");
    // The store can be looked at beside the run.
    let rows = json(&out(&ran(&["approvals", "--store", store, "--json"])));
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
