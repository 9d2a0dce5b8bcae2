//! The papers: what the READMEs and manifests claim is checked against the sources. An invariant or
//! a promise names the tests that hold it, or says `open`; a dependency says why it is there.

use crate::{finds, none, tree};

const PROMISES: usize = 12;
const INVARIANTS: usize = 14;

/// Whether some source has a test of that name.
pub(crate) fn is_tested(name: &str, sources: &[tree::Source]) -> bool {
    let key = format!("fn {name}(");
    sources.iter().filter(|source| source.is_rust()).any(|source| {
        let lines: Vec<&str> = source.text.lines().collect();
        lines.iter().enumerate().any(|(no, line)| {
            // Upwards through the attributes: up to a blank line or the end of the item before.
            let above = lines.iter().take(no).rev().take(12);
            let mut attributes = above.take_while(|line| !["", "}"].contains(&line.trim()));
            // `::test` covers the asynchronous ones; a property inside `proptest!` has `#[test]`.
            line.contains(&key)
                && attributes.any(|line| line.contains("#[test]") || line.contains("::test"))
        })
    })
}

/// The table rows whose first cell is `mark` and a number, as (number, last cell).
fn rows(text: &str, mark: &str) -> Vec<(usize, String)> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim().trim_start_matches('|').trim_end_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let lines = text.lines().filter(|line| line.starts_with('|')).map(cells);
    let numbered = lines.filter_map(|row| {
        let no = row.first()?.strip_prefix(mark)?.parse().ok()?;
        (row.len() == 3).then(|| row.last().cloned().map(|last| (no, last)))?
    });
    numbered.collect()
}

/// A row's last cell is `open`, with or without a reason, or names tests that exist.
fn claims(rows: &[(usize, String)], sources: &[tree::Source]) -> Vec<String> {
    let mut offences = Vec::new();
    for (no, cell) in rows {
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        let open = cell == "open" || cell.starts_with("open:") || cell.contains("; open:");
        if names.is_empty() && !open {
            offences.push(format!("{no}: names no test and does not say `open`: {cell:?}"));
        }
        for name in names.into_iter().filter(|name| !is_tested(name, sources)) {
            offences.push(format!("{no}: no source has a test `{name}`"));
        }
    }
    offences
}

fn numbering(rows: &[(usize, String)], least: usize) -> Vec<String> {
    let seen: Vec<usize> = rows.iter().map(|(no, _)| *no).collect();
    let mut offences = Vec::new();
    if seen != (1..=seen.len()).collect::<Vec<_>>() {
        offences.push(format!("not numbered 1, 2, 3 …: {seen:?}"));
    }
    if seen.len() < least {
        offences.push(format!("{} rows, at least {least} were promised", seen.len()));
    }
    offences
}

/// The lines of one section of a manifest, with the line above each.
fn section<'a>(manifest: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let all: Vec<&str> = manifest.lines().collect();
    let header = format!("[{name}]");
    let lines = all.iter().zip(all.iter().skip(1)).map(|(above, line)| (*above, *line));
    let inside = lines.skip_while(|(above, _)| *above != header);
    inside.take_while(|(_, line)| !line.starts_with('[')).collect()
}

fn is_entry(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphabetic()) && (line.contains('='))
}

fn unexplained(manifest: &str) -> Vec<String> {
    let entries = section(manifest, "workspace.dependencies");
    let mut offences: Vec<String> = entries
        .iter()
        .filter(|(above, line)| is_entry(line) && !(above.starts_with("# ") && above.len() > 10))
        .map(|(_, line)| format!("no line above says why it is needed: {line}"))
        .collect();
    if entries.is_empty() {
        offences.push("the manifest has no [workspace.dependencies]".to_owned());
    }
    offences
}

fn private(path: &str, manifest: &str) -> Vec<String> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let lines = kinds.iter().flat_map(|kind| section(manifest, kind));
    lines
        .filter(|(_, line)| is_entry(line) && !line.contains("workspace = true"))
        .map(|(_, line)| format!("{path}: not taken from the workspace, so unexplained: {line}"))
        .collect()
}

/// Each marker is followed by a fenced command, which `.ci/run` executes.
fn commands(readme: &str) -> Vec<String> {
    let mut offences = Vec::new();
    for marker in ["<!-- ci:test -->", "<!-- ci:run -->"] {
        let mut lines = readme.lines().skip_while(|line| *line != marker).skip(1);
        let fenced = lines.next().is_some_and(|line| line.starts_with("```"));
        if !fenced || !lines.next().is_some_and(|line| line.starts_with("cargo ")) {
            offences.push(format!("README.md: no fenced command after {marker}"));
        }
    }
    offences
}

#[test]
fn every_invariant_names_its_test_or_is_open() {
    let rows = rows(&tree::one("actors/README.md").text, "I");
    none(numbering(&rows, INVARIANTS));
    none(claims(&rows, &tree::all()));
}

#[test]
fn every_promise_names_its_test_or_is_open() {
    let rows = rows(&tree::one("README.md").text, "P");
    none(numbering(&rows, PROMISES));
    none(claims(&rows, &tree::all()));
}

#[test]
fn every_dependency_says_why_it_is_there() {
    none(unexplained(&tree::one("Cargo.toml").text));
    for path in ["Cargo.toml", "actors/Cargo.toml"] {
        none(private(path, &tree::one(path).text));
    }
}

#[test]
fn the_commands_of_the_readme_can_be_extracted() {
    none(commands(&tree::one("README.md").text));
}

#[test]
fn a_claim_without_a_test_is_found() {
    let text = "#[test]\nfn it_holds() {}\n\nfn not_a_test() {}\n\n#[tokio::test(x)]\n\
                #[expect(a)]\nasync fn it_holds_too() {}\n";
    let sources = [tree::Source { path: "a.rs".to_owned(), text: text.to_owned() }];
    let check = |table: &str| claims(&rows(table, ""), &sources);
    assert!(check("| 1 | a | `it_holds`, `it_holds_too` |\n| 2 | b | open: later |").is_empty());
    finds(&check("| 1 | a | `it_hold` |"), "no source has a test `it_hold`");
    finds(&check("| 1 | a | `not_a_test` |"), "`not_a_test`");
    finds(&check("| 1 | a | surely |"), "does not say `open`");
    finds(&check("| 1 | a |  |"), "does not say `open`");
}

#[test]
fn a_gap_in_the_numbering_is_found() {
    let table = |numbers: &[usize]| -> String {
        numbers.iter().map(|no| format!("| P{no} | a | open |\n")).collect()
    };
    assert!(numbering(&rows(&table(&[1, 2, 3]), "P"), 3).is_empty());
    finds(&numbering(&rows(&table(&[1, 3]), "P"), 2), "not numbered");
    finds(&numbering(&rows(&table(&[1, 2]), "P"), 3), "at least 3");
    finds(&numbering(&rows("no table", "P"), 3), "at least 3");
}

#[test]
fn an_unexplained_dependency_is_found() {
    let good = "[workspace.dependencies]\n# Values on the wire.\nserde = \"1\"\n\n[package]\n";
    assert!(unexplained(good).is_empty());
    finds(&unexplained("[workspace.dependencies]\nserde = \"1\"\n"), "serde");
    finds(
        &unexplained(&format!("{}rand = \"1\"\n", good.trim_end_matches("\n[package]\n"))),
        "rand",
    );
    finds(&unexplained("[package]\n"), "no [workspace.dependencies]");
    finds(&private("a", "[dependencies]\nserde.workspace = true\nrand = \"1\"\n"), "rand");
    assert!(private("a", "[dependencies]\nserde = { workspace = true }\n").is_empty());
}

#[test]
fn a_readme_without_commands_is_found() {
    finds(&commands("<!-- ci:test -->\n```sh\ncargo test\n```\n"), "ci:run");
    finds(&commands("<!-- ci:test -->\ncargo test\n"), "ci:test");
}
