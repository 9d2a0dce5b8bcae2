//! The list of waits: every row names a test with the peer hung and one again after a restart, and
//! all that it names, tests and limits, is there.

use crate::{finds, none, papers::is_tested, tree};

const WAITS: usize = 30;

/// The cells of a table's rows, without its head.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with('|'));
    let cells = lines.map(|line| {
        let line = line.trim().trim_start_matches('|').trim_end_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    });
    cells.skip(2).collect()
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn claims(text: &str, limits: &str, sources: &[tree::Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for row in rows(text) {
        let [who, what, most, _then, hung, again] = row.as_slice() else {
            offences.push(format!("not six cells: {row:?}"));
            continue;
        };
        let wait = format!("{who}, {what}");
        for (column, cell) in [("with its peer hung", hung), ("after a restart", again)] {
            let names = quoted(cell);
            if names.is_empty() {
                offences.push(format!("{wait}: no test {column}"));
            }
            for name in names.into_iter().filter(|name| !is_tested(name, sources)) {
                offences.push(format!("{wait}: no source has a test `{name}`"));
            }
        }
        let is_limit = |name: &&str| name.contains("_") && name.to_uppercase() == **name;
        for limit in quoted(most).into_iter().filter(is_limit) {
            if !limits.contains(&format!("pub const {limit}:")) {
                offences.push(format!("{wait}: no limit `{limit}`"));
            }
        }
    }
    offences
}

#[test]
fn every_wait_names_its_tests_and_its_limit() {
    let text = tree::one("actors/docs/waits.md").text;
    let found = rows(&text).len();
    assert!(found >= WAITS, "{found} waits, at least {WAITS} are known");
    let all = tree::all();
    let limits = all.iter().filter(|source| source.path.starts_with("actors/src/limits/"));
    let limits: String = limits.map(|source| source.text.as_str()).collect();
    none(claims(&text, &limits, &all));
}

#[test]
fn a_wait_without_a_test_is_found() {
    let text = "#[test]\nfn it_ends() {}\n".to_owned();
    let sources = [tree::Source { path: "a.rs".to_owned(), text }];
    let check = |row: &str| {
        let table =
            format!("| a | b | c | d | e | f |\n| --- | --- | --- | --- | --- | --- |\n{row}\n");
        claims(&table, "pub const CALL_MS: u64 = 1;", &sources)
    };
    assert!(check("| he | her | `CALL_MS` | no | `it_ends` | `it_ends` |").is_empty());
    finds(&check("| he | her | `CALL_MS` | no | – | `it_ends` |"), "no test with its peer hung");
    finds(&check("| he | her | `CALL_MS` | no | `it_ends` | |"), "no test after a restart");
    finds(&check("| he | her | `CALL_MS` | no | `it_end` | `it_ends` |"), "no source has");
    finds(&check("| he | her | `CALLS_MS` | no | `it_ends` | `it_ends` |"), "no limit `CALLS_MS`");
    finds(&check("| he | her | `CALL_MS` | no | `it_ends` |"), "not six cells");
}
