//! The sources: found, read, and cut down to what a rule wants to see. It knows as much Rust as it
//! takes to tell code from comments, strings and test tails, and relies on rustfmt for the rest.

use std::{fs, path::Path};

/// A file of the house.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|ext| ext == "rs")
    }
}

/// The root of the repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SKIPPED: [&str; 2] = ["target", ".git"];
const KINDS: [&str; 6] = ["rs", "md", "toml", "sql", "sh", "html"];

/// Every text of the house that a person wrote.
pub(crate) fn all() -> Vec<Source> {
    let mut found = Vec::new();
    walk(Path::new(ROOT), &mut found);
    assert!(found.iter().any(|source| source.path == "actors/src/lib.rs"), "the walk is broken");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// One file.
pub(crate) fn one(path: &str) -> Source {
    let text = fs::read_to_string(Path::new(ROOT).join(path)).expect(path);
    Source { path: path.to_owned(), text }
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("read a folder of the house") {
        let path = entry.expect("read a folder of the house").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                walk(&path, found);
            }
            continue;
        }
        let kind = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let script = path.parent().and_then(Path::file_name).is_some_and(|name| name == ".ci");
        if KINDS.contains(&kind.as_str()) || script {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let path = path.strip_prefix(ROOT).expect("below the root").to_string_lossy();
            found.push(Source { path: path.replace('\\', "/"), text });
        }
    }
}

/// Whether a path holds tests only.
pub(crate) fn is_test(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    parts.iter().any(|part| ["tests", "benches", "tests.rs"].contains(part))
}

/// The lines of a Rust text without its `#[cfg(test)]` items at the outer level.
pub(crate) fn production(text: &str) -> Vec<&str> {
    let mut kept = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        let item = lines.by_ref().find(|line| !line.starts_with("#["));
        if item.is_some_and(|line| line.ends_with('{')) {
            lines.by_ref().find(|line| *line == "}");
        }
    }
    kept
}

/// The code of a Rust text: comments and the insides of literals become blanks, lines stay lines.
pub(crate) fn code(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let opaque = opaque(rest, out.chars().next_back());
        let taken = if opaque == 0 { first.len_utf8() } else { opaque };
        let (head, tail) = rest.split_at(taken);
        if opaque == 0 {
            out.push(first);
        } else {
            out.extend(head.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = tail;
    }
    out
}

/// Bytes of the comment or literal that `rest` begins with; 0 when it begins with code.
fn opaque(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |at| at + 2);
    }
    let fresh = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_') || c == 'b');
    if fresh && rest.starts_with('r') {
        let after = rest.trim_start_matches('r');
        let hashes = after.len() - after.trim_start_matches('#').len();
        if rest.len() - after.len() == 1 && after.trim_start_matches('#').starts_with('"') {
            let open = 1 + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            let inside = rest.split_at(open).1;
            return inside.find(&close).map_or(rest.len(), |at| open + at + close.len());
        }
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    // `'a'` and `'\n'` are literals, `'a` is a lifetime.
    let mut chars = rest.chars();
    if chars.next() == Some('\'') {
        let (inside, after) = (chars.next(), chars.next());
        if inside == Some('\\') || after == Some('\'') {
            return quoted(rest, '\'');
        }
    }
    0
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// The first segments of every path that begins with `root::`, also inside a brace group.
pub(crate) fn segments(code: &str, root: &str) -> Vec<String> {
    let key = format!("{root}::");
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&key) {
        let (before, after) = code.split_at(at);
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let after = after.split_at(key.len()).1.trim_start();
        match after.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.push(head(after)),
        }
    }
    found
}

fn head(path: &str) -> String {
    let path = path.trim_start();
    if path.starts_with('*') {
        return "*".to_owned();
    }
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut heads = vec![head(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(head(group.split_at(at + 1).1)),
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "a /* x */ b // y\nc \"z\\\"z\" d r#\"w\"w\"# e 'v' f<'g> b\"u\" '\\'' h";
    let seen: String = code(text).split_whitespace().collect();
    assert_eq!(seen, "abcdef<'g>bh");
}

#[test]
fn test_tails_are_not_production() {
    let text = "//! x\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n\nfn c() {}\n\
                #[cfg(test)]\nmod more;\nfn d() {}\n";
    assert_eq!(production(text), ["//! x", "fn a() {}", "", "", "fn c() {}", "fn d() {}"]);
}

#[test]
fn every_root_of_an_import_is_seen() {
    let text =
        "use crate::{\n  a::{b, c},\n  d,\n};\nuse crate::e;\nlet f = crate::g::h();\nmy_crate::i";
    assert_eq!(segments(text, "crate"), ["a", "d", "e", "g"]);
    assert_eq!(segments("use crate::*;", "crate"), ["*"]);
}
