//! Where paths lie, as text, prepared once for all rules that are asked about them. Nothing is looked
//! up: the file tool, which opens beneath its roots, is what holds against links. Names are kept as
//! characters, which is what wildcards are compared with, and in lower case as well: a name that
//! forbids also forbids its spellings, which some file systems take for the same file.

/// One name in a path.
pub(super) type Name = Vec<char>;

/// Stands in a path for any part of a file's name.
pub(super) const ANY_NAME: char = '\u{f8ff}';

/// Names of a path with `.` and `..` resolved as text, in both cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    plain: Vec<Name>,
    /// Where it differs.
    lowered: Option<Vec<Name>>,
}

impl Names {
    /// Of an absolute path, or of one whose beginning does not matter. Above the root is the root.
    pub(super) fn of(path: &str) -> Self {
        Self::from(relative_parts(path).into_iter().skip_while(|part| *part == "..").collect())
    }

    fn from(parts: Vec<&str>) -> Self {
        let changes = |part: &&str| part.chars().any(|c| !c.is_ascii() || c.is_ascii_uppercase());
        let lower = |part: &&str| part.to_lowercase().chars().collect();
        let lowered = parts.iter().any(changes).then(|| parts.iter().map(lower).collect());
        Self { plain: parts.into_iter().map(|part| part.chars().collect()).collect(), lowered }
    }

    pub(super) fn plain(&self) -> &[Name] {
        &self.plain
    }

    pub(super) fn lowered(&self) -> &[Name] {
        self.lowered.as_deref().unwrap_or(&self.plain)
    }

    /// Its names as a path without a slash in front.
    pub(super) fn joined(&self) -> String {
        let parts = self.plain.iter().map(|name| name.iter().collect());
        parts.collect::<Vec<String>>().join("/")
    }
}

/// Where a path lies.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) absolute: bool,
    pub(super) names: Names,
}

impl Place {
    /// A path that begins at `cwd`, where that is known.
    pub(super) fn of(path: &str, cwd: Option<&str>) -> Self {
        if path.starts_with('/') {
            return Self { absolute: true, names: Names::of(path) };
        }
        match cwd {
            Some(cwd) => Self { absolute: true, names: Names::of(&format!("/{cwd}/{path}")) },
            None => Self { absolute: false, names: Names::from(relative_parts(path)) },
        }
    }

    /// Whether it leads above the folder that it begins at.
    pub(super) fn climbs(&self) -> bool {
        self.names.plain.first().is_some_and(|name| matches!(name.as_slice(), ['.', '.']))
    }

    pub(super) fn is_beneath(&self, base: &Names) -> bool {
        self.absolute && self.names.plain.starts_with(&base.plain)
    }
}

/// What a tilde in front of a path stands for.
#[derive(Clone, Debug)]
pub(super) enum Tilde {
    /// There is none.
    None,
    /// The home, which is known: the path lies here.
    Home(Place),
    /// The home, which is not known, and the names below it.
    SomeHome(Place),
    /// Anything.
    Other,
}

/// The path of a request, prepared.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Whether programs read characters of it differently.
    pub(super) odd: bool,
    /// Whether `..` stands in it, which may follow a link.
    pub(super) dotted: bool,
    /// Whether it may lead anywhere: it has a NUL in it, or a wildcard that may stand for `..`.
    pub(super) lost: bool,
    pub(super) tilde: Tilde,
    pub(super) place: Place,
}

impl Target {
    pub(super) fn new(path: &str, cwd: Option<&str>, home: Option<&str>) -> Self {
        let tilde = match (path.strip_prefix('~'), home) {
            (None, _) => Tilde::None,
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                Tilde::Home(Place::of(&format!("{home}{rest}"), None))
            }
            (Some(rest), None) if rest.starts_with('/') => {
                Tilde::SomeHome(Place { absolute: true, names: Names::of(rest) })
            }
            (Some(_), _) => Tilde::Other,
        };
        Self {
            odd: is_odd(path),
            dotted: path.split('/').any(|part| part == ".."),
            lost: path.contains('\0') || path.split('/').any(may_climb),
            tilde,
            place: Place::of(path, cwd),
        }
    }
}

/// `.*` also stands for the folder above.
fn may_climb(part: &str) -> bool {
    part.starts_with('.')
        && part.contains(ANY_NAME)
        && part.chars().all(|c| matches!(c, '.' | ANY_NAME))
}

pub(super) fn is_odd(path: &str) -> bool {
    path.is_empty() || path.contains(|c: char| c.is_control() || c == '\\')
}

fn relative_parts(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." && parts.last().is_some_and(|last| *last != "..") {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts
}
