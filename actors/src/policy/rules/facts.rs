//! A request as patterns see it, prepared once for all of them, and the answer of one pattern.

use serde_json::{Map, Value};

use crate::{
    domain::permission::Request,
    policy::shell::{Access, Cover, Doubt, FileUse, Part, Piece, Script, Word},
};

use super::{
    Match, Places, Side, guess,
    layer::{Finding, Say},
    path::{ANY_NAME, Bases, Fence},
    pattern::{Name, Pattern, Spec},
    shell::{self, Prepared},
    tools::{self, Kind, Row},
    url,
};

const NO_OBJECT: Match = Match::Unclear("the arguments are not a JSON object");

/// A request, prepared.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    tool: &'a str,
    row: Option<&'static Row>,
    cwd: Option<&'a str>,
    args: Option<Map<String, Value>>,
    canonical: String,
    /// The argument that specs of this tool read; why it cannot be read otherwise.
    main: Result<String, &'static str>,
    /// What is asked about: one thing, or all that a shell command does.
    subjects: Vec<Subject>,
}

/// One thing that is asked about; a request is allowed when all of them are.
#[derive(Debug)]
pub(super) enum Subject {
    /// The request as a whole.
    Whole,
    /// The text of a shell command, which rules can only forbid. Where it was not understood, with what
    /// it may hold.
    Text(Option<guess::Command>),
    /// A command of it, and how a rule would name it.
    Command(Prepared, Option<String>, Option<String>),
    /// A file that it uses.
    File(FileUse),
    /// What no rule speaks of.
    Doubt(Doubt),
}

impl<'a> Facts<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        let row = tools::row(request.tool.as_str());
        let args = request.args.object().ok();
        let main = row.map_or(Err("the tool has no main argument"), |row| main(row, args.as_ref()));
        let subjects = match (&main, row.map(|row| row.kind)) {
            (Ok(text), Some(Kind::Shell)) => subjects(text, request.cwd.as_deref()),
            _ => vec![Subject::Whole],
        };
        Self {
            tool: request.tool.as_str(),
            row,
            cwd: request.cwd.as_deref(),
            args,
            canonical: request.args.canonical(),
            main,
            subjects,
        }
    }

    pub(super) fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    pub(super) const fn tool(&self) -> &str {
        self.tool
    }

    pub(super) const fn row(&self) -> Option<&'static Row> {
        self.row
    }

    pub(super) const fn main(&self) -> Option<&String> {
        match &self.main {
            Ok(text) => Some(text),
            Err(_) => None,
        }
    }

    pub(super) fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Whether the pattern means this subject of the request.
    pub(super) fn fits(
        &self,
        pattern: &Pattern,
        side: Side,
        bases: Bases<'_>,
        subject: &Subject,
    ) -> Match {
        if let Subject::File(file) = subject
            && !names(&pattern.name, self.tool, self.row, side)
        {
            return of_file(pattern, side, Bases { cwd: self.cwd, ..bases }, file);
        }
        if !names(&pattern.name, self.tool, self.row, side) {
            return Match::No;
        }
        let Some(spec) = &pattern.spec else { return Match::Yes };
        if self.args.is_none() {
            return side.unless_allowing(NO_OBJECT);
        }
        match (self.row.map(|row| row.kind), spec) {
            (Some(Kind::Shell), Spec::Command(spec)) => self.of_shell(spec, side, subject),
            (Some(Kind::Shell), _) if !matches!(subject, Subject::Whole | Subject::Text(_)) => {
                Match::No
            }
            (Some(Kind::Path), Spec::Path(glob)) => match &self.main {
                Ok(path) => glob.matches(path, Bases { cwd: self.cwd, ..bases }, side),
                Err(why) => side.unless_allowing(Match::Unclear(why)),
            },
            (_, Spec::Domain(wanted)) => self.at_host(wanted, side),
            (Some(Kind::Url), Spec::Key { .. } | Spec::Whole(_)) => {
                let plain = self.main.as_ref().is_ok_and(|url| url::host(url).is_some());
                if side == Side::Allow && !plain { Match::No } else { self.generic(spec, side) }
            }
            // A generic spec knows nothing of commands and paths, so it must not open them.
            (Some(_), Spec::Key { .. } | Spec::Whole(_)) if side == Side::Allow => Match::No,
            (_, Spec::Key { .. } | Spec::Whole(_)) => self.generic(spec, side),
            (_, Spec::Command(_) | Spec::Path(_)) => Match::No,
        }
    }

    fn of_shell(&self, spec: &shell::Spec, side: Side, subject: &Subject) -> Match {
        let named = || Match::when(self.main.as_ref().is_ok_and(|text| spec.names(text)));
        match (subject, side) {
            (Subject::Whole, _) => {
                side.unless_allowing(Match::Unclear("there is no command to read"))
            }
            (Subject::Text(guess), Side::Tighten) => {
                let inside = spec.inside.as_ref().is_some_and(|inside| {
                    self.main.as_ref().is_ok_and(|text| inside.is_match(&guess::one_line(text)))
                });
                let guessed = guess.as_ref().map_or(Match::No, |guess| guess.is_caught_by(spec));
                guessed.max(named()).max(Match::when(inside))
            }
            (Subject::Command(command, ..), Side::Allow) => spec.fits(command, side).max(named()),
            (Subject::Command(command, ..), Side::Tighten) => spec.fits(command, side),
            (Subject::File(_) | Subject::Doubt(_) | Subject::Text(_), Side::Allow) => named(),
            // What is fed to a shell, or changes what runs, may come to anything.
            (Subject::Doubt(doubt), Side::Tighten) if doubt.refused => {
                Match::Unclear("what runs is known only when it runs")
            }
            (Subject::File(_) | Subject::Doubt(_), Side::Tighten) => Match::No,
        }
    }

    /// What holds of a subject although no rule speaks of it, and what no rule changes.
    pub(super) fn own(&self, subject: &Subject, places: &Places) -> Own {
        match subject {
            Subject::Whole => match (&self.main, self.row.map(|row| (row.kind, row.edits))) {
                (Ok(path), Some((Kind::Path, edits))) => {
                    match places.within(path, self.cwd, self.cwd, !edits) {
                        Fence::Outside => Own::Firm(Say::Deny, format!("{path} {BEYOND}")),
                        Fence::Inside | Fence::Readable | Fence::Unknown => Own::Nothing,
                    }
                }
                (Ok(_) | Err(_), _) => Own::Nothing,
            },
            Subject::Text(_) | Subject::Command(_, None, _) => Own::Fine,
            Subject::Command(_, Some(why), _) => Own::Open(Say::Ask, why.clone()),
            Subject::Doubt(doubt) => {
                let say = if doubt.refused { Say::Deny } else { Say::Ask };
                Own::Open(say, doubt.why.clone())
            }
            Subject::File(file) => self.own_of_file(file, places),
        }
    }

    fn own_of_file(&self, file: &FileUse, places: &Places) -> Own {
        let path = path_of(&file.path);
        let shown = path.replace(ANY_NAME, "*");
        let write = file.access == Access::Write;
        match places.within(&path, file.cwd.as_deref(), self.cwd, !write) {
            Fence::Outside => Own::Firm(Say::Deny, format!("{shown} {BEYOND}")),
            Fence::Unknown if is_plain_word(file, &path) => Own::Fine,
            Fence::Unknown if file.path.is_files() => {
                Own::Open(Say::Ask, format!("{shown} lies outside the folder that it runs in"))
            }
            Fence::Unknown if write => {
                Own::Open(Say::Ask, "which file it writes is not known".to_owned())
            }
            Fence::Inside if write => Own::Open(Say::Ask, format!("it writes {shown}")),
            Fence::Inside | Fence::Readable | Fence::Unknown => Own::Fine,
        }
    }

    /// The rule that would have allowed a subject, as its argument.
    pub(super) fn proposal(&self, finding: &[(usize, Finding)]) -> Option<String> {
        let mut asked = finding
            .iter()
            .filter(|(_, found)| matches!(found.say, Say::Ask | Say::FirmAsk | Say::Nothing));
        let (at, _) = asked.next()?;
        match (self.subjects.get(*at), asked.next()) {
            (Some(Subject::Command(_, _, Some(rule))), None) => Some(rule.clone()),
            (Some(_) | None, _) => None,
        }
    }

    /// The rule that allows commands like this one, when it is a single command.
    pub(super) fn like(&self) -> Option<&String> {
        let mut rule = None;
        for subject in &self.subjects {
            match subject {
                Subject::Text(None) | Subject::File(_) => {}
                Subject::Command(_, _, Some(own)) if rule.is_none() => rule = Some(own),
                Subject::Text(Some(_))
                | Subject::Whole
                | Subject::Doubt(_)
                | Subject::Command(..) => {
                    return None;
                }
            }
        }
        // A rule is read with single blanks.
        rule.filter(|rule| *rule == &guess::one_line(rule))
    }

    fn at_host(&self, wanted: &str, side: Side) -> Match {
        let Some(host) = self.main.as_ref().ok().and_then(|url| url::host(url)) else {
            return side.unless_allowing(Match::Unclear("the address has no plain host"));
        };
        let below =
            |parent: &str| host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
        Match::when(match (wanted.strip_prefix("*."), side) {
            (Some(parent), _) => below(parent),
            // Who forbids a host means what lies below it too; who allows it means just it.
            (None, Side::Tighten) => host == wanted || below(wanted),
            (None, Side::Allow) => host == wanted,
        })
    }

    fn generic(&self, spec: &Spec, side: Side) -> Match {
        let Some(args) = &self.args else { return side.unless_allowing(NO_OBJECT) };
        match spec {
            Spec::Key { key, glob } => match args.get(key) {
                None | Some(Value::Null) => Match::No,
                Some(Value::String(text)) => Match::when(glob.is_match(text)),
                Some(Value::Array(_) | Value::Object(_)) => {
                    side.unless_allowing(Match::Unclear("the argument is a list or an object"))
                }
                Some(plain @ (Value::Bool(_) | Value::Number(_))) => {
                    Match::when(glob.is_match(&plain.to_string()))
                }
            },
            Spec::Whole(glob) => {
                let mut strings = args.values().filter_map(Value::as_str);
                Match::when(
                    glob.is_match(&self.canonical)
                        || match side {
                            Side::Tighten => strings.any(|text| glob.is_match(text)),
                            Side::Allow => {
                                args.len() == 1
                                    && strings.all(|text| glob.is_match(text))
                                    && args.values().all(Value::is_string)
                            }
                        },
                )
            }
            Spec::Command(_) | Spec::Path(_) | Spec::Domain(_) => Match::No,
        }
    }
}

/// Whether a rule's name means a tool, by any spelling of either.
pub(super) fn names(name: &Name, tool: &str, row: Option<&'static Row>, side: Side) -> bool {
    let spellings = row.map_or(&[] as &[&str], |row| row.names);
    let groups = row.map_or(&[] as &[&str], |row| row.covered_by);
    let mut all = std::iter::once(tool).chain(spellings.iter().copied());
    match name {
        Name::Glob(glob) => all.any(|name| glob.is_match(name)),
        Name::Exact(wanted) => {
            all.any(|name| name == wanted)
                || groups.contains(&wanted.as_str())
                || is_of_server(tool, wanted, side)
        }
    }
}

/// `mcp__server` means every tool of that server. Names may hold `__` themselves, so that the
/// server cannot always be told: what forbids takes the wider reading, what allows the narrower.
fn is_of_server(tool: &str, wanted: &str, side: Side) -> bool {
    let Some(server) = wanted.strip_prefix("mcp__") else { return false };
    let rest = tool
        .strip_prefix("mcp__")
        .and_then(|tail| tail.strip_prefix(server))
        .and_then(|tail| tail.strip_prefix("__"));
    match (rest, side) {
        (None, _) => false,
        (Some(_), Side::Tighten) => true,
        (Some(rest), Side::Allow) => {
            !server.contains("__") && !rest.is_empty() && !rest.contains("__")
        }
    }
}

fn main(row: &Row, args: Option<&Map<String, Value>>) -> Result<String, &'static str> {
    let args = args.ok_or("the arguments are not a JSON object")?;
    let mut found = row.args.iter().filter_map(|name| args.get(*name));
    let text = match found.next() {
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err("the argument that the rule reads is not a text"),
        None => return Err("the argument that the rule reads is missing"),
    };
    if found.next().is_some() {
        return Err("the argument that the rule reads is given twice");
    }
    match (row.kind, args.get("args")) {
        (Kind::Shell, Some(Value::Array(words))) => {
            let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
            let words = words.ok_or("the command's words are not texts")?;
            Ok(format!("{text} {}", words.join(" ")))
        }
        (Kind::Shell, Some(_)) => Err("the command's words are not a list"),
        (Kind::Shell | Kind::Path | Kind::Url, _) => Ok(text),
    }
}

const BEYOND: &str = "lies outside the folders that may be used";

/// What holds of a subject where rules are silent.
#[derive(Clone, Debug)]
pub(super) enum Own {
    /// Nothing: a rule must speak, or it is asked.
    Nothing,
    /// Nobody needs to allow it.
    Fine,
    /// This, unless a rule allows it.
    Open(Say, String),
    /// This, whatever a rule allows.
    Firm(Say, String),
}

/// Everything that a shell command does.
fn subjects(text: &str, cwd: Option<&str>) -> Vec<Subject> {
    let script = Script::read(text, cwd);
    let guess = script.murky.then(|| guess::Command::new(text));
    let mut subjects = vec![Subject::Text(guess)];
    subjects.extend(script.parts.into_iter().map(|part| match part {
        Part::File(file) => Subject::File(file),
        Part::Doubt(doubt) => Subject::Doubt(doubt),
        Part::Command(command) => {
            let prepared = Prepared::new(&command);
            let spelled = shell::spelling(&command.words);
            match command.cover {
                Cover::Shadow => Subject::Command(prepared, None, None),
                Cover::Known | Cover::Unknown => {
                    let rule = rule_of(&command.words, command.cover == Cover::Known);
                    let name = rule.clone().or(spelled).unwrap_or_else(|| "a command".to_owned());
                    Subject::Command(prepared, Some(format!("no rule allows {name}")), rule)
                }
                Cover::Unlisted(why) | Cover::Against(why) => {
                    Subject::Command(prepared, Some(why), spelled)
                }
            }
        }
    }));
    subjects
}

/// The rule that allows commands like this one: with any words where those are known to be harmless,
/// else with these alone.
fn rule_of(words: &[Word], known: bool) -> Option<String> {
    let program = words.first()?.text()?;
    let plain = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    if !known || !plain(program) {
        return shell::spelling(words);
    }
    let command = words.get(1).and_then(Word::text).filter(|word| plain(word));
    Some(match command {
        Some(command) if matches!(program, "git" | "cargo") => format!("{program} {command} *"),
        Some(_) | None => format!("{program} *"),
    })
}

/// A word as a path, with a character for each wildcard.
fn path_of(word: &Word) -> String {
    let piece = |piece: Piece| match piece {
        Piece::Text(text) => text,
        Piece::Wild(_) | Piece::Any | Piece::Split => ANY_NAME.to_string(),
    };
    word.pieces().into_iter().map(piece).collect()
}

/// A word that may be a file and does not say where: it is not asked about for that.
fn is_plain_word(file: &FileUse, path: &str) -> bool {
    file.access == Access::Maybe
        && !path.starts_with(['/', '~'])
        && !path.split('/').any(|part| part == "..")
}

/// Rules about files hold for the files that a shell command uses.
fn of_file(pattern: &Pattern, side: Side, bases: Bases<'_>, file: &FileUse) -> Match {
    let tools: &[&str] = match file.access {
        Access::Read | Access::Look => &["read_file"],
        Access::Write => &["write_file", "edit_file"],
        Access::Maybe => &["read_file", "write_file", "edit_file"],
    };
    let mut named = tools.iter().map(|tool| names(&pattern.name, tool, tools::row(tool), side));
    let named = match side {
        Side::Tighten => named.any(|named| named),
        Side::Allow => file.access != Access::Maybe && named.all(|named| named),
    };
    if !named {
        return Match::No;
    }
    // A rule's folders are the request's; the file's own may be another by now.
    let path = path_of(&file.path);
    let path = match &file.cwd {
        Some(cwd) if !path.starts_with(['/', '~']) && !path.is_empty() => format!("{cwd}/{path}"),
        Some(_) | None => path,
    };
    match (&pattern.spec, &file.path) {
        // What may be a file is no reason to forbid every word.
        (None, _) => Match::when(file.access != Access::Maybe),
        (Some(Spec::Path(glob)), Word::Text(_)) => glob.matches(&path, bases, side),
        (Some(Spec::Path(_)), Word::Shape(_)) if side == Side::Allow => Match::No,
        (Some(Spec::Path(glob)), word) if word.is_files() => glob.may_match(&path, bases),
        (Some(Spec::Path(_)), Word::Shape(_)) => {
            Match::Unclear("which file it uses is known only when it runs")
        }
        (Some(Spec::Command(_) | Spec::Domain(_) | Spec::Key { .. } | Spec::Whole(_)), _) => {
            Match::No
        }
    }
}
