//! Files whose content decides what a command does: scripts, programs named by their path, and what
//! build tools read. Nothing is opened here; whoever asks a person about the command looks at them, so
//! that what was approved is what runs.

use crate::limits;

use super::{
    Word,
    runners::{INTERPRETERS, SHELLS, basename},
    statements::Walk,
    wrappers::script_of,
};

/// Build tools and the files that they read where they are started.
const BUILDERS: &[(&str, &[&str])] = &[
    ("make", &["GNUmakefile", "makefile", "Makefile"]),
    ("gmake", &["GNUmakefile", "makefile", "Makefile"]),
    ("just", &["justfile", "Justfile", ".justfile"]),
    ("npm", &["package.json"]),
    ("npx", &["package.json"]),
    ("pnpm", &["package.json"]),
    ("yarn", &["package.json"]),
];

impl Walk<'_> {
    /// Notes what a program with these words would run.
    pub(super) fn notes_files(&mut self, words: &[Word]) {
        let Some(program) = words.first().and_then(Word::text).map(str::to_owned) else { return };
        if program.contains('/') {
            self.runs_file("", &program);
        }
        let name = basename(&program);
        let operand = |word: &&Word| !word.start().starts_with(['-', '+']);
        if SHELLS.contains(&name) || INTERPRETERS.contains(&name) {
            let rest = words.get(1..).unwrap_or_default();
            let script =
                if SHELLS.contains(&name) { script_of(rest) } else { rest.iter().find(operand) };
            let script = script.and_then(Word::text);
            if let Some(script) = script.map(str::to_owned) {
                self.runs_file("", &script);
            }
        }
        if let Some((_, files)) = BUILDERS.iter().find(|(builder, _)| *builder == name) {
            self.builds(words, files);
        }
    }

    fn builds(&mut self, words: &[Word], files: &[&str]) {
        let words: Vec<String> =
            words.iter().skip(1).filter_map(Word::text).map(str::to_owned).collect();
        let value = |short: &str, long: &[&str]| {
            let after = words.iter().zip(words.iter().skip(1));
            let apart = after.filter(|(word, _)| *word == short || long.contains(&word.as_str()));
            let glued = words.iter().filter_map(|word| {
                let long = long.iter().find_map(|long| word.strip_prefix(long)?.strip_prefix('='));
                let short = word.strip_prefix(short).filter(|rest| !rest.is_empty());
                long.or(short).map(str::to_owned)
            });
            apart.map(|(_, value)| value.clone()).chain(glued).next()
        };
        let folder = value("-C", &["--directory"]).unwrap_or_default();
        match value("-f", &["--file", "--makefile", "--justfile"]) {
            Some(file) => self.runs_file(&folder, &file),
            None => files.iter().for_each(|file| self.runs_file(&folder, file)),
        }
    }

    /// Notes a file, from each folder that the shell may be in.
    pub(super) fn runs_file(&mut self, below: &str, path: &str) {
        let path = if below.is_empty() || path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{below}/{path}")
        };
        let mut add = |path: String| {
            let runs = &mut self.script.runs;
            if runs.len() < limits::SCRIPT_FILES && !runs.contains(&path) {
                runs.push(path);
            }
        };
        if path.starts_with('/') {
            return add(path);
        }
        for folder in self.folders.known() {
            add(format!("{folder}/{path}"));
        }
    }
}
