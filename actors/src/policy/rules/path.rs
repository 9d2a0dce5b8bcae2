//! Path patterns, in gitignore syntax. Everything is lexical; a path that cannot be placed is
//! unclear, and unclear never allows. A pattern has nothing to work out when it is asked: which
//! segments it compares in which case is settled when it is read.

use super::{
    Match, Side,
    glob::Glob,
    place::{ANY_NAME, Name, Names, Place, Target, Tilde, is_odd},
};

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
    /// The same in lower case.
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
    pub(super) home: Option<&'a Names>,
    pub(super) settings: Option<&'a Names>,
    pub(super) cwd: Option<&'a Names>,
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
    pub(super) fn may_match(&self, path: &Target, bases: Bases<'_>) -> Match {
        match self.matches(path, bases, Side::Tighten) {
            Match::No => Match::No,
            Match::Unclear(_) | Match::Yes => {
                Match::Unclear("its wildcards may stand for a file that the rule means")
            }
        }
    }

    /// Whether a path is meant that ends in these names, whatever it begins with.
    pub(super) fn means_end(&self, names: &Names) -> bool {
        let anywhere = self.floating || self.lowered.first().is_some_and(Segment::is_deep);
        anywhere && covers((true, &self.lowered), names.lowered(), false)
    }

    /// Whether the path of a request is meant.
    pub(super) fn matches(&self, path: &Target, bases: Bases<'_>, side: Side) -> Match {
        if path.odd {
            return Match::Unclear("the path has characters that are read differently by programs");
        }
        match side {
            Side::Allow => {
                // A tilde is read differently by tools, and `..` may follow a link.
                let sure = matches!(path.tilde, Tilde::None) && !path.dotted;
                Match::when(sure && self.holds(&path.place, bases, side))
            }
            Side::Tighten => match &path.tilde {
                Tilde::None => self.strictest([Some(&path.place), None], bases),
                Tilde::Home(home) => self.strictest([Some(&path.place), Some(home)], bases),
                Tilde::SomeHome(below) if self.anchor == Anchor::Home => {
                    self.strictest([Some(&path.place), Some(below)], bases)
                }
                Tilde::SomeHome(_) | Tilde::Other => {
                    self.strictest([Some(&path.place), None], bases).max(UNPLACED)
                }
            },
        }
    }

    fn strictest(&self, readings: [Option<&Place>; 2], bases: Bases<'_>) -> Match {
        let readings = || readings.into_iter().flatten();
        if readings().any(|place| self.holds(place, bases, Side::Tighten)) {
            return Match::Yes;
        }
        let relative = readings().any(|place| !place.absolute);
        let climbs = readings().any(Place::climbs);
        if relative && (climbs || (self.anchor != Anchor::Cwd && !self.floating)) {
            return UNPLACED;
        }
        Match::No
    }

    fn holds(&self, place: &Place, bases: Bases<'_>, side: Side) -> bool {
        let (names, segments): (fn(&Names) -> &[Name], _) = match side {
            Side::Allow => (Names::plain, &self.segments),
            Side::Tighten => (Names::lowered, &self.lowered),
        };
        const ROOT: &[Name] = &[];
        let base = match self.anchor {
            Anchor::Root => Some(ROOT),
            Anchor::Home => bases.home.map(names),
            Anchor::Settings => bases.settings.map(names),
            Anchor::Cwd => bases.cwd.map(names),
        };
        // A name that forbids holds anywhere: outside the working folder it is no less meant.
        let anywhere = side == Side::Tighten && (self.floating || base.is_none());
        let own = names(&place.names);
        let path = if anywhere {
            own
        } else if !place.absolute {
            if self.anchor != Anchor::Cwd || place.climbs() {
                return false;
            }
            own
        } else {
            match base.and_then(|base| own.strip_prefix(base)) {
                Some(rest) => rest,
                None => return false,
            }
        };
        let strict_folder = self.folder_only && side == Side::Allow;
        covers((anywhere || self.floating, segments), path, strict_folder)
    }
}

/// The pattern, unescaped, that means exactly this path; `None` where it cannot be placed.
pub(super) fn pattern_of(path: &str, cwd: Option<&str>) -> Option<String> {
    if is_odd(path) || (path.starts_with('~') && !path.starts_with("~/")) {
        return None;
    }
    if let Some(rest) = path.strip_prefix("~/") {
        return Some(format!("~/{}", Names::of(rest).joined()));
    }
    let place = Place::of(path, cwd);
    if place.climbs() {
        return None;
    }
    Some(format!("{}{}", if place.absolute { "//" } else { "./" }, place.names.joined()))
}

const UNPLACED: Match = Match::Unclear("where the path leads is not known here");

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

/// Whether the pattern matches the path or, as in gitignore, one of the folders it lies in. `floats`:
/// it may begin at any name.
fn covers((floats, pattern): (bool, &[Segment]), path: &[Name], strict_folder: bool) -> bool {
    match (floats, pattern) {
        // An empty pattern is the base itself and so covers everything beneath it.
        (false, []) => !(strict_folder && path.is_empty()),
        (true, []) => !path.is_empty(),
        (true, [Segment::One(glob)]) => {
            let folders = if strict_folder { path.len().saturating_sub(1) } else { path.len() };
            path.iter().take(folders).any(|name| named(glob, name))
        }
        (false, [globs @ .., Segment::Deep]) if !globs.iter().any(Segment::is_deep) => {
            path.len() > globs.len() && begins(globs, path)
        }
        (false, globs) if !globs.iter().any(Segment::is_deep) => {
            let enough = if strict_folder { globs.len() + 1 } else { globs.len() };
            path.len() >= enough && begins(globs, path)
        }
        _ => winds(floats, pattern, path, strict_folder),
    }
}

impl Segment {
    const fn is_deep(&self) -> bool {
        matches!(self, Self::Deep)
    }
}

fn begins(globs: &[Segment], path: &[Name]) -> bool {
    globs.iter().zip(path).all(|(segment, name)| match segment {
        Segment::One(glob) => named(glob, name),
        Segment::Deep => true,
    })
}

/// The same for any pattern, row by row over the path's names, so that many `**` cost no more than
/// one.
fn winds(floats: bool, pattern: &[Segment], path: &[Name], strict_folder: bool) -> bool {
    let deep = floats.then_some(&Segment::Deep);
    let pattern: Vec<&Segment> = deep.into_iter().chain(pattern).collect();
    let ends_deep = pattern.last().is_some_and(|last| last.is_deep());
    let mut row = vec![false; pattern.len() + 1];
    row[0] = true;
    close(&pattern, &mut row);
    for (index, name) in path.iter().enumerate() {
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
                Segment::One(glob) if named(glob, name) => next[at + 1] = true,
                Segment::One(_) => {}
            }
        }
        close(&pattern, &mut next);
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
