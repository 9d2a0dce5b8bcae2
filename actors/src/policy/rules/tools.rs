//! The table of tools whose rules read one particular argument, with the spellings that mean the
//! same tool. A tool that is not in the table has generic rules.

/// What a rule's spec means for a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A shell command.
    Shell,
    /// A command as the list of its words.
    Argv,
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
    /// Its own bit in a set of rows.
    pub(super) bit: u16,
}

const PATHS: &[&str] = &["path", "file_path", "notebook_path"];

/// A bash string.
pub(super) static SHELL: Row = Row {
    names: &["shell", "Bash", "bash"],
    covered_by: &[],
    kind: Kind::Shell,
    args: &["command"],
    edits: false,
    bit: 1 << 0,
};
/// A program without a shell: its words say no more than they do in a bash string, so what is ruled
/// about those holds here.
pub(super) static EXEC: Row = Row {
    names: &["exec", "Exec"],
    covered_by: &["shell", "Bash", "bash"],
    kind: Kind::Argv,
    args: &["argv"],
    edits: false,
    bit: 1 << 7,
};
/// Reads a file.
pub(super) static READ: Row = Row {
    names: &["read_file", "Read"],
    covered_by: &[],
    kind: Kind::Path,
    args: PATHS,
    edits: false,
    bit: 1 << 1,
};
/// Changes a file.
pub(super) static EDIT: Row = Row {
    names: &["edit_file", "Edit"],
    covered_by: &[],
    kind: Kind::Path,
    args: PATHS,
    edits: true,
    bit: 1 << 2,
};
/// Writes a file.
pub(super) static WRITE: Row = Row {
    names: &["write_file", "Write"],
    covered_by: &["Edit"],
    kind: Kind::Path,
    args: PATHS,
    edits: true,
    bit: 1 << 3,
};
/// Lists a folder. What it shows is what is read, so a rule for reading holds for it as well.
pub(super) static LIST: Row = Row {
    names: &["list_files", "Glob", "LS"],
    covered_by: &["Read"],
    kind: Kind::Path,
    args: PATHS,
    edits: false,
    bit: 1 << 4,
};
/// Searches files, which is to read them.
pub(super) static SEARCH: Row = Row {
    names: &["search_files", "Grep"],
    covered_by: &["Read"],
    kind: Kind::Path,
    args: PATHS,
    edits: false,
    bit: 1 << 5,
};
/// Reads a page.
pub(super) static FETCH: Row = Row {
    names: &["fetch", "WebFetch"],
    covered_by: &[],
    kind: Kind::Url,
    args: &["url"],
    edits: false,
    bit: 1 << 6,
};
/// Every tool with a reading of its own.
pub(super) static TABLE: &[&Row] = &[&SHELL, &EXEC, &READ, &EDIT, &WRITE, &LIST, &SEARCH, &FETCH];

/// The row of a tool by one of its spellings.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().copied().find(|row| row.names.contains(&name))
}
