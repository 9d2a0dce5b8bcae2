//! Exact replacements: all or none, and words that a model mends its call by.

use std::fs;

use serde_json::{Value, json};

use crate::stage::Stage;

const TEXT: &str = "fn one() {\n    1\n}\n\nfn two() {\n    1\n}\n";

fn edit(old: &str, new: &str) -> Value {
    json!({"path": "f.rs", "edits": [{"old_text": old, "new_text": new}]})
}

async fn says(args: Value, what: &str) {
    let stage = Stage::new();
    stage.put("f.rs", TEXT);
    assert_eq!(stage.refused("edit_file", args).await, what);
    assert_eq!(fs::read_to_string(stage.at("f.rs")).unwrap(), TEXT, "nothing was changed");
}

#[tokio::test]
async fn edits_are_made_one_after_the_other_and_shown_with_the_lines_around_them() {
    let stage = Stage::new();
    stage.put("f.rs", TEXT);
    let args = json!({"path": "f.rs", "edits": [
        {"old_text": "fn two() {\n    1", "new_text": "fn two() {\n    2"},
        {"old_text": "    2\n", "new_text": "    // Two.\n    2\n"},
    ]});
    let said = stage.done("edit_file", args).await;
    let after = "fn one() {\n    1\n}\n\nfn two() {\n    // Two.\n    2\n}\n";
    assert_eq!(fs::read_to_string(stage.at("f.rs")).unwrap(), after);
    assert_eq!(
        said,
        "changed f.rs in 2 places\n3\t}\n4\t\n5\tfn two() {\n6\t    // Two.\n7\t    2\n8\t}"
    );
    let all =
        json!({"path": "f.rs", "edits": [{"old_text": "fn", "new_text": "pub fn", "all": true}]});
    stage.done("edit_file", all).await;
    assert_eq!(fs::read_to_string(stage.at("f.rs")).unwrap(), after.replace("fn", "pub fn"));
}

#[tokio::test]
async fn an_edit_that_does_not_fit_says_why_and_changes_nothing() {
    says(
        edit("    1\n", "    3\n"),
        "edit does not fit f.rs: old_text stands there 2 times, in lines 2, 6; take more lines \
         around the one that is meant, or set `all`; nothing was changed",
    )
    .await;
    says(
        edit("fn one()  {\n1", "x"),
        "edit does not fit f.rs: old_text is not there; in line 1 it stands with other spaces; \
         nothing was changed",
    )
    .await;
    says(
        edit("fn two() {\n    2", "x"),
        "edit does not fit f.rs: old_text is not there; its first line stands in line 5, but not \
         what follows it; nothing was changed",
    )
    .await;
    says(
        edit("fn three", "x"),
        "edit does not fit f.rs: old_text is not there; read the file again; nothing was changed",
    )
    .await;
    says(
        edit("fn one", "fn one"),
        "edit does not fit f.rs: new_text is the same as old_text; nothing was changed",
    )
    .await;
    let second = json!({"path": "f.rs", "edits": [
        {"old_text": "one", "new_text": "uno"}, {"old_text": "one", "new_text": "ein"}]});
    says(
        second,
        "edit 2 does not fit f.rs: old_text is not there; read the file again; nothing was changed",
    )
    .await;
}

#[tokio::test]
async fn a_file_with_other_line_ends_keeps_them() {
    let stage = Stage::new();
    stage.put("f.rs", "one\r\ntwo\r\nthree\r\n");
    stage.done("edit_file", edit("two\nthree", "2\n3")).await;
    assert_eq!(fs::read_to_string(stage.at("f.rs")).unwrap(), "one\r\n2\r\n3\r\n");
    stage.put("f.rs", "one\r\ntwo\n");
    let said = stage.refused("edit_file", edit("one\ntwo", "x")).await;
    assert!(said.contains("old_text is not there"), "mixed ends are left as they are: {said}");
}

#[tokio::test]
async fn what_is_no_utf8_or_too_large_is_not_edited() {
    let stage = Stage::new();
    stage.put("f.rs", b"caf\xe9");
    let said = stage.refused("edit_file", edit("caf", "x")).await;
    assert_eq!(said, "f.rs is not UTF-8; it cannot be edited as text");
    fs::File::create(stage.at("f.rs")).unwrap().set_len(9 << 20).unwrap();
    let said = stage.refused("edit_file", edit("a", "b")).await;
    assert!(said.contains("8388608 are the most"), "{said}");
    stage.put("f.rs", "a".repeat(1 << 20));
    let grow = json!({"path": "f.rs", "edits": [
        {"old_text": "a", "new_text": "a ten times".repeat(10), "all": true}]});
    let said = stage.refused("edit_file", grow).await;
    assert!(said.contains("it would exceed 8388608 bytes"), "{said}");
}
