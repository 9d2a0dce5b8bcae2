//! `greenroom permissions`: what would be decided, in words, and over a file of cases.

use super::{err, folder, json, out, ran};

const WORKSPACE: &str = "examples/permissions/workspace.toml";

fn check(more: &[&str]) -> std::process::Output {
    ran(&[&["permissions", "check", "--policy", WORKSPACE], more].concat())
}

#[test]
fn a_command_is_explained_in_words_and_its_exit_code_says_whether_it_may_run() {
    let allowed = check(&["ls src | head -n 5"]);
    assert_eq!(allowed.status.code(), Some(0), "{}", err(&allowed));
    let text = out(&allowed);
    assert!(
        text.starts_with(
            "allowed
"
        ) && text.contains("because user: allow Bash(ls *)"),
        "{text}"
    );
    let asked = check(&["ls && make"]);
    assert_eq!(asked.status.code(), Some(1));
    let text = out(&asked);
    assert!(text.contains("asked") && text.contains("no rule allows make"), "{text}");
    assert!(text.contains("this rule would allow it: shell(make)"), "{text}");
    let denied = check(&["echo $(cat .env)"]);
    assert_eq!(denied.status.code(), Some(1));
    assert!(out(&denied).contains("denied\n  because user: deny Read(.env)"), "{}", out(&denied));
    // What a terminal would obey is shown instead.
    assert!(!out(&check(&["x\u{1b}[2J"])).contains('\u{1b}'));
}

#[test]
fn cases_are_judged_line_by_line_and_one_that_is_weaker_than_wanted_fails_the_run() {
    let (folder, _) = folder();
    let file = folder.path().join("cases.jsonl");
    let case = |id: &str, tool: &str, input: &str, want: &str| {
        serde_json::json!({"id": id, "tool": tool, "cwd": "W", "input": input, "want": want})
            .to_string()
    };
    let right = [
        case("A", "shell", "cat src/lib.rs", "ALLOW"),
        case("B", "shell", "x=curl; $x y", "ASK"),
        case("C", "file", "read /ws_evil/x (root /ws)", "DENY"),
        case("D", "file", "read .ENV", "DENY"),
        case("E", "http", "http://[::1]/", "DENY"),
    ];
    std::fs::write(&file, right.join("\n")).unwrap();
    let path = file.to_str().unwrap();
    let judged = check(&["--cases", path]);
    assert_eq!(judged.status.code(), Some(0), "{}", err(&judged));
    let lines: Vec<serde_json::Value> = out(&judged).lines().map(json).collect();
    let decisions: Vec<&str> =
        lines.iter().map(|line| line["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["ALLOW", "ASK", "DENY", "DENY", "DENY"]);
    assert!(lines.iter().all(|line| !line["reasons"].as_array().unwrap().is_empty()));
    std::fs::write(&file, case("F", "shell", "make", "DENY")).unwrap();
    let weaker = check(&["--cases", path]);
    assert_eq!(weaker.status.code(), Some(1));
    assert!(err(&weaker).contains("F: Deny is wanted, found Ask"), "{}", err(&weaker));
    std::fs::write(&file, "{}").unwrap();
    assert!(err(&check(&["--cases", path])).contains("read case 1 of"));
}
