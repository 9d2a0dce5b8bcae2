//! What the shell does itself: change its folder, its variables, its functions, or run text as code.

use tree_sitter::Node;

use super::{
    Access, Cover, Word,
    files::Folders,
    statements::{Ends, Walk, children},
    words::raw,
};

/// Builtins that change how the shell reads or finds what comes after them.
const CHANGERS: &[&str] = &[
    "set",
    "shopt",
    "enable",
    "hash",
    "bind",
    "complete",
    "compgen",
    "compopt",
    "ulimit",
    "umask",
    "let",
    "mapfile",
    "readarray",
    "getopts",
    "history",
    "fc",
    "disown",
    "suspend",
    "logout",
    "exit",
    "return",
    "caller",
    "unalias",
    "fg",
    "bg",
    "times",
    "dirs",
    "declare",
    "typeset",
    "local",
    "export",
    "readonly",
    "unset",
];

const EXPORTED: &str = "a function takes the place of a program in what is started";

/// What leaves the shell in another folder, perhaps.
const MOVERS: &[&str] = &["cd", "pushd", "popd", "eval", ".", "source"];
/// What runs a builtin of the same shell.
const THROUGH: &[&str] = &["command", "builtin", "time", "exec", "coproc"];

impl Walk<'_> {
    /// A command by its program; `None` where it leaves the shell where it was.
    pub(super) fn builtin(&mut self, program: &str, words: &[Word]) -> Option<Ends> {
        let arguments = words.get(1..).unwrap_or_default();
        match program {
            "cd" | "pushd" => return Some(self.moves(words)),
            "popd" => {
                self.runs(words.to_vec(), Cover::Known);
                return Some(Ends::both(&Folders::lost()));
            }
            "eval" => return Some(self.evaluates(words)),
            "." | "source" => {
                self.sources(words);
                return Some(Ends::both(&Folders::lost()));
            }
            "alias" | "trap" => {
                self.script.doubt(format!("{program} keeps a command for later"));
                for word in arguments {
                    let text = word.text().unwrap_or_default();
                    let text = text.split_once('=').map_or(text, |(_, value)| value);
                    self.nested(text, true);
                }
                self.runs(words.to_vec(), Cover::Shadow);
            }
            "read" => {
                for word in arguments {
                    if let Some(name) = word.text().filter(|text| !text.starts_with('-')) {
                        self.judge_exported(name);
                    }
                }
                self.program(program, words);
            }
            "printf" => {
                let option = arguments.first().map(Word::start).unwrap_or_default();
                if let Some(glued) = option.strip_prefix("-v") {
                    let next = arguments.get(1).and_then(Word::text).unwrap_or_default();
                    let name = if glued.is_empty() { next } else { glued }.to_owned();
                    self.judge_exported(&name);
                }
                self.program(program, words);
            }
            "[" | "test" => {
                self.tests(words);
            }
            "[[" => {
                self.script.unread("a test is not understood");
                self.runs(words.to_vec(), Cover::Known);
            }
            changer if CHANGERS.contains(&changer) => self.changes(changer, words),
            _ => {
                self.program(program, words);
                // Run through another of its own words, a builtin moves the shell all the same.
                let moves = |word: &Word| word.text().is_none_or(|text| MOVERS.contains(&text));
                if THROUGH.contains(&program) && arguments.iter().any(moves) {
                    return Some(Ends::both(&Folders::lost()));
                }
            }
        }
        None
    }

    /// What changes how the shell reads or finds what comes after it; names that it sets are judged.
    fn changes(&mut self, changer: &str, words: &[Word]) {
        let why = format!("{changer} changes how the shell goes on");
        self.runs(words.to_vec(), Cover::Against(why));
        let declares = matches!(changer, "declare" | "typeset" | "local");
        for word in words.iter().skip(1) {
            let start = word.start();
            let option = start.starts_with(['-', '+']);
            if declares && option && start.contains('n') {
                self.script.refuse("a name is made to stand for another variable");
            }
            if changer == "export" && option && start.contains('f') {
                self.script.refuse(EXPORTED);
            }
            let name = word.start().split('=').next().unwrap_or_default().to_owned();
            let is_set = word.start().contains('=') || super::words::is_name(&name);
            if !option && !name.is_empty() && is_set {
                self.judge_name(&name);
            }
        }
    }

    /// `cd`: the folder is read, and the next commands run there.
    fn moves(&mut self, words: &[Word]) -> Ends {
        self.runs(words.to_vec(), Cover::Known);
        let home = Word::Text("~".to_owned());
        let is_cd = words.first().and_then(Word::text) == Some("cd");
        let is_option = |word: &&Word| is_cd && word.text().is_some_and(is_way);
        let options = words.iter().skip(1).take_while(is_option).count();
        let rest = words.get(1 + options..).unwrap_or_default();
        let target = match rest {
            [target] if target.text() != Some("--") => target,
            [dashes, target] if dashes.text() == Some("--") => target,
            [] if is_cd => &home,
            _ => {
                self.script.doubt("where it goes is not known");
                return Ends::both(&Folders::lost());
            }
        };
        // `cd` goes up by the names that it came by, whatever is a link; with an option perhaps not.
        let from = if options == 0 { self.folders.by_name() } else { self.folders.clone() };
        self.script.file(Access::Read, target, &from);
        let badly = self.folders.clone();
        match target.text().filter(|text| !text.is_empty() && !text.starts_with(['-', '+'])) {
            Some(text) => Ends { well: self.folders.moved(text), badly },
            None => Ends { well: Folders::lost(), badly },
        }
    }

    /// `eval`: its words are one more text, if they are written out.
    fn evaluates(&mut self, words: &[Word]) -> Ends {
        let texts: Option<Vec<&str>> = words.iter().skip(1).map(Word::text).collect();
        match texts {
            Some(texts) => {
                self.runs(words.to_vec(), Cover::Shadow);
                let before = self.folders.clone();
                self.nested(&texts.join(" "), false);
                if texts.is_empty() {
                    self.script.doubt("eval has nothing to run");
                }
                let after = std::mem::replace(&mut self.folders, before);
                Ends::both(&after)
            }
            None => {
                self.script.refuse("eval runs text that is known only when it runs");
                self.runs(words.to_vec(), Cover::Against("its text is not written out".to_owned()));
                Ends::both(&Folders::lost())
            }
        }
    }

    fn sources(&mut self, words: &[Word]) {
        let known = words.get(1).and_then(Word::text);
        if known.is_none_or(|file| file.starts_with("/dev/") || file.starts_with("/proc/")) {
            self.script.refuse("the shell reads what it runs from data");
        }
        if let Some(file) = words.get(1) {
            self.reads(file);
            if let Some(path) = file.text() {
                self.runs_file("", path);
            }
        }
        let why = "what the file holds is run by the shell and not known here".to_owned();
        self.runs(words.to_vec(), Cover::Against(why));
    }

    /// `declare`, `export`, `unset` and their kin.
    pub(super) fn declaration(&mut self, src: &str, node: Node<'_>) {
        let mut words = Vec::new();
        for part in children(node) {
            match part.kind() {
                "variable_assignment" => {
                    for (name, value) in self.assignments(src, part) {
                        self.judge_name(&name);
                        self.judge_assignment(&name, &value, false);
                        words.push(Word::Text(raw(src, part).to_owned()));
                    }
                }
                "variable_name" => {
                    self.judge_name(raw(src, part));
                    words.push(Word::Text(raw(src, part).to_owned()));
                }
                _ => {
                    let word = if part.is_named() {
                        self.word(src, part)
                    } else {
                        Word::Text(raw(src, part).to_owned())
                    };
                    let option = word.start().starts_with(['-', '+']);
                    if let Some((name, _)) = word.start().split_once('=').filter(|_| !option) {
                        let name = name.to_owned();
                        self.judge_name(&name);
                    }
                    let exports = raw(src, node).starts_with("export");
                    if option && word.text().is_none_or(|text| text.contains('n')) {
                        self.script.refuse("a name is made to stand for another variable");
                    } else if option && exports && word.start().contains('f') {
                        self.script.refuse(EXPORTED);
                    } else if !words.is_empty() && !option {
                        self.script.doubt("what is declared is not a plain name");
                    }
                    words.push(word);
                }
            }
        }
        let why = "it changes variables for what follows".to_owned();
        self.runs(words, Cover::Against(why));
    }

    /// A text that is run as one more script, in the same shell or, `aside`, in one of its own.
    pub(super) fn nested(&mut self, text: &str, aside: bool) {
        if aside {
            self.elsewhere(|walk| walk.script(text, super::wrappers::NESTED));
        } else {
            self.script(text, super::wrappers::NESTED);
        }
    }

    /// `[[ … ]]` and `[ … ]` as the grammar reads them.
    pub(super) fn bracket(&mut self, src: &str, node: Node<'_>) {
        let double = raw(src, node).starts_with("[[");
        let mut words = Vec::new();
        self.test_words(src, node, &mut words);
        if double {
            let compares = |word: &Word| word.text().is_some_and(|text| NUMERIC.contains(&text));
            let number = |word: &Word| {
                word.text().is_none_or(|text| !text.chars().all(|c| c.is_ascii_digit()))
            };
            if words.iter().any(compares) && words.iter().any(number) {
                // Within double brackets the sides of a comparison are arithmetic.
                self.script.doubt("a comparison of numbers may run what its names hold");
            }
        }
        self.tests(&words);
    }

    fn test_words(&mut self, src: &str, node: Node<'_>, out: &mut Vec<Word>) {
        for part in children(node) {
            match part.kind() {
                "unary_expression" | "binary_expression" | "parenthesized_expression" => {
                    self.test_words(src, part, out);
                }
                "extglob_pattern" | "regex" => {
                    if raw(src, part).contains(['$', '`', '(']) {
                        self.script.unread("a pattern in a test is not understood");
                    }
                    out.push(Word::unknown());
                }
                _ if !part.is_named() => out.push(Word::Text(raw(src, part).to_owned())),
                _ => {
                    let word = self.word(src, part);
                    out.push(word);
                }
            }
        }
    }

    /// The words of a test: files that it looks at, and nothing that runs.
    fn tests(&mut self, words: &[Word]) {
        let known = |text: &str| {
            FILES.contains(&text)
                || NUMERIC.contains(&text)
                || matches!(
                    text,
                    "-n" | "-z"
                        | "="
                        | "=="
                        | "!="
                        | "!"
                        | "&&"
                        | "||"
                        | "-a"
                        | "-o"
                        | "("
                        | ")"
                        | "<"
                        | ">"
                        | "=~"
                        | "-nt"
                        | "-ot"
                        | "-ef"
                        | "-t"
                )
        };
        let mut cover = Cover::Known;
        for (at, word) in words.iter().enumerate().skip(1) {
            match word.text() {
                Some(option) if option.starts_with('-') && !known(option) => {
                    cover =
                        Cover::Against(format!("the test {option} is not known to be harmless"));
                }
                Some(_) => {}
                None if word.may_split() => {
                    cover = Cover::Against("words of the test are not written out".to_owned());
                }
                None => {}
            }
            if word.text().is_some_and(|option| FILES.contains(&option))
                && let Some(file) = words.get(at + 1)
            {
                self.uses(Access::Read, file);
            }
        }
        self.runs(words.to_vec(), cover);
    }
}

const FILES: &[&str] = &[
    "-e", "-f", "-d", "-r", "-w", "-x", "-s", "-L", "-h", "-S", "-p", "-b", "-c", "-g", "-u", "-k",
    "-O", "-G", "-N",
];
const NUMERIC: &[&str] = &["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

/// Whether a word says how `cd` goes, and not where to.
fn is_way(word: &str) -> bool {
    word.strip_prefix('-').is_some_and(|letters| {
        !letters.is_empty() && letters.chars().all(|c| matches!(c, 'L' | 'P' | 'e' | '@'))
    })
}
