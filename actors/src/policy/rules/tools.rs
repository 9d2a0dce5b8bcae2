//! The table of tools whose rules read one particular argument, with the spellings that mean the
//! same tool. A tool that is not in the table has generic rules.

/// What a rule's spec means for a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A shell command.
    Shell,
    /// A path, in gitignore syntax.
    Path,
    /// An address.
    Url,
}

/// One tool.
#[derive(Debug)]
pub(super) struct Row {
    /// Its spellings: as the model calls it and as rules name it.
    pub(super) names: &'static [&'static str],
    /// Further names in rules that cover this tool among others.
    pub(super) covered_by: &'static [&'static str],
    /// What a spec means.
    pub(super) kind: Kind,
    /// Names of the argument that a spec reads. More than one in a request makes it unclear.
    pub(super) args: &'static [&'static str],
    /// Whether it changes files: what mode `accept_edits` is about.
    pub(super) edits: bool,
}

const PATHS: &[&str] = &["path", "file_path", "notebook_path"];

/// Every tool with a reading of its own.
const TABLE: &[Row] = &[
    Row {
        names: &["shell", "Bash", "bash"],
        covered_by: &[],
        kind: Kind::Shell,
        args: &["command"],
        edits: false,
    },
    Row {
        names: &["read_file", "Read"],
        covered_by: &[],
        kind: Kind::Path,
        args: PATHS,
        edits: false,
    },
    Row {
        names: &["edit_file", "Edit"],
        covered_by: &[],
        kind: Kind::Path,
        args: PATHS,
        edits: true,
    },
    Row {
        names: &["write_file", "Write"],
        covered_by: &["Edit"],
        kind: Kind::Path,
        args: PATHS,
        edits: true,
    },
    // What they show is what is read, so a rule for reading holds for them as well.
    Row {
        names: &["list_files", "Glob", "LS"],
        covered_by: &["Read"],
        kind: Kind::Path,
        args: PATHS,
        edits: false,
    },
    Row {
        names: &["search_files", "Grep"],
        covered_by: &["Read"],
        kind: Kind::Path,
        args: PATHS,
        edits: false,
    },
    Row {
        names: &["fetch", "WebFetch"],
        covered_by: &[],
        kind: Kind::Url,
        args: &["url"],
        edits: false,
    },
];

/// The row of a tool by one of its spellings.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.names.contains(&name))
}
