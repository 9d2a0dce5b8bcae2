//! Files as a whole: made, replaced, refused, and what a crash leaves to be asked.

use std::{fs, os::unix::fs::PermissionsExt as _};

use greenroom::{Probe, ToolOutcome};
use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn a_file_is_made_with_its_folders_and_replaced_only_when_that_is_asked_for() {
    let stage = Stage::new();
    let args = json!({"path": "a/b/new.txt", "content": "one\ntwo\n"});
    let said = stage.done("write_file", args).await;
    assert_eq!(said, "created a/b/new.txt: 2 lines, 8 bytes");
    let again = json!({"path": "a/b/new.txt", "content": "three"});
    let said = stage.refused("write_file", again).await;
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(fs::read_to_string(stage.at("a/b/new.txt")).unwrap(), "one\ntwo\n");
    let again = json!({"path": "a/b/new.txt", "content": "three", "replace": true});
    let said = stage.done("write_file", again).await;
    assert_eq!(said, "replaced a/b/new.txt: 1 lines, 5 bytes");
    assert_eq!(fs::read_to_string(stage.at("a/b/new.txt")).unwrap(), "three");
    assert_eq!(fs::read_dir(stage.at("a/b")).unwrap().count(), 1, "nothing is left beside it");
}

#[tokio::test]
async fn a_replaced_file_keeps_who_may_read_and_run_it() {
    let stage = Stage::new();
    stage.put("run.sh", "old");
    fs::set_permissions(stage.at("run.sh"), fs::Permissions::from_mode(0o4750)).unwrap();
    let args = json!({"path": "run.sh", "content": "new", "replace": true});
    stage.done("write_file", args).await;
    let mode = fs::metadata(stage.at("run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o750, "but for a bit that would run it as somebody else");
}

#[tokio::test]
async fn a_name_that_cannot_be_seen_is_not_written() {
    let stage = Stage::new();
    for path in ["a\u{1b}[2Jb", "new\nline", "a\u{202e}b", "sub\u{7}/x"] {
        let said = stage.refused("write_file", json!({"path": path, "content": "x"})).await;
        assert!(said.contains("cannot be seen"), "{said}");
        assert!(!said.contains('\u{1b}'), "nor is it shown: {said:?}");
    }
    assert_eq!(fs::read_dir(stage.at("")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_write_cut_off_is_known_to_have_happened_or_not_where_the_world_says() {
    let stage = Stage::new();
    let args = json!({"path": "f", "content": "mine", "replace": true});
    assert_eq!(stage.probe("write_file", args.clone()).await, Probe::Unknown, "nothing says");
    stage.done("write_file", args.clone()).await;
    let Probe::Happened(ToolOutcome::Done { output }) =
        stage.probe("write_file", args.clone()).await
    else {
        panic!("the file says that it happened")
    };
    assert_eq!(output.shown(), "replaced f: 1 lines, 4 bytes");
    stage.put("f", "somebody else's");
    assert_eq!(stage.probe("write_file", args).await, Probe::Unknown, "written since, or before");
}
