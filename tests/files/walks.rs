//! Lists and searches: what git ignores is left out, a model reads whole answers, and a pattern
//! costs what its text costs.

use std::fs;

use greenroom_actors::limits;
use serde_json::json;

use crate::stage::Stage;

fn tree() -> Stage {
    let stage = Stage::new();
    stage.put(".gitignore", "target/\n*.log\n!keep.log\n/top.txt\n");
    stage.put("target/out.txt", "needle");
    stage.put("a.log", "needle");
    stage.put("keep.log", "needle");
    stage.put("top.txt", "needle");
    stage.put("sub/top.txt", "a\nb needle\nc\nd\ne needle\n");
    stage.put("sub/.gitignore", "local*\n!keep.log\n");
    stage.put("sub/local.txt", "needle");
    stage.put("sub/deep/er/x.md", "Needle\n");
    stage.put(".git/config", "needle");
    stage.put("bin", b"needle\0");
    stage
}

#[tokio::test]
async fn a_list_is_sorted_and_leaves_out_what_git_ignores() {
    let stage = tree();
    let all = ".gitignore\nbin\nkeep.log\nsub/\nsub/.gitignore\nsub/deep/\nsub/deep/er/\n\
               sub/deep/er/x.md\nsub/top.txt";
    assert_eq!(stage.done("list_files", json!({"path": "."})).await, all);
    let shallow = json!({"path": "sub", "depth": 1});
    let listed = stage.done("list_files", shallow).await;
    assert_eq!(listed, "sub/.gitignore\nsub/deep/\nsub/top.txt");
    for (glob, found) in [
        ("*.md", "sub/deep/er/x.md"),
        ("sub/*.txt", "sub/top.txt"),
        ("/*.log", "keep.log"),
        ("sub/**/*.md", "sub/deep/er/x.md"),
        ("*.{md,log}", "keep.log\nsub/deep/er/x.md"),
    ] {
        let args = json!({"path": ".", "glob": glob});
        assert_eq!(stage.done("list_files", args).await, found, "{glob}");
    }
    let args = json!({"path": ".", "glob": "*.txt", "ignored": true});
    let listed = stage.done("list_files", args).await;
    assert_eq!(listed, "sub/local.txt\nsub/top.txt\ntarget/out.txt\ntop.txt");
    let inside = stage.done("list_files", json!({"path": "target"})).await;
    assert_eq!(inside, "target/out.txt", "who names an ignored folder means it");
    let nothing = stage.done("list_files", json!({"path": ".", "glob": "*.py"})).await;
    assert_eq!(nothing, "[nothing that matches in .]");
    let said = stage.refused("list_files", json!({"path": ".", "glob": "a[b"})).await;
    assert!(said.starts_with("glob \"a[b\": "), "{said}");
}

#[tokio::test]
async fn a_search_finds_lines_in_text_files_that_git_does_not_ignore() {
    let stage = tree();
    let found = stage.done("search_files", json!({"path": ".", "pattern": "needle"})).await;
    assert_eq!(found, "keep.log\n1: needle\nsub/top.txt\n2: b needle\n5: e needle");
    let args = json!({"path": "sub/top.txt", "pattern": "^b", "context": 1});
    assert_eq!(stage.done("search_files", args).await, "sub/top.txt\n1- a\n2: b needle\n3- c");
    let args = json!({"path": ".", "pattern": "NEEDLE", "ignore_case": true, "answer": "files"});
    let files = stage.done("search_files", args).await;
    assert_eq!(files, "keep.log\nsub/deep/er/x.md\nsub/top.txt");
    let args = json!({"path": ".", "pattern": "needle", "answer": "count", "glob": "*.txt"});
    assert_eq!(stage.done("search_files", args).await, "sub/top.txt: 2");
    let args = json!({"path": ".", "pattern": "n.*e(", "literal": true});
    assert_eq!(stage.done("search_files", args).await, "[nothing found in 6 files]");
    let args = json!({"path": ".", "pattern": "needle", "ignored": true, "answer": "files"});
    let files = stage.done("search_files", args).await;
    let all = "a.log\nkeep.log\nsub/local.txt\nsub/top.txt\ntarget/out.txt\ntop.txt";
    assert_eq!(files, all, "but never .git");
}

#[tokio::test]
async fn a_pattern_that_is_none_is_refused_in_words() {
    let stage = Stage::new();
    for (pattern, why) in [
        ("(", "unclosed group"),
        ("(?=x)", "look-around"),
        (r"(a)\1", "backreferences are not supported"),
        ("a\nb", "\\n"),
        ("x*", "it matches the empty line"),
        (r"\w{1000}{1000}", "size"),
    ] {
        let args = json!({"path": ".", "pattern": pattern});
        let said = stage.refused("search_files", args).await;
        assert!(said.contains(why), "{pattern}: {said}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_ends_with_what_to_do() {
    let stage = Stage::new();
    for no in 0..600 {
        stage.put(&format!("d/{no:03}"), "needle ".repeat(200));
    }
    let listed = stage.done("list_files", json!({"path": "."})).await;
    assert!(listed.ends_with("\n[there is more: give a folder, a glob or a depth]"));
    assert_eq!(listed.lines().count(), limits::FILES_LISTED + 1);
    let found = stage.done("search_files", json!({"path": ".", "pattern": "needle"})).await;
    assert!(found.ends_with("\n[there is more: narrow the pattern, the path or the glob]"));
    assert!(found.contains("… [the line has 1400 bytes]"));
    assert!(found.len() < limits::INLINE_BYTES, "{} bytes", found.len());
    stage.put("e/wide", format!("{}needle", "x".repeat(limits::FILE_SEARCH_LINE_BYTES + 1)));
    let found = stage.done("search_files", json!({"path": "e", "pattern": "needle"})).await;
    assert_eq!(found, "[nothing found in 1 files; 1 files with a line too long to search]");
}

#[tokio::test]
async fn a_tree_deeper_than_a_walk_goes_says_so() {
    let stage = Stage::new();
    let deep: String = (0..limits::WALK_DEPTH + 10).map(|_| "d/").collect();
    stage.put(&format!("{deep}x"), "needle");
    let found = stage.done("search_files", json!({"path": ".", "pattern": "needle"})).await;
    assert_eq!(found, "[nothing found in 0 files; 1 folders could not be looked into]");
    let path = format!("{deep}x");
    assert_eq!(stage.done("read_file", json!({ "path": path })).await, "1\tneedle");
    fs::remove_dir_all(stage.at("d")).unwrap();
}
