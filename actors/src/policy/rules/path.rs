//! Paths in rules and in requests. Everything is lexical: the file tool, which opens beneath its
//! roots, is what holds against links. A path that cannot be placed is unclear, and unclear never
//! allows.

use super::{Match, Side, glob::Glob};

/// Folders that path rules are relative to, where they are known. A rule that tightens and whose
/// folder is unknown holds under every folder; a rule that allows then holds nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// What `~/` stands for.
    pub home: Option<String>,
    /// Folder of the user's settings: what `/` stands for in the user's layer.
    pub user: Option<String>,
    /// Folder of the project: what `/` stands for in every other layer.
    pub project: Option<String>,
    /// A fence: where there are roots, no file outside of them is used, whatever a rule allows.
    pub roots: Vec<String>,
    /// Folders outside the roots that may be read, such as those of the system's programs.
    pub readable: Vec<String>,
}

/// Where a pattern begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Root,
    Home,
    Settings,
    Cwd,
}

/// A path pattern.
#[derive(Clone, Debug)]
pub(super) struct PathGlob {
    anchor: Anchor,
    /// A name without a slash: it may stand at any depth.
    floating: bool,
    folder_only: bool,
    segments: Vec<Segment>,
    /// The same in lower case: a name that forbids also forbids its spellings, which some file
    /// systems take for the same file.
    lowered: Vec<Segment>,
}

#[derive(Clone, Debug)]
enum Segment {
    /// `**`
    Deep,
    One(Glob),
}

/// The folders of one question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bases<'a> {
    pub(super) home: Option<&'a str>,
    pub(super) settings: Option<&'a str>,
    pub(super) cwd: Option<&'a str>,
}

impl PathGlob {
    /// Reads a pattern; `None` when it is none.
    pub(super) fn read(spec: &str) -> Option<Self> {
        if spec.starts_with('!') {
            return None;
        }
        let (anchor, rest) = if let Some(rest) = spec.strip_prefix("//") {
            (Anchor::Root, rest)
        } else if let Some(rest) = spec.strip_prefix("~/") {
            (Anchor::Home, rest)
        } else if let Some(rest) = spec.strip_prefix('/') {
            (Anchor::Settings, rest)
        } else {
            (Anchor::Cwd, spec.strip_prefix("./").unwrap_or(spec))
        };
        let (rest, folder_only) = match rest.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        // In gitignore a name without a slash stands at any depth; `./name` is anchored.
        let floating = anchor == Anchor::Cwd && !rest.contains('/') && !spec.starts_with("./");
        let segments = segments(rest)?;
        let lowered = self::segments(&rest.to_lowercase())?;
        Some(Self { anchor, floating, folder_only, segments, lowered })
    }

    /// Whether a path with wildcards in it, to be filled with names of files, may be meant by a rule
    /// that tightens.
    pub(super) fn may_match(&self, path: &str, bases: Bases<'_>) -> Match {
        match self.matches(path, bases, Side::Tighten) {
            Match::No => Match::No,
            Match::Unclear(_) | Match::Yes => {
                Match::Unclear("its wildcards may stand for a file that the rule means")
            }
        }
    }

    /// Whether the path of a request is meant.
    pub(super) fn matches(&self, path: &str, bases: Bases<'_>, side: Side) -> Match {
        if is_odd(path) {
            return Match::Unclear("the path has characters that are read differently by programs");
        }
        match side {
            Side::Allow => {
                // A tilde is read differently by tools, and `..` may follow a link.
                if path.starts_with('~') || path.split('/').any(|part| part == "..") {
                    return Match::No;
                }
                if self.holds(&Place::of(path, bases.cwd), bases, side) {
                    Match::Yes
                } else {
                    Match::No
                }
            }
            Side::Tighten => {
                let mut readings = vec![Place::of(path, bases.cwd)];
                if let Some(rest) = path.strip_prefix("~/") {
                    match bases.home {
                        Some(home) => readings.push(Place::of(&format!("{home}/{rest}"), None)),
                        None if self.anchor == Anchor::Home => {
                            readings.push(Place { absolute: true, parts: parts_of(rest) });
                        }
                        None => return self.strictest(&readings, bases).max(UNPLACED),
                    }
                } else if path.starts_with('~') {
                    return self.strictest(&readings, bases).max(UNPLACED);
                }
                self.strictest(&readings, bases)
            }
        }
    }

    fn strictest(&self, readings: &[Place], bases: Bases<'_>) -> Match {
        if readings.iter().any(|place| self.holds(place, bases, Side::Tighten)) {
            return Match::Yes;
        }
        let relative = readings.iter().any(|place| !place.absolute);
        let climbs = readings.iter().any(Place::climbs);
        if relative && (climbs || (self.anchor != Anchor::Cwd && !self.floating)) {
            return UNPLACED;
        }
        Match::No
    }

    fn holds(&self, place: &Place, bases: Bases<'_>, side: Side) -> bool {
        let lower = |base: Option<&str>| base.map(str::to_lowercase);
        let low = (lower(bases.home), lower(bases.settings), lower(bases.cwd));
        let (place, bases, segments) = match side {
            Side::Allow => (place.clone(), bases, &self.segments),
            Side::Tighten => {
                let parts = place.parts.iter().map(|part| part.to_lowercase()).collect();
                let low = Bases {
                    home: low.0.as_deref(),
                    settings: low.1.as_deref(),
                    cwd: low.2.as_deref(),
                };
                (Place { absolute: place.absolute, parts }, low, &self.lowered)
            }
        };
        let base = match self.anchor {
            Anchor::Root => Some(""),
            Anchor::Home => bases.home,
            Anchor::Settings => bases.settings,
            Anchor::Cwd => bases.cwd,
        };
        // A name that forbids holds anywhere: outside the working folder it is no less meant.
        let anywhere = side == Side::Tighten && (self.floating || base.is_none());
        let path = if anywhere {
            place.parts.as_slice()
        } else if !place.absolute {
            if self.anchor != Anchor::Cwd || place.climbs() {
                return false;
            }
            place.parts.as_slice()
        } else {
            let Some(base) = base else { return false };
            let base = parts_of(base);
            match place.parts.strip_prefix(base.as_slice()) {
                Some(rest) => rest,
                None => return false,
            }
        };
        let strict_folder = self.folder_only && side == Side::Allow;
        let deep = (anywhere || self.floating).then_some(Segment::Deep);
        let pattern: Vec<&Segment> = deep.iter().chain(segments).collect();
        covers(&pattern, path, strict_folder)
    }
}

/// The pattern, unescaped, that means exactly this path; `None` where it cannot be placed.
pub(super) fn pattern_of(path: &str, cwd: Option<&str>) -> Option<String> {
    if is_odd(path) || (path.starts_with('~') && !path.starts_with("~/")) {
        return None;
    }
    if let Some(rest) = path.strip_prefix("~/") {
        return Some(format!("~/{}", parts_of(rest).join("/")));
    }
    let place = Place::of(path, cwd);
    if place.climbs() {
        return None;
    }
    Some(format!("{}{}", if place.absolute { "//" } else { "./" }, place.parts.join("/")))
}

fn is_odd(path: &str) -> bool {
    path.is_empty() || path.contains(|c: char| c.is_control() || c == '\\')
}

const UNPLACED: Match = Match::Unclear("where the path leads is not known here");

/// Stands in a path for any part of a file's name.
pub(super) const ANY_NAME: char = '\u{f8ff}';

impl Places {
    /// Whether a path lies within the fence; `None` where there is none and the path is not known to
    /// lie beneath `cwd` or the project.
    pub(super) fn within(
        &self,
        path: &str,
        from: Option<&str>,
        cwd: Option<&str>,
        read: bool,
    ) -> Fence {
        let expanded = match (path.strip_prefix('~'), &self.home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                Some(format!("{home}{rest}"))
            }
            (Some(_), _) => None,
            (None, _) => Some(path.to_owned()),
        };
        let fenced = !self.roots.is_empty();
        let outside = if fenced { Fence::Outside } else { Fence::Unknown };
        let Some(path) = expanded.filter(|path| !path.contains('\0')) else { return outside };
        // `.*` also stands for the folder above.
        let dots = |part: &str| {
            part.starts_with('.')
                && part.contains(ANY_NAME)
                && part.chars().all(|c| matches!(c, '.' | ANY_NAME))
        };
        if path.split('/').any(dots) {
            return outside;
        }
        let place = Place::of(&path, from);
        let beneath = |root: &str| place.absolute && place.parts.starts_with(&parts_of(root));
        let own = [self.project.as_deref(), cwd];
        let inside = if fenced {
            self.roots.iter().any(|root| beneath(root))
        } else {
            own.into_iter().flatten().any(beneath)
        };
        let relative = !place.absolute && !place.climbs() && from.is_none();
        if inside || (relative && !fenced) {
            Fence::Inside
        } else if read && (self.readable.iter().any(|root| beneath(root)) || path == "/dev/null") {
            Fence::Readable
        } else {
            outside
        }
    }
}

/// Where a path lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fence {
    /// Beneath a root.
    Inside,
    /// Where only reading is harmless, and it is read.
    Readable,
    /// Beyond the roots.
    Outside,
    /// Nobody drew a fence, and it is not beneath the working folder.
    Unknown,
}

fn segments(rest: &str) -> Option<Vec<Segment>> {
    rest.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .map(|part| match part {
            "**" => Some(Segment::Deep),
            ".." => None,
            name => Glob::segment(name).map(Segment::One),
        })
        .collect()
}

/// Whether a name, or a shape that names of files are put into, is one that a glob means. As in a
/// shell, a wildcard in front stands for no leading dot.
fn named(glob: &Glob, part: &[char]) -> bool {
    if !part.contains(&ANY_NAME) {
        return glob.matches(part);
    }
    let hidden = glob.literal_start().starts_with('.') && part.first() == Some(&ANY_NAME);
    let text: String = part.iter().collect();
    let shape = Glob::text(&super::glob::escape(&text).replace(ANY_NAME, "*"));
    !hidden && glob.meets(&shape)
}

/// A path in a request: its parts, with `.` and `..` resolved as text.
#[derive(Clone, Debug)]
struct Place {
    absolute: bool,
    parts: Vec<String>,
}

impl Place {
    fn of(path: &str, cwd: Option<&str>) -> Self {
        if path.starts_with('/') {
            return Self { absolute: true, parts: parts_of(path) };
        }
        match cwd {
            Some(cwd) => Self { absolute: true, parts: parts_of(&format!("/{cwd}/{path}")) },
            None => Self { absolute: false, parts: relative_parts(path) },
        }
    }

    fn climbs(&self) -> bool {
        self.parts.first().is_some_and(|part| part == "..")
    }
}

fn relative_parts(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." && parts.last().is_some_and(|last| last != "..") {
            parts.pop();
        } else {
            parts.push(part.to_owned());
        }
    }
    parts
}

fn parts_of(path: &str) -> Vec<String> {
    // Above the root is the root.
    relative_parts(path).into_iter().skip_while(|part| part == "..").collect()
}

/// Whether the pattern matches the path or, as in gitignore, one of the folders it lies in. Row by
/// row over the path's parts, so that many `**` cost no more than one.
fn covers(pattern: &[&Segment], path: &[String], strict_folder: bool) -> bool {
    let ends_deep = matches!(pattern.last(), Some(Segment::Deep));
    let mut row = vec![false; pattern.len() + 1];
    row[0] = true;
    close(pattern, &mut row);
    // An empty pattern is the base itself and so covers everything beneath it.
    if pattern.is_empty() {
        return !(strict_folder && path.is_empty());
    }
    for (index, part) in path.iter().enumerate() {
        let chars: Vec<char> = part.chars().collect();
        let mut next = vec![false; pattern.len() + 1];
        for (at, segment) in pattern.iter().enumerate() {
            if !row[at] {
                continue;
            }
            match segment {
                Segment::Deep => {
                    next[at] = true;
                    next[at + 1] |= at + 1 == pattern.len();
                }
                Segment::One(glob) if named(glob, &chars) => next[at + 1] = true,
                Segment::One(_) => {}
            }
        }
        close(pattern, &mut next);
        let is_last = index + 1 == path.len();
        if next[pattern.len()] && !(strict_folder && is_last && !ends_deep) {
            return true;
        }
        row = next;
    }
    false
}

/// `**` also stands for nothing at all, except at the end, where it needs something beneath.
fn close(pattern: &[&Segment], row: &mut [bool]) {
    for (at, segment) in pattern.iter().enumerate() {
        if row[at] && matches!(segment, Segment::Deep) {
            let needs_more = at + 1 == pattern.len();
            if !needs_more {
                row[at + 1] = true;
            }
        }
    }
}
