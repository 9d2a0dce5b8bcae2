//! Commands within the words of a program that runs others. Where its options are known, it is known
//! where the other command begins; of all others any word may begin one, and rules may forbid each. Who
//! they are stands in `runners`.

use super::{
    Access, Cover, Piece, Word,
    files::Folders,
    runners::{self, INTERPRETERS, Row, SHELLS, basename},
    statements::Walk,
    tree,
};

/// How many levels one text within another counts for: a wrapper may hold a wrapper, but not for ever.
pub(super) const NESTED: usize = 4;

impl Walk<'_> {
    /// A program that is not the shell's own.
    pub(super) fn program(&mut self, program: &str, words: &[Word]) {
        let name = basename(program);
        self.notes_files(words);
        if name == "env" {
            return self.env(words);
        }
        if name == "xargs" || runners::resolved(name).is_some() {
            let (name, looks_up) = (name.to_owned(), words.get(1).and_then(Word::text));
            if name == "command" && matches!(looks_up, Some("-v" | "-V")) {
                return self.runs(words.to_vec(), Cover::Known);
            }
            return self.wrapped(&name, words);
        }
        if SHELLS.contains(&name) {
            return self.shell(words);
        }
        if INTERPRETERS.contains(&name) {
            let code = words.get(1).and_then(Word::text);
            if words.len() < 2 || code.is_some_and(|text| text == "-" || text.starts_with("/dev/"))
            {
                self.script.refuse(format!("{name} reads what it runs from its input"));
            }
        }
        if runners::is_loose(name) || tree::is_keyword(name) {
            self.shadows(words);
        }
        if name == "find" {
            return self.find(program, words);
        }
        self.known(program, words);
    }

    fn wrapped(&mut self, name: &str, words: &[Word]) {
        let Some(row) = runners::resolved(name) else { return };
        self.runs(words.to_vec(), if row.transparent { Cover::Shadow } else { Cover::Unknown });
        let Some(mut rest) = inner(row, words) else {
            self.script.doubt(format!("an option of {name} is not understood"));
            let is_shell = |word: &Word| word.text().is_some_and(|t| SHELLS.contains(&basename(t)));
            if name == "xargs" && words.iter().any(is_shell) {
                self.script.refuse("a shell runs what comes by the input of xargs");
            }
            for word in words.iter().skip(1) {
                self.script.maybe_file(word, &self.folders);
            }
            return self.shadows(words);
        };
        if name == "xargs" {
            if rest.is_empty() {
                rest.push(Word::Text("echo".to_owned()));
            }
            // What comes by its input may also be nothing.
            self.runs(rest.clone(), Cover::Shadow);
            rest.push(Word::Shape(vec![Piece::Split]));
        }
        if rest.is_empty() {
            return self.script.doubt(format!("{name} has no command to run"));
        }
        self.inner(rest);
    }

    /// A command within a command.
    pub(super) fn inner(&mut self, words: Vec<Word>) {
        self.aside(|walk| walk.deeper(|walk| drop(walk.simple(super::simple::Simple::of(words)))));
    }

    /// Every later word as the beginning of a command, and every text that could be a script.
    pub(super) fn shadows(&mut self, words: &[Word]) {
        if words.len() > crate::limits::COMMAND_WORDS {
            self.script.doubt("it has more words than are looked at as programs");
        }
        for at in 1..words.len().min(crate::limits::COMMAND_WORDS) {
            let rest = words.get(at..).unwrap_or_default();
            let program = rest.first().and_then(Word::text).map(basename);
            if program.is_some_and(|program| SHELLS.contains(&program)) {
                // It looks at the words behind it as this does.
                self.notes_files(rest);
                return self.deeper(|walk| walk.shell(rest));
            }
            if program == Some("env") {
                self.notes_files(rest);
                return self.deeper(|walk| walk.env(rest));
            }
            self.runs(rest.to_vec(), Cover::Shadow);
            if let Some(value) = rest.first().and_then(Word::text).and_then(glued) {
                let mut glued = rest.to_vec();
                glued[0] = Word::Text(value.to_owned());
                self.runs(glued, Cover::Shadow);
            }
            self.notes_files(rest);
            if let Some(text) = rest.first().and_then(Word::text).filter(|text| text.contains(' '))
            {
                let text = text.to_owned();
                self.nested(&text, true);
                if let Some(value) = glued(&text) {
                    self.nested(value, true);
                }
            }
        }
    }

    /// Every later word of a program of which nothing is known: it may run it.
    pub(super) fn may_run(&mut self, words: &[Word]) {
        if words.len() > crate::limits::COMMAND_WORDS {
            self.script.doubt("it has more words than are looked at as programs");
        }
        for at in 1..words.len().min(crate::limits::COMMAND_WORDS) {
            let rest = words.get(at..).unwrap_or_default();
            let rest = rest.get(..crate::limits::COMMAND_WORDS).unwrap_or(rest);
            if !rest.first().is_some_and(|word| word.start().starts_with('-')) {
                self.runs(rest.to_vec(), Cover::Shadow);
            }
        }
    }

    fn env(&mut self, words: &[Word]) {
        self.runs(words.to_vec(), if words.len() == 1 { Cover::Known } else { Cover::Shadow });
        let before = self.folders.clone();
        let mut at = 1;
        while let Some(many) = self.env_word(words, at) {
            at += many;
        }
        let rest = words.get(at..).unwrap_or_default();
        let is_option = rest.first().is_some_and(|word| word.start().starts_with('-'));
        if is_option || rest.first().is_some_and(|word| word.text().is_none()) {
            self.script.doubt("an option of env is not understood");
            self.splits(rest);
            self.shadows(words);
        } else if !rest.is_empty() {
            self.inner(rest.to_vec());
        } else if words.len() > 1 {
            self.script.doubt("env has no command to run");
        }
        self.folders = before;
    }

    /// How many words of `env` go together here; `None` where its command begins, or what is not known.
    fn env_word(&mut self, words: &[Word], at: usize) -> Option<usize> {
        let word = words.get(at)?;
        let start = word.start();
        let assigned = start.split_once('=').map(|(name, _)| name.to_owned());
        if let Some(name) = assigned.filter(|name| !name.is_empty() && !name.starts_with('-')) {
            let value = word.without(&format!("{name}=")).unwrap_or_else(Word::unknown);
            if !super::words::is_name(&name) {
                self.judge_name(&name);
            }
            self.judge_assignment(&name, &value, false);
            return Some(1);
        }
        if matches!(
            word.text()?,
            "-i" | "-" | "--ignore-environment" | "-0" | "--null" | "--" | "-v" | "--debug"
        ) {
            return Some(1);
        }
        if let Some((name, many)) = value_of(words, at, ["-u", "--unset"]) {
            self.script.doubt("env takes a variable away");
            self.judge_name(name.text().unwrap_or_default());
            return Some(many);
        }
        let (folder, many) = value_of(words, at, ["-C", "--chdir"])?;
        self.script.file(Access::Read, &folder, &self.folders);
        self.folders = folder.text().map_or_else(Folders::lost, |to| self.folders.moved(to));
        Some(many)
    }

    /// `env -S`: a text that it splits into words as a shell would, more or less.
    fn splits(&mut self, words: &[Word]) {
        let Some(option) = words.first().and_then(Word::text) else { return };
        let glued = match option.strip_prefix("--") {
            Some(long) => long.split_once('=').map(|(_, text)| text),
            None => option.split_once('S').map(|(_, text)| text),
        };
        let text = glued.filter(|text| !text.is_empty());
        let rest = words.iter().skip(1).map(|word| word.text().unwrap_or_default());
        let text: Vec<&str> = text.into_iter().chain(rest).collect();
        self.nested(&text.join(" "), true);
    }

    /// A shell: with a text it is one more script; without one it reads from its input.
    fn shell(&mut self, words: &[Word]) {
        let is_bash = words.first().and_then(Word::text).is_some_and(|name| name == "bash");
        match words.get(1..).unwrap_or_default() {
            [option, code, rest @ ..]
                if option.text() == Some("-c") && !code.start().starts_with(['-', '+']) =>
            {
                let Some(text) = code.text().map(str::to_owned) else {
                    self.script.refuse("a shell runs text that is known only when it runs");
                    return self
                        .runs(words.to_vec(), Cover::Against("its text is computed".to_owned()));
                };
                let exact = is_bash && rest.is_empty();
                self.runs(words.to_vec(), if exact { Cover::Shadow } else { Cover::Unknown });
                self.nested(&text, true);
                // What stands behind is what its `$0` and `$@` may run.
                self.shadows(words.get(2..).unwrap_or_default());
            }
            rest => {
                let script = script_of(rest);
                let from = |word: &Word| {
                    word.text().is_none_or(|t| t.starts_with("/dev/") || t.starts_with("/proc/"))
                };
                let has = |letter: char| {
                    rest.iter().any(|word| {
                        let text = word.start();
                        text.starts_with('-') && !text.starts_with("--") && text.contains(letter)
                    })
                };
                let version = rest.iter().any(|word| word.text() == Some("--version"));
                if !version && !has('c') && (script.is_none_or(from) || has('s')) {
                    self.script.refuse("a shell reads what it runs from its input");
                }
                self.shadows(words);
                let why = "what a script does is not known here".to_owned();
                self.runs(words.to_vec(), Cover::Against(why));
            }
        }
    }
}

/// The file that a shell with these words runs: the first that is no option, nor the value of one.
pub(super) fn script_of(words: &[Word]) -> Option<&Word> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let start = word.start();
        if !start.starts_with(['-', '+']) {
            return Some(word);
        }
        let has_value = match word.text() {
            Some("-" | "--") => return words.next(),
            Some("--rcfile" | "--init-file") => true,
            Some(text) => !text.starts_with("--") && text.ends_with(['o', 'O']),
            None => false,
        };
        if has_value {
            words.next();
        }
    }
    None
}

/// The value of an option, by its short and its long name, and how many words it takes.
fn value_of(words: &[Word], at: usize, [short, long]: [&str; 2]) -> Option<(Word, usize)> {
    let text = words.get(at)?.text()?;
    if text == short || text == long {
        return Some((words.get(at + 1)?.clone(), 2));
    }
    let glued = match text.strip_prefix(long) {
        Some(rest) => rest.strip_prefix('='),
        None => text.strip_prefix(short),
    };
    Some((Word::Text(glued?.to_owned()), 1))
}

/// What is glued to an option, behind its letter or behind `=`.
fn glued(text: &str) -> Option<&str> {
    match text.strip_prefix("--") {
        Some(long) => long.split_once('=').map(|(_, value)| value),
        None => text.strip_prefix('-').and_then(|rest| rest.get(1..)),
    }
}

/// The command that a wrapper runs; `None` where its own words are not understood.
fn inner(row: &Row, words: &[Word]) -> Option<Vec<Word>> {
    let mut at = 1;
    let mut leading = row.leading;
    while let Some(word) = words.get(at) {
        let text = word.text();
        let attached = text.and_then(|text| text.split_once('=')).map(|(option, _)| option);
        let glued = |text: &str| {
            row.values.iter().any(|o| o.len() == 2 && text.len() > 2 && text.starts_with(o))
        };
        match text {
            Some("--") => at += 1,
            Some(text) if row.flags.contains(&text) => at += 1,
            Some(text) if row.values.contains(&text) => {
                words.get(at + 1)?.text()?;
                at += 2;
            }
            Some(_) if attached.is_some_and(|option| row.values.contains(&option)) => at += 1,
            Some(text) if glued(text) => at += 1,
            Some(text) if text.starts_with('-') => return None,
            Some(_) if leading > 0 => {
                leading -= 1;
                at += 1;
            }
            Some(_) => break,
            None => break,
        }
        if text == Some("--") && leading == 0 {
            break;
        }
    }
    Some(words.get(at..).unwrap_or_default().to_vec())
}
