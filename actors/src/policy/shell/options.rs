//! Words of a program against its row: every option must be known by its full name, every value and
//! every file is noted. Without a row nothing is known, and each word may be a file.

use super::{
    Access, Cover, Word, awk,
    programs::{self, Operands, Row, Takes, Use},
    sed,
    statements::Walk,
};

/// What reads a script: the files that it names, or why it is not harmless.
type Script = fn(&str) -> Result<Vec<(Access, String)>, String>;

/// One program's words being read.
#[derive(Debug)]
struct Reading {
    row: &'static Row,
    name: String,
    /// Why it is not simply harmless.
    against: Option<String>,
    /// Operands seen.
    operands: Vec<Word>,
    /// Scripts that came with options.
    scripts: Vec<Word>,
    /// A pattern came with an option.
    has_pattern: bool,
    /// `--check` came.
    checks: bool,
    /// An option came that is not in the row, so that what any other word is may not be known.
    is_guessed: bool,
}

impl Walk<'_> {
    /// A program by its row, if it has one and is meant by its bare name.
    pub(super) fn known(&mut self, program: &str, words: &[Word]) {
        let Some((name, row, from)) = find(program, words) else {
            for word in words.iter().skip(1) {
                self.script.maybe_within(word, &self.folders);
            }
            let cover = if programs::has_commands(program) {
                let named: Vec<&str> = words.iter().take(2).map_while(Word::text).collect();
                Cover::Unlisted(format!("{} is not known to be harmless", named.join(" ")))
            } else {
                self.may_run(words);
                Cover::Unknown
            };
            return self.runs(words.to_vec(), cover);
        };
        let mut reading = Reading {
            row,
            name,
            against: None,
            operands: Vec::new(),
            scripts: Vec::new(),
            has_pattern: false,
            checks: false,
            is_guessed: false,
        };
        let rest = words.get(from..).unwrap_or_default();
        if row.words_in_files {
            self.words_in_files(&mut reading, rest);
        }
        let quoted = |word: &Word| word.text().is_some_and(|text| text.contains(['*', '?', '[']));
        if row.expands && rest.iter().any(quoted) {
            reading.against(format!("{} expands wildcards by itself", reading.name));
        }
        self.read_words(&mut reading, rest);
        self.operands(&mut reading);
        if reading.is_guessed {
            for word in rest {
                self.script.maybe_within(word, &self.folders);
            }
        }
        // The option alone decides what is written, so its absence is asked.
        if reading.row.operands == Operands::Checked && !reading.checks {
            reading.against(format!("{} without --check changes files", reading.name));
        }
        self.runs(words.to_vec(), reading.against.map_or(Cover::Known, Cover::Against));
    }

    /// Words that stand for the words in a file, wherever they come.
    fn words_in_files(&mut self, reading: &mut Reading, words: &[Word]) {
        for word in words.iter().filter(|word| word.start().starts_with('@')) {
            reading.against("which options are in a file is known only when it runs".to_owned());
            let file = word.text().map(|text| Word::Text(text.trim_start_matches('@').to_owned()));
            self.script.maybe_file(&file.unwrap_or_else(|| word.clone()), &self.folders);
        }
    }

    fn read_words(&mut self, reading: &mut Reading, words: &[Word]) {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let start = word.start();
            let Some(text) = word.text() else {
                let is_option = start.starts_with('-');
                let is_operand = !word.may_split() && !start.is_empty();
                if !is_option && (is_operand || reading.row.inert) {
                    reading.operands.push(word.clone());
                } else if let Some((option, value)) = glued(word)
                    && let Some(Takes::Value(used)) = reading.row.long(&option)
                    && !word.may_split()
                {
                    self.given(reading, used, &value);
                } else {
                    let why = "words that may be options are known only when it runs";
                    reading.against(why.to_owned());
                    self.script.maybe_file(word, &self.folders);
                }
                continue;
            };
            let is_behind = reading.row.alone && !reading.operands.is_empty();
            if reading.row.plain || is_behind {
                reading.operands.push(word.clone());
                continue;
            }
            if text == "--" {
                // The last of its letters takes this word for the archive's name, and goes on reading
                // options behind it.
                if reading.row.operands == Operands::Archive {
                    reading.against(format!("{} takes -- for a name", reading.name));
                }
                return self.behind(reading, words.as_slice());
            }
            if let Some(long) = text.strip_prefix("--") {
                self.long(reading, long, &mut words);
            } else if text.len() > 1 && text.starts_with('-') && reading.row.single {
                self.long(reading, text.trim_start_matches('-'), &mut words);
            } else if text.len() > 1 && text.starts_with('-') {
                self.shorts(reading, text, &mut words);
            } else {
                reading.operands.push(word.clone());
            }
        }
    }

    /// What stands behind `--`: operands, or words for what the program starts.
    fn behind(&mut self, reading: &mut Reading, words: &[Word]) {
        match programs::row(&format!("{} --", reading.name)) {
            Some(row) => {
                self.operands(reading);
                reading.operands.clear();
                reading.row = row;
                reading.name.push_str(" --");
                self.read_words(reading, words);
            }
            None => reading.operands.extend(words.iter().cloned()),
        }
    }

    fn long(&mut self, reading: &mut Reading, text: &str, rest: &mut std::slice::Iter<'_, Word>) {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(Word::Text(value.to_owned()))),
            None => (text, None),
        };
        reading.checks |= text == "check";
        match (reading.row.long(name), value) {
            (Some(Takes::NoPattern), None) => reading.has_pattern = true,
            (Some(Takes::Nothing | Takes::Perhaps), None) | (Some(Takes::Perhaps), Some(_)) => {}
            (Some(Takes::Value(used)), Some(value)) => self.given(reading, used, &value),
            (Some(Takes::Value(used)), None) => self.next(reading, used, rest),
            (Some(Takes::Nothing | Takes::NoPattern), Some(_)) | (None, _) => {
                reading.unknown(&format!("--{name}"));
                self.script.maybe_file(&Word::Text(format!("--{text}")), &self.folders);
            }
        }
    }

    fn shorts(&mut self, reading: &mut Reading, text: &str, rest: &mut std::slice::Iter<'_, Word>) {
        let letters = text.get(1..).unwrap_or_default();
        if letters.chars().all(|c| c.is_ascii_digit()) && reading.row.short('#').is_some() {
            return;
        }
        for (at, letter) in letters.char_indices() {
            let tail = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            match reading.row.short(letter) {
                Some(Takes::Nothing | Takes::NoPattern)
                    if reading.row.alone && !tail.is_empty() =>
                {
                    reading.against(format!("{} -{letters} is not understood", reading.name));
                    return;
                }
                Some(Takes::NoPattern) => reading.has_pattern = true,
                Some(Takes::Nothing) if letter != '#' => {}
                Some(Takes::Perhaps) => return,
                Some(Takes::Value(used)) if tail.is_empty() => {
                    return self.next(reading, used, rest);
                }
                Some(Takes::Value(_)) if reading.row.apart => {
                    reading.against(format!("{} -{letters} is not understood", reading.name));
                    return;
                }
                Some(Takes::Value(used)) => {
                    return self.given(reading, used, &Word::Text(tail.to_owned()));
                }
                Some(Takes::Nothing) | None => {
                    reading.unknown(&format!("-{letter}"));
                    return self.script.maybe_file(&Word::Text(text.to_owned()), &self.folders);
                }
            }
        }
    }

    /// A value in a word of its own. One that looks like an option is read as one by some programs.
    fn next(&mut self, reading: &mut Reading, used: Use, rest: &mut std::slice::Iter<'_, Word>) {
        let Some(word) = rest.next() else {
            return reading.against("an option has no value".to_owned());
        };
        let dashed = word.start().starts_with('-')
            && word.text().is_none_or(|text| {
                text.get(1..)
                    .is_some_and(|t| !t.is_empty() && !t.chars().all(|c| c.is_ascii_digit()))
            });
        let vague = word.text().is_none() && (word.may_split() || word.start().is_empty());
        // What searches takes a pattern as it is, whatever it begins with.
        let is_pattern = used == Use::Pattern && word.text().is_some() && reading.name != "zgrep";
        let splits = word.may_split() && reading.row.operands != Operands::Data;
        if (dashed && !is_pattern) || splits || (vague && !reading.row.inert) {
            reading.against("a value looks like an option".to_owned());
        }
        // It may become the value and operands, of which the first may have been thought a pattern.
        if word.is_wild() {
            if !reading.row.inert && reading.row.operands != Operands::Read {
                reading.against("a value may be several words".to_owned());
            }
            self.read_operand(reading, word);
        }
        self.given(reading, used, word);
    }

    fn given(&mut self, reading: &mut Reading, used: Use, value: &Word) {
        match used {
            Use::Data => {}
            Use::Read => self.read_operand(reading, value),
            Use::Pattern => reading.has_pattern = true,
            Use::Patterns => {
                reading.has_pattern = true;
                self.read_operand(reading, value);
            }
            Use::Script => reading.scripts.push(value.clone()),
        }
    }

    fn operands(&mut self, reading: &mut Reading) {
        let mut operands = std::mem::take(&mut reading.operands);
        match reading.row.operands {
            Operands::Data => {}
            Operands::None => {
                if !operands.is_empty() {
                    reading
                        .against(format!("{} has more words than it is known for", reading.name));
                }
                for word in &operands {
                    self.script.maybe_file(word, &self.folders);
                }
            }
            // A wildcard may stand for several names.
            Operands::One if operands.len() > 1 || operands.iter().any(|w| w.text().is_none()) => {
                reading.against(format!("the second file of {} is written", reading.name));
                for word in &operands {
                    self.script.maybe_file(word, &self.folders);
                }
            }
            Operands::Read | Operands::One | Operands::Checked => self.files(reading, &operands),
            Operands::First => {
                let pattern = !reading.has_pattern && !operands.is_empty();
                if operands.len() == usize::from(pattern) {
                    // It reads its input, or all that lies where it stands.
                    self.uses(Access::Read, &Word::Text(".".to_owned()));
                }
                // A wildcard may become the pattern and files.
                if pattern && operands.first().is_some_and(|word| !word.is_wild()) {
                    operands.remove(0);
                }
                self.files(reading, &operands);
            }
            Operands::Maybe | Operands::FirstMaybe => {
                let skipped = usize::from(
                    reading.row.operands == Operands::FirstMaybe && !reading.has_pattern,
                );
                if operands.len() <= skipped && reading.row.operands == Operands::FirstMaybe {
                    self.uses(Access::Read, &Word::Text(".".to_owned()));
                }
                let several = operands.first().is_some_and(Word::is_wild);
                for word in operands.iter().skip(if several { 0 } else { skipped }) {
                    self.script.maybe_file(word, &self.folders);
                }
            }
            Operands::Archive => {
                let elsewhere = |word: &Word| {
                    let start = word.start();
                    start.split('/').next().is_some_and(|first| first.contains(':'))
                        || word.text().is_none()
                };
                if operands.iter().any(elsewhere) {
                    reading.against("an archive with a colon is on another machine".to_owned());
                }
                self.files(reading, &operands);
            }
            Operands::Jq => self.code(reading, operands, jq_files),
            Operands::Sed => self.code(reading, operands, sed::read),
            Operands::Awk => self.code(reading, operands, awk::read),
            Operands::Letters => {
                let plain = |word: &Word| {
                    word.text().is_some_and(|t| {
                        t.chars().all(|c| c != 'e' && (c.is_ascii_alphanumeric() || c == ','))
                    })
                };
                if !operands.iter().all(plain) {
                    reading.against("its words are not letters".to_owned());
                }
            }
        }
    }

    /// A script, its files, and the files that the script itself names.
    fn code(&mut self, reading: &mut Reading, mut operands: Vec<Word>, read: Script) {
        if reading.scripts.is_empty() && !operands.is_empty() {
            reading.scripts.push(operands.remove(0));
        }
        for script in std::mem::take(&mut reading.scripts) {
            match script.text().map(read) {
                Some(Ok(files)) => {
                    for (access, path) in files {
                        self.uses(access, &Word::Text(path));
                    }
                }
                Some(Err(why)) => reading.against(why),
                None => reading.against("its script is known only when it runs".to_owned()),
            }
        }
        self.files(reading, &operands);
    }

    fn files(&mut self, reading: &mut Reading, words: &[Word]) {
        for word in words {
            self.read_operand(reading, word);
        }
    }

    fn read_operand(&mut self, reading: &mut Reading, word: &Word) {
        if word.is_files() {
            self.reads(word);
        } else {
            reading.against("which file it reads is known only when it runs".to_owned());
            self.uses(Access::Maybe, word);
        }
    }
}

impl Reading {
    fn against(&mut self, why: String) {
        self.against.get_or_insert(why);
    }

    fn unknown(&mut self, option: &str) {
        self.is_guessed = true;
        self.against(format!("{} {option} is not known to be harmless", self.name));
    }
}

/// The files that a filter for jq names: none, or it is not harmless.
fn jq_files(filter: &str) -> Result<Vec<(Access, String)>, String> {
    let mut words = filter.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$')));
    let reaches = ["import", "include", "modulemeta", "input_filename", "env", "$ENV"];
    match words.find(|word| reaches.contains(word)) {
        Some(word) => Err(format!("the filter of jq has the word {word}")),
        None => Ok(Vec::new()),
    }
}

/// `--option=` and the rest of a word that is not wholly known.
fn glued(word: &Word) -> Option<(String, Word)> {
    let (option, _) = word.start().strip_prefix("--")?.split_once('=')?;
    let option = option.to_owned();
    let value = word.without(&format!("--{option}="))?;
    Some((option, value))
}

/// The row that the first words name, longest first, and where its own words begin. Git's one harmless
/// word before its command is skipped.
fn find(program: &str, words: &[Word]) -> Option<(String, &'static Row, usize)> {
    let mut own: Vec<&str> = vec![program];
    let mut from = 1;
    if program == "git" && words.get(1).and_then(Word::text) == Some("--no-pager") {
        from = 2;
    }
    let commands = words.get(from..).unwrap_or_default().iter().take(2);
    own.extend(commands.map_while(Word::text));
    for len in (1..=own.len()).rev() {
        let name = own.get(..len)?.join(" ");
        if let Some(row) = programs::row(&name) {
            return Some((name, row, from + len - 1));
        }
    }
    None
}
