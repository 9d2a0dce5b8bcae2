//! Where a path in a call leads, as text: to a root and the names below it. Nothing is looked up
//! here. Paths are taken as written: no tilde, no variable, no glob stands for anything; `..` is
//! resolved as text, which is what permission did, and since no link is followed it is also true.

use greenroom_actors::limits;

use super::refusal::Refusal;

/// A place beneath a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which root.
    pub(super) root: usize,
    /// The names below it; none is the root itself. No name is empty, `.`, `..` or has a slash.
    pub(super) parts: Vec<String>,
}

impl Place {
    /// The path below the root, `.` for the root itself.
    pub(super) fn below(&self) -> String {
        if self.parts.is_empty() { ".".to_owned() } else { self.parts.join("/") }
    }

    /// The same place's folder and its name in it; none for a root.
    pub(super) fn split(&self) -> Option<(Self, &str)> {
        let (leaf, above) = self.parts.split_last()?;
        Some((Self { root: self.root, parts: above.to_vec() }, leaf))
    }

    /// The place of a name in this folder.
    pub(super) fn with(&self, name: &str) -> Self {
        let mut parts = self.parts.clone();
        parts.push(name.to_owned());
        Self { root: self.root, parts }
    }
}

/// The names under which one root is known: as it was given, and as it really is.
#[derive(Clone, Debug)]
pub(super) struct Known(pub(super) Vec<Vec<String>>);

/// The place that a path means. What is relative is so to the call's folder where it has one, else
/// to the first root.
pub(super) fn find(roots: &[Known], cwd: Option<&str>, path: &str) -> Result<Place, Refusal> {
    let no_path = |why| Refusal::NoPath { shown: cut(path), why };
    if path.is_empty() {
        return Err(no_path("it is empty; `.` is the folder to start from"));
    }
    if path.contains('\0') {
        return Err(no_path("it has a NUL in it"));
    }
    if path.starts_with('~') {
        return Err(no_path("`~` stands for nothing here; write the path out"));
    }
    if path.len() > limits::PATH_BYTES {
        return Err(no_path("it is longer than 4,096 bytes"));
    }
    let mut parts = Vec::new();
    if !path.starts_with('/') {
        match cwd {
            Some(cwd) if cwd.starts_with('/') => resolve(&mut parts, cwd),
            Some(_) => return Err(no_path("the call's own folder is not absolute")),
            None => parts
                .extend(roots.first().and_then(|root| root.0.first()).cloned().unwrap_or_default()),
        }
    }
    resolve(&mut parts, path);
    if parts.iter().any(|part| part.len() > limits::PATH_NAME_BYTES) {
        return Err(no_path("a name in it is longer than 255 bytes"));
    }
    let mut best: Option<(usize, usize)> = None;
    for (root, known) in roots.iter().enumerate() {
        let fits = known.0.iter().filter(|name| parts.starts_with(name)).map(Vec::len).max();
        // Of roots in one another the innermost is meant.
        if let Some(depth) = fits
            && best.is_none_or(|(_, deepest)| depth > deepest)
        {
            best = Some((root, depth));
        }
    }
    match best {
        Some((root, depth)) => Ok(Place { root, parts: parts.split_off(depth) }),
        None => {
            let shown = roots.iter().filter_map(|root| root.0.first());
            let roots: Vec<String> = shown.map(|parts| format!("/{}", parts.join("/"))).collect();
            Err(Refusal::Outside { path: cut(path), roots: roots.join(" or ") })
        }
    }
}

/// The names of an absolute path.
pub(super) fn parts_of(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    resolve(&mut parts, path);
    parts
}

/// Follows a path as text. Above `/` is `/`.
fn resolve(parts: &mut Vec<String>, path: &str) {
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name.to_owned()),
        }
    }
}

/// A path as a message shows it.
fn cut(path: &str) -> String {
    const MOST: usize = 200;
    if path.chars().count() <= MOST {
        return path.to_owned();
    }
    let head: String = path.chars().take(MOST).collect();
    format!("{head}…")
}
