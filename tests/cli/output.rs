//! What a command printed, whole, as a person gets it back from a store; and what held the command.

use super::{err, folder, greenroom, json, out};

const FILE: &str = "[models.house]\nprovider = \"scripted\"\nscript = \"clerk.script\"\n\
    [agents.clerk]\ninstructions = \"You count.\"\ntools = [\"shell\"]\n\
    permissions = { mode = \"bypass_permissions\" }\n";
const SCRIPT: &str = r#"
agent clerk
    call shell {"command": "seq 1 60000; printf '\\033[31mred'"}
    call shell {"command": "echo short"}
  then
    say Done.
"#;

#[test]
fn a_person_gets_back_all_that_a_command_printed_and_sees_what_held_it() {
    let (folder, _store) = folder();
    std::fs::write(folder.path().join("team.toml"), FILE).unwrap();
    std::fs::write(folder.path().join("clerk.script"), SCRIPT).unwrap();
    let here = |args: &[&str]| greenroom(args).current_dir(folder.path()).output().unwrap();
    let run = here(&["run", "--agents", "team.toml", "--store", "green.db", "Go."]);
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));

    let whole = out(&here(&["output", "clerk", "t1", "--store", "green.db"]));
    let counted: String = (1..=60_000).map(|no| format!("{no}\n")).collect();
    assert!(whole == format!("{counted}␛[31mred\n"), "{} bytes", whole.len());
    assert_eq!(out(&here(&["output", "clerk", "2", "--store", "green.db"])), "short\n");
    let none = here(&["output", "clerk", "t9", "--store", "green.db"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(err(&none).contains("no call \"t9\" of"), "{}", err(&none));

    let tree = out(&here(&["tree", "--store", "green.db"]));
    assert!(tree.contains("\ntools: held by "), "{tree}");
    let tree = json(&out(&here(&["tree", "--json", "--store", "green.db"])));
    let held = tree[0]["custody"].as_str().unwrap();
    let doctor = out(&here(&["doctor", "--json", "--store", "green.db"]));
    assert!(doctor.contains(held), "{held} is what doctor says: {doctor}");
}
