//! The shape of files: their size, their opening, their names, and what must not stand in them.

use crate::{finds, none, tree};

/// Production lines that fail.
const LINES_MAX: usize = 600;
/// Production lines that need a reason in `LONG`.
const LINES_REASON: usize = 450;
/// Files above `LINES_REASON`, each with the reason why it is not two.
const LONG: &[(&str, &str)] = &[];
/// Names that say nothing of what a module owns.
const NAMELESS: [&str; 6] = ["utils", "common", "helpers", "manager", "misc", "util"];
/// What must not stand in any text, spelt so that this file does not contain it.
const WORDS: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/Us", "ers/"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

fn size(path: &str, text: &str, long: &[(&str, &str)]) -> Vec<String> {
    let lines = tree::production(text).len();
    let reason = long.iter().find(|(name, _)| *name == path).map(|(_, reason)| *reason);
    match reason {
        _ if tree::is_test(path) => vec![],
        _ if lines > LINES_MAX => vec![format!("{path}: {lines} lines; above {LINES_MAX}, split")],
        None if lines > LINES_REASON => {
            vec![format!("{path}: {lines} lines; split it, or give LONG a reason")]
        }
        Some(_) if lines <= LINES_REASON => {
            vec![format!("{path}: {lines} lines; it needs no entry in LONG any more")]
        }
        Some(reason) if reason.len() < 20 => vec![format!("{path}: its reason is not one")],
        _ => vec![],
    }
}

fn opening(path: &str, text: &str) -> Vec<String> {
    if text.starts_with("//! ") {
        return vec![];
    }
    vec![format!("{path}: does not open with `//!`: what it owns, what it refuses")]
}

fn names(path: &str) -> Vec<String> {
    let mut offences = Vec::new();
    if path.ends_with("/mod.rs") {
        offences.push(format!("{path}: a module's file stands beside its folder, never mod.rs"));
    }
    for part in path.split('/') {
        if NAMELESS.contains(&part.trim_end_matches(".rs")) {
            offences.push(format!("{path}: {part:?} does not say what the module owns"));
        }
    }
    offences
}

fn ignored(path: &str, text: &str) -> Vec<String> {
    let code = tree::code(text);
    if code.contains("#[ignore") || code.contains(", ignore)]") {
        return vec![format!("{path}: an ignored test; a slow one belongs into a lane of its own")];
    }
    vec![]
}

fn words(path: &str, text: &str) -> Vec<String> {
    let mut offences = Vec::new();
    for (no, line) in text.lines().enumerate() {
        for word in WORDS.iter().chain([&tree::ROOT]) {
            if line.contains(word) {
                offences.push(format!("{path}:{}: contains {word:?}", no + 1));
            }
        }
    }
    offences
}

fn rust_files(rule: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let all = tree::all();
    all.iter().filter(|s| s.is_rust()).flat_map(|s| rule(&s.path, &s.text)).collect()
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    none(rust_files(|path, text| size(path, text, LONG)));
    let all = tree::all();
    none(
        LONG.iter()
            .filter(|(path, _)| all.iter().all(|source| source.path != *path))
            .map(|(path, _)| format!("LONG names {path}, which is gone"))
            .collect(),
    );
}

#[test]
fn every_file_says_first_what_it_owns() {
    none(rust_files(opening));
}

#[test]
fn modules_are_named_after_what_they_own() {
    none(rust_files(|path, _| names(path)));
}

#[test]
fn no_test_is_ignored() {
    none(rust_files(ignored));
}

#[test]
fn no_loose_ends_and_no_paths_of_a_machine() {
    none(tree::all().iter().flat_map(|source| words(&source.path, &source.text)).collect());
}

#[test]
fn a_long_file_is_found() {
    let text = |lines: usize| "x\n".repeat(lines);
    let long = &[("a.rs", "one table that reads top to bottom")][..];
    assert!(size("a.rs", &text(450), &[]).is_empty());
    finds(&size("a.rs", &text(451), &[]), "give LONG a reason");
    assert!(size("a.rs", &text(451), long).is_empty());
    finds(&size("a.rs", &text(450), long), "no entry in LONG");
    finds(&size("a.rs", &text(451), &[("a.rs", "big")]), "reason is not one");
    finds(&size("a.rs", &text(601), long), "above 600");
    assert!(size("a/tests.rs", &text(601), &[]).is_empty());
    let tail = format!("x\n#[cfg(test)]\nmod tests {{\n{}}}\n", text(900));
    assert!(size("a.rs", &tail, &[]).is_empty());
}

#[test]
fn a_missing_opening_is_found() {
    finds(&opening("a.rs", "use std::fs;\n"), "does not open");
    finds(&opening("a.rs", "/// x\n"), "does not open");
}

#[test]
fn a_name_that_says_nothing_is_found() {
    finds(&names("src/http/mod.rs"), "never mod.rs");
    finds(&names("src/utils.rs"), "does not say");
    finds(&names("src/common/time.rs"), "does not say");
    assert!(names("src/http/routes.rs").is_empty());
}

#[test]
fn an_ignored_test_is_found() {
    finds(&ignored("a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}"), "ignored");
    finds(&ignored("a.rs", "#[cfg_attr(x, ignore)]\nfn a() {}"), "ignored");
    assert!(ignored("a.rs", "// #[ignore]\nlet a = \"#[ignore]\";").is_empty());
}

#[test]
fn a_loose_end_is_found() {
    for word in WORDS {
        finds(&words("a.rs", &format!("fn a() {{}}\n// {word} x\n")), "a.rs:2");
    }
    finds(&words("a.md", tree::ROOT), "a.md:1");
}
