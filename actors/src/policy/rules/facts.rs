//! A request as patterns see it, prepared once for all of them, and the answer of one pattern.

use serde_json::{Map, Value};

use std::{borrow::Cow, cell::OnceCell};

use crate::{
    domain::permission::Request,
    policy::shell::{Access, SOME_NAME, Script, Start, Word},
};

use super::{
    Match, Side, arguments,
    fence::{Fences, Ground, Reach},
    guess,
    layer::{Finding, Say},
    path::Bases,
    pattern::{Name, Pattern, Spec},
    place::{ANY_NAME, Names, Target},
    shell, spelling,
    subject::{self, File, Subject},
    tools::{self, Kind, Row},
    url,
};

const NO_OBJECT: Match = Match::Unclear("the arguments are not a JSON object");

/// A request, prepared.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    request: &'a Request,
    row: Option<&'static Row>,
    ground: &'a Ground,
    cwd: Option<Names>,
    args: Option<Map<String, Value>>,
    canonical: OnceCell<String>,
    /// The argument that specs of this tool read; why it cannot be read otherwise.
    main: Result<String, &'static str>,
    /// The same as a path, where it is one.
    path: Option<Target>,
    /// What some program would read it as, where that is another one.
    otherwise: Option<Target>,
    /// What is asked about: one thing, or all that a shell command does.
    subjects: Vec<Subject>,
    /// The files that it would run.
    runs: Vec<String>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(request: &'a Request, ground: &'a Ground) -> Self {
        let row = tools::row(request.tool.as_str());
        let args = request.args.object().ok();
        let main = row.map_or(Err("the tool has no main argument"), |row| {
            arguments::main(row, args.as_ref())
        });
        let cwd = request.cwd.as_deref();
        let (mut path, mut subjects, mut runs) = (None, Vec::new(), Vec::new());
        match (&main, row.map(|row| row.kind)) {
            (Ok(text), Some(kind @ (Kind::Shell | Kind::Argv))) => {
                let start = arguments::start(args.as_ref(), cwd);
                let words = args.as_ref().filter(|_| kind == Kind::Argv).and_then(arguments::words);
                let mut script = match &words {
                    Some(words) => Script::of_words(words, &start),
                    None => Script::read(text, &start),
                };
                if let Start::At(Some(Cow::Owned(folder))) = &start {
                    script.enters(folder);
                }
                runs = std::mem::take(&mut script.runs);
                subjects = subject::all(script, text, (cwd, ground));
            }
            (Ok(text), Some(Kind::Path)) => path = Some(ground.target(text, cwd)),
            (Ok(_) | Err(_), _) => {}
        }
        if subjects.is_empty() {
            subjects.push(Subject::Whole);
        }
        let written = main.as_deref().ok().filter(|_| path.is_some());
        let otherwise = written.and_then(spelling::otherwise).map(|read| ground.target(&read, cwd));
        let (cwd, canonical) = (cwd.map(Names::of), OnceCell::new());
        Self { request, row, ground, cwd, args, canonical, main, path, otherwise, subjects, runs }
    }

    pub(super) fn into_runs(self) -> Vec<String> {
        self.runs
    }

    pub(super) fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    pub(super) fn tool(&self) -> &str {
        self.request.tool.as_str()
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
        self.canonical.get_or_init(|| self.request.args.canonical())
    }

    /// The folders that path rules of a layer are relative to.
    pub(super) fn bases(&self, settings: Option<&'a Names>) -> Bases<'_> {
        Bases { home: self.ground.home.as_ref(), settings, cwd: self.cwd.as_ref() }
    }

    /// Whether a pattern's name means the tool.
    fn is_named(&self, pattern: &Pattern, side: Side) -> bool {
        match self.row {
            Some(row) => pattern.covers(row, side),
            None => names(&pattern.name, self.tool(), None, side),
        }
    }

    /// Whether the pattern means this subject of the request.
    pub(super) fn fits(
        &self,
        pattern: &Pattern,
        side: Side,
        bases: Bases<'_>,
        subject: &Subject,
    ) -> Match {
        if !self.is_named(pattern, side) {
            return match subject {
                Subject::File(file) => of_file(pattern, side, bases, file),
                Subject::Whole | Subject::Text(_) | Subject::Command(..) | Subject::Doubt(_) => {
                    Match::No
                }
            };
        }
        let Some(spec) = &pattern.spec else { return Match::Yes };
        if self.args.is_none() {
            return side.unless_allowing(NO_OBJECT);
        }
        match (self.row.map(|row| row.kind), spec) {
            (Some(Kind::Shell | Kind::Argv), Spec::Command(spec)) => {
                self.of_shell(spec, side, subject)
            }
            (Some(Kind::Shell | Kind::Argv), _)
                if !matches!(subject, Subject::Whole | Subject::Text(_)) =>
            {
                Match::No
            }
            (Some(Kind::Path), Spec::Path(glob)) => match (&self.path, &self.main) {
                (Some(path), _) if side == Side::Allow => glob.matches(path, bases, side),
                (Some(path), _) => {
                    let read = self.otherwise.as_ref().map(|path| glob.matches(path, bases, side));
                    let meant = read.filter(|read| matches!(read, Match::Yes));
                    meant.unwrap_or_else(|| glob.matches(path, bases, side))
                }
                (None, Err(why)) => side.unless_allowing(Match::Unclear(why)),
                (None, Ok(_)) => Match::No,
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
    pub(super) fn own(&self, subject: &Subject, fences: &Fences) -> Own {
        match subject {
            Subject::Whole => match (&self.path, self.row) {
                (Some(path), Some(row)) => {
                    let leaves = |path: &Target| {
                        let at = (path, self.cwd.as_ref());
                        match self.ground.reach(fences, at, !row.edits) {
                            Reach::Outside => true,
                            Reach::Inside | Reach::Readable | Reach::Unknown => false,
                        }
                    };
                    if leaves(path) || self.otherwise.as_ref().is_some_and(leaves) {
                        let path = self.main().map_or("", String::as_str);
                        return Own::Firm(Say::Deny, format!("{path} {BEYOND}"));
                    }
                    Own::Nothing
                }
                (_, _) => Own::Nothing,
            },
            Subject::Text(_) | Subject::Command(_, None, _) => Own::Fine,
            Subject::Command(_, Some(why), _) => Own::Open(Say::Ask, why.clone()),
            Subject::Doubt(doubt) => {
                let say = if doubt.refused { Say::Deny } else { Say::Ask };
                Own::Open(say, doubt.why.clone())
            }
            Subject::File(file) => self.own_of_file(file, fences),
        }
    }

    fn own_of_file(&self, file: &File, fences: &Fences) -> Own {
        let shown = || {
            let folder = file.path.strip_suffix(SOME_NAME).and_then(|path| path.strip_suffix('/'));
            folder.unwrap_or(&file.path).replace(ANY_NAME, "*")
        };
        let write = file.usage.access == Access::Write;
        let target = file.elsewhere.as_ref().unwrap_or(&file.target);
        match self.ground.reach(fences, (target, self.cwd.as_ref()), !write) {
            Reach::Outside => Own::Firm(Say::Deny, format!("{} {BEYOND}", shown())),
            Reach::Unknown if file.is_plain_word() => Own::Fine,
            Reach::Unknown if file.usage.path.is_files() => {
                let why = format!("{} lies outside the folder that it runs in", shown());
                Own::Open(Say::Ask, why)
            }
            Reach::Unknown if write => {
                Own::Open(Say::Ask, "which file it writes is not known".to_owned())
            }
            Reach::Inside if write => Own::Open(Say::Ask, format!("it writes {}", shown())),
            Reach::Inside | Reach::Readable | Reach::Unknown => Own::Fine,
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
                    glob.is_match(self.canonical())
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

/// Rules about files hold for the files that a shell command uses.
fn of_file(pattern: &Pattern, side: Side, bases: Bases<'_>, file: &File) -> Match {
    let access = file.usage.access;
    let named = |row: &Row| pattern.covers(row, side);
    let named = match (access, side) {
        (Access::Read | Access::Look, _) => named(&tools::READ),
        (Access::Write, Side::Tighten) => [&tools::WRITE, &tools::EDIT].into_iter().any(named),
        (Access::Write, Side::Allow) => [&tools::WRITE, &tools::EDIT].into_iter().all(named),
        (Access::Maybe, Side::Tighten) => {
            [&tools::READ, &tools::WRITE, &tools::EDIT].into_iter().any(named)
        }
        (Access::Maybe, Side::Allow) => false,
    };
    if !named {
        return Match::No;
    }
    match (&pattern.spec, &file.usage.path) {
        // What may be a file is no reason to forbid every word.
        (None, _) => Match::when(access != Access::Maybe),
        (Some(Spec::Path(glob)), Word::Text(_)) => glob.matches(&file.target, bases, side),
        (Some(Spec::Path(_)), Word::Shape(_)) if side == Side::Allow => Match::No,
        // However it begins, it ends there.
        (Some(Spec::Path(glob)), Word::Shape(_))
            if file.end.as_ref().is_some_and(|end| glob.means_end(end)) =>
        {
            Match::Yes
        }
        (Some(Spec::Path(glob)), word) if word.is_files() => glob.may_match(&file.target, bases),
        (Some(Spec::Path(_)), Word::Shape(_)) => {
            Match::Unclear("which file it uses is known only when it runs")
        }
        (Some(Spec::Command(_) | Spec::Domain(_) | Spec::Key { .. } | Spec::Whole(_)), _) => {
            Match::No
        }
    }
}
