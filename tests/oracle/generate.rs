//! Commands to try: every row of the analyser's own table of programs with options and operands that
//! it lists, in the ways in which a shell puts commands together. Most are allowed; the others are
//! thrown away by whoever asks.

use std::collections::BTreeSet;

use super::{
    chance::Chance,
    words::{AWK, DATA, FILES, NAMES, PATTERNS, SED, SIMPLE},
};

/// The table that the analyser reads.
const TABLE: &str = include_str!("../../actors/src/policy/shell/programs.txt");
/// These run the project's own code, ask a service, or wait for ever; who allows them trusts that.
const LEFT_OUT: &[&str] = &[
    "bat", "black", "cargo", "docker", "flake8", "gh", "go", "gofmt", "kubectl", "man", "mypy",
    "npm", "npx", "pip", "pytest", "python", "python3", "ruff", "rustfmt",
    // The last one is a reader of manuals.
    "git help",
];
/// Options with which a program goes on until it is ended.
const ENDLESS: &[(&str, &[&str])] = &[
    ("tail", &["f", "F", "follow", "retry", "pid", "s", "sleep-interval"]),
    ("free", &["s", "c"]),
];

/// A row of the table.
struct Row {
    name: &'static str,
    operands: &'static str,
    short: Vec<&'static str>,
    long: Vec<&'static str>,
}

/// Makes commands by chance.
pub(crate) struct Generator {
    rows: Vec<Row>,
    chance: Chance,
    /// Programs of the table that this machine lacks.
    pub(crate) lacking: BTreeSet<&'static str>,
}

impl Generator {
    /// With the programs that are on this machine.
    pub(crate) fn new(seed: u64, has: impl Fn(&str) -> bool) -> Self {
        let mut lacking = BTreeSet::new();
        let rows = TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let mut parts = line.split('|').map(str::trim);
            let row = Row {
                name: parts.next()?,
                operands: parts.next()?.trim_end_matches(|c: char| !c.is_ascii_lowercase()),
                short: parts.next()?.split_whitespace().collect(),
                long: parts.next().unwrap_or_default().split_whitespace().collect(),
            };
            let program = row.name.split(' ').next()?;
            let left_out = LEFT_OUT.contains(&program) || LEFT_OUT.contains(&row.name);
            if !left_out && !has(program) {
                lacking.insert(program);
            }
            (!left_out && has(program)).then_some(row)
        });
        Self { rows: rows.collect(), chance: Chance::new(seed), lacking }
    }

    /// The programs that it makes commands of.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().filter_map(|row| row.name.split(' ').next())
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of.get(self.chance.below(of.len().max(1) as u64) as usize).copied().unwrap_or_default()
    }

    /// A value or an operand that is no file by the table; one of five looks like one.
    fn data(&mut self) -> &'static str {
        if self.chance.percent(20) { self.one(NAMES) } else { self.one(DATA) }
    }

    fn pattern(&mut self) -> &'static str {
        if self.chance.percent(20) { self.one(NAMES) } else { self.one(PATTERNS) }
    }

    /// The next command.
    pub(crate) fn command(&mut self) -> String {
        let one = self.simple();
        match self.chance.below(30) {
            0 => format!("{one} | {}", self.simple()),
            1 => format!("{one}; {}", self.simple()),
            2 => format!("{one} && {}", self.simple()),
            3 => format!("{one} || {}", self.simple()),
            4 => format!("cd {} && {one}", self.one(&["src", "docs", "docs/deep", "./src", "."])),
            5 => format!("(cd docs; {one}); {}", self.simple()),
            6 => format!("for f in *.txt; do {one} \"$f\"; done"),
            7 => format!("if {one}; then {}; else true; fi", self.simple()),
            8 => format!("echo \"$({one})\""),
            9 => format!("{one} > out/said{}", self.chance.below(9)),
            10 => format!("{one} >> out/more 2> out/errors"),
            11 => format!("{one} 2>/dev/null"),
            12 => format!(
                "{one} < {}",
                self.one(&["a.txt", "notes.txt", "src/main.rs", "missing.txt"])
            ),
            13 => format!("{one} <<'E'\nmain\nE"),
            14 => format!("while read -r line; do echo \"$line\"; {one}; done < names.txt"),
            15 => format!("env LC_ALL=C {one}"),
            16 => format!("timeout 5 {one}"),
            17 => format!("nice -n 5 {one}"),
            18 => format!("bash -c '{}'", one.replace('\'', "'\\''")),
            19 => format!("{one} 2>&1 | {} | {}", self.simple(), self.simple()),
            20 => format!("{{ {one}; {}; }} &> out/both", self.simple()),
            21 => format!("! {one}"),
            22 => format!("time {one}"),
            23 => format!("{one} &\n{}", self.simple()),
            _ => one,
        }
    }

    fn simple(&mut self) -> String {
        if self.chance.percent(15) {
            return self.one(SIMPLE).to_owned();
        }
        let at = self.chance.below(self.rows.len().max(1) as u64) as usize;
        let Some(row) = self.rows.get(at) else { return "true".to_owned() };
        let (name, operands) = (row.name, row.operands);
        let mut words = vec![name.to_owned()];
        for _ in 0..self.chance.below(4) {
            words.extend(self.option(at));
        }
        self.operands(operands, &mut words);
        words.join(" ")
    }

    fn option(&mut self, at: usize) -> Option<String> {
        let row = self.rows.get(at)?;
        let (short, long, name) = (row.short.clone(), row.long.clone(), row.name);
        let endless = ENDLESS.iter().find(|(program, _)| *program == name).map(|(_, names)| *names);
        let ends = |name: &str| !endless.is_some_and(|names| names.contains(&name));
        let (token, dash) = if self.chance.percent(50) {
            (self.one(&short), "-")
        } else {
            (self.one(&long), if name.starts_with("go ") { "-" } else { "--" })
        };
        let flag =
            short.iter().find(|token| !token.contains(['=', '?', '#'])).and_then(|letters| {
                let at = self.chance.below(letters.chars().count() as u64) as usize;
                letters.chars().nth(at).map(String::from)
            });
        let (name, value) = match token.split_once(['=', '?', '!']) {
            Some((name, kind)) => (name, Some(kind)),
            None => (token, None),
        };
        if dash == "-" && name == "#" {
            return Some(format!("-{}", self.chance.below(9)));
        }
        if dash == "-" && value.is_none() {
            let letters: Vec<String> = name.chars().map(String::from).filter(|c| ends(c)).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            let (one, two) = (self.one(&letters).to_owned(), self.one(&letters).to_owned());
            let both = if self.chance.percent(20) { two } else { String::new() };
            return (!one.is_empty()).then(|| format!("-{one}{both}"));
        }
        if name.is_empty() || !ends(name) {
            return None;
        }
        let glued = if dash == "-" { "" } else { "=" };
        // A letter with a value behind one without, as `-rn5`; to some programs that is another name.
        let before = flag.filter(|flag| dash == "-" && ends(flag) && self.chance.percent(30));
        let before = before.unwrap_or_default();
        let name = &format!("{before}{name}");
        Some(match value {
            None => format!("{dash}{name}"),
            Some("") if token.ends_with(['?', '!']) => {
                if self.chance.percent(50) {
                    format!("{dash}{name}")
                } else {
                    format!("{dash}{name}{glued}{}", self.data())
                }
            }
            Some(kind) => {
                let value = match kind {
                    "r" | "P" => self.one(FILES),
                    "p" => self.pattern(),
                    _ => self.data(),
                };
                let between = if self.chance.percent(50) { " " } else { glued };
                let value = self.dressed(value);
                format!("{dash}{name}{between}{value}")
            }
        })
    }

    /// A word as a file is named by it, sometimes dressed as what a program reads in its own way.
    fn dressed(&mut self, word: &str) -> String {
        match self.chance.below(60) {
            0 => format!("@{word}"),
            1 => format!("./{word}"),
            2 => format!("={word}"),
            3 => format!(":{word}"),
            4 => format!("x={word}"),
            5 => format!("-{word}"),
            6 => format!("./-{word}"),
            7 => format!("+{word}"),
            8 => format!("HEAD:{word}"),
            _ => word.to_owned(),
        }
    }

    fn operands(&mut self, kind: &str, words: &mut Vec<String>) {
        if self.chance.percent(10) {
            words.push("--".to_owned());
        }
        let first = match kind {
            "first" | "gitgrep" => Some(self.pattern()),
            "sed" => Some(self.one(SED)),
            "awk" => Some(self.one(AWK)),
            _ => None,
        };
        words.extend(first.map(str::to_owned));
        for _ in 0..self.chance.below(3) {
            let word = match kind {
                // One too many, now and then.
                "none" | "check" if self.chance.percent(95) => continue,
                "none" | "check" | "data" => self.data(),
                "ps" => self.one(&["aux", "ax", "-e", "a.txt"]),
                "maybe" => self.one(&[
                    "HEAD",
                    "src",
                    "README.md",
                    "main",
                    "v1.0",
                    "HEAD:README.md",
                    ".",
                    ".env",
                ]),
                _ => self.one(FILES),
            };
            let word = self.dressed(word);
            words.push(word);
        }
    }
}
