//! The table of programs whose words are known, read from its text once. A row says what the options
//! and operands mean; what it does not list is never assumed.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// What a value or an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Nothing outside the program.
    Data,
    /// A file that is read.
    Read,
    /// The pattern, so that no operand is.
    Pattern,
    /// A file with patterns, so that no operand is one.
    Patterns,
    /// A script, so that no operand is.
    Script,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value(Use),
    /// Only in the same word.
    Perhaps,
    /// Nothing, and with it no operand is a pattern.
    NoPattern,
}

/// What a program's operands are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operands {
    /// It has none.
    None,
    /// No files.
    Data,
    /// Files that are read.
    Read,
    /// At most one, a file that is read; a second one would be written.
    One,
    /// The first is a pattern, the others are files.
    First,
    /// Names of whatever the program knows, files perhaps.
    Maybe,
    /// As `First`, but what looks like a file may be a name of the program's own.
    FirstMaybe,
    /// A script for sed, then files.
    Sed,
    /// A script for awk, then files.
    Awk,
    /// A filter for jq, then files.
    Jq,
    /// Archives, of which one may be on another machine.
    Archive,
    /// Letters, as `ps aux` has them.
    Letters,
    /// Files that are read, if the option `--check` is there.
    Checked,
}

/// One program, or one of its commands.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) operands: Operands,
    /// No option of it does harm.
    pub(super) inert: bool,
    /// Its long options begin with one dash.
    pub(super) single: bool,
    /// A letter takes its value from the next word, whatever stands behind it in its own.
    pub(super) apart: bool,
    /// A word has one letter: with more it is another option, whose name begins so. Behind an operand no
    /// word is an option.
    pub(super) alone: bool,
    /// A word that begins with `@` names a file with more words.
    pub(super) words_in_files: bool,
    /// It expands wildcards that the shell has left alone.
    pub(super) expands: bool,
    /// Every word is data, whatever it begins with.
    pub(super) plain: bool,
    shorts: Vec<(char, Takes)>,
    longs: HashMap<&'static str, Takes>,
}

impl Row {
    pub(super) fn short(&self, letter: char) -> Option<Takes> {
        self.shorts.iter().find(|(known, _)| *known == letter).map(|(_, takes)| *takes)
    }

    pub(super) fn long(&self, name: &str) -> Option<Takes> {
        self.longs.get(name).copied()
    }
}

static TABLE: LazyLock<HashMap<&'static str, Row>> = LazyLock::new(|| {
    let lines = include_str!("programs.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(read).collect()
});

/// The row of a program by the words that name it, joined by blanks.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    TABLE.get(name)
}

/// Whether commands of a program are listed one by one.
pub(super) fn has_commands(program: &str) -> bool {
    COMMANDS.contains(program)
}

static COMMANDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    TABLE.keys().filter_map(|name| name.split_once(' ')).map(|(program, _)| program).collect()
});

/// Every name in the table, for the tests of it.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

/// One line; `None` where it is not one, which a test rules out.
fn read(line: &'static str) -> Option<(&'static str, Row)> {
    let mut fields = line.split('|').map(str::trim);
    let (name, operands) = (fields.next()?, fields.next()?);
    let kind = operands.trim_end_matches(['!', '~', '^', '%', '@', '*', '=']);
    let mut row = Row {
        operands: meant(kind)?,
        inert: operands.contains('!'),
        single: operands.contains('~'),
        apart: operands.contains('^'),
        alone: operands.contains('%'),
        words_in_files: operands.contains('@'),
        expands: operands.contains('*'),
        plain: operands.contains('='),
        shorts: Vec::new(),
        longs: HashMap::new(),
    };
    for token in fields.next().unwrap_or_default().split_whitespace() {
        let (letters, takes) = option(token)?;
        let mut letters = letters.chars().rev();
        // `abn=`: the last letter takes the value.
        row.shorts.push((letters.next()?, takes));
        row.shorts.extend(letters.map(|letter| (letter, Takes::Nothing)));
    }
    for token in fields.next().unwrap_or_default().split_whitespace() {
        let (name, takes) = option(token)?;
        row.longs.insert(name, takes);
    }
    Some((name, row))
}

fn option(token: &'static str) -> Option<(&'static str, Takes)> {
    if let Some(name) = token.strip_suffix('?') {
        return Some((name, Takes::Perhaps));
    }
    if let Some(name) = token.strip_suffix('!') {
        return Some((name, Takes::NoPattern));
    }
    let Some((name, kind)) = token.split_once('=') else { return Some((token, Takes::Nothing)) };
    let value = match kind {
        "" => Use::Data,
        "r" => Use::Read,
        "p" => Use::Pattern,
        "P" => Use::Patterns,
        "s" => Use::Script,
        _ => return None,
    };
    Some((name, Takes::Value(value)))
}

fn meant(kind: &str) -> Option<Operands> {
    Some(match kind {
        "none" => Operands::None,
        "data" => Operands::Data,
        "read" => Operands::Read,
        "one" => Operands::One,
        "first" => Operands::First,
        "maybe" => Operands::Maybe,
        "gitgrep" => Operands::FirstMaybe,
        "sed" => Operands::Sed,
        "awk" => Operands::Awk,
        "jq" => Operands::Jq,
        "archive" => Operands::Archive,
        "ps" => Operands::Letters,
        "check" => Operands::Checked,
        _ => return None,
    })
}
