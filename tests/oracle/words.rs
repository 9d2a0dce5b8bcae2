//! The words that generated commands are made of, beside the options of the table.

/// Operands that name files.
pub(super) const FILES: &[&str] = &[
    "README.md",
    "src/lib.rs",
    "src/main.rs",
    "data.csv",
    "notes.txt",
    "names.txt",
    "a.txt",
    "b.txt",
    "'a file with spaces.txt'",
    "src",
    "docs",
    "docs/*.md",
    "*.txt",
    "src/*.rs",
    ".",
    "./notes.txt",
    "missing.txt",
    "archive.tar",
    "data.csv.gz",
    "archive.zip",
    "list.json",
    "link",
    "sums",
    "*",
    "src/../README.md",
    "docs/deep",
    "\"notes.txt\"",
    "no\\tes.txt",
    "docs/*",
    "?.txt",
    "[ab].txt",
    // For what expands wildcards by itself.
    "'?.txt'",
    "'[a]rchive.zip'",
    "'.en?'",
];
/// Values and operands that are no files.
pub(super) const DATA: &[&str] = &[
    "1",
    "2",
    "3",
    "10",
    "name",
    "main",
    "a",
    ",",
    "':'",
    "%s",
    "auto",
    "never",
    "always",
    "always",
    "short",
    "full",
    "iso",
    "'*.md'",
    "HEAD",
    "bytes",
    "size",
    "none",
    "utf-8",
    "2024-01-01",
    "x",
];
/// What is looked for.
pub(super) const PATTERNS: &[&str] =
    &["main", "error", "'^pub'", "'a|b'", "one", "'[0-9]*'", ".", "''", "-e", "'ma.n'"];
/// Names that stand where the analyser sees no name. A program that takes one of them for a file opens
/// it, or tries to, and gives a row away that is wrong about it.
pub(super) const NAMES: &[&str] = &[
    "a.txt",
    "notes.txt",
    "src/lib.rs",
    ".env",
    "docs/.env",
    "../beside/secret.txt",
    "out/new",
    "out/old",
    "missing.txt",
    "docs",
];
/// Scripts for sed.
pub(super) const SED: &[&str] = &[
    "s/a/b/",
    "1,2p",
    "'/main/p'",
    "'$='",
    "1d",
    "'s/one/two/g'",
    "'w out/sed'",
    "'r notes.txt'",
    "q",
];
/// Scripts for awk.
pub(super) const AWK: &[&str] =
    &["'{print $1}'", "'NR==1'", "'/main/'", "'END {print NR}'", "'length > 2'"];
/// Commands that the table does not give.
pub(super) const SIMPLE: &[&str] = &[
    "pwd",
    "echo hello",
    "echo *.txt",
    "printf '%s\\n' a b",
    "test -f README.md",
    "[ -d src ]",
    "[[ -e notes.txt ]]",
    "true",
    "command -v ls",
    "type ls",
    "find . -name '*.md'",
    "find src -type f",
    "find . -newer a.txt",
    "find . -maxdepth 2 -empty",
    "find . -samefile a.txt",
    "find docs -ls",
    "find . -name '*.txt' -exec cat {} +",
    "find . -name '*.md' -exec grep -l main {} ';'",
    "sed -n 1,2p notes.txt",
    "ls | xargs echo",
    "ls *.txt | xargs -n1 basename",
    "git --no-pager log --oneline -5",
    "date +%s",
    "read -r x < a.txt",
];
