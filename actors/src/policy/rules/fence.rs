//! Fences: the folders outside of which nothing is used, whatever a rule allows. The runtime may have
//! one, the project another that only takes away, and each link of an authority its own; what is
//! outside of any is outside. A link without one keeps to the runtime's, so that a child with a wide
//! fence is held by a parent without.

use crate::domain::permission::{Authority, Bounds, Trees};

use super::place::{Names, Place, Target, Tilde};

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
    /// Where calls work that do not say otherwise, and where relative folders of bounds begin.
    pub workspace: Option<String>,
    /// The fence of whoever runs this.
    pub bounds: Bounds,
    /// A further fence that only takes away: the project's.
    pub narrowed: Bounds,
}

/// The same, prepared for many questions.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground {
    pub(super) places: Places,
    pub(super) home: Option<Names>,
    pub(super) user: Option<Names>,
    pub(super) project: Option<Names>,
    fence: Fence,
    narrowed: Fence,
}

/// Folders that may be used.
#[derive(Clone, Debug, Default)]
struct Fence {
    /// Whether there are roots, also where nobody knows where they lie.
    drawn: bool,
    roots: Vec<Names>,
    readable: Vec<Names>,
}

/// The fences of the links of an authority.
#[derive(Clone, Debug, Default)]
pub(super) struct Fences {
    drawn: Vec<Fence>,
    /// Whether a link has none of its own, so that it keeps to the runtime's.
    open: bool,
}

/// Where a path lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Beneath a root.
    Inside,
    /// Where only reading is harmless, and it is read.
    Readable,
    /// Nobody drew a fence, and it is not beneath the working folder.
    Unknown,
    /// Beyond the roots.
    Outside,
}

impl Ground {
    pub(super) fn new(places: Places) -> Self {
        let names = |path: &Option<String>| path.as_deref().map(Names::of);
        Self {
            home: names(&places.home),
            user: names(&places.user),
            project: names(&places.project),
            fence: Fence::of(&places.bounds, &places),
            narrowed: Fence::of(&places.narrowed, &places),
            places,
        }
    }

    pub(super) fn target(&self, path: &str, cwd: Option<&str>) -> Target {
        Target::new(path, cwd, self.places.home.as_deref())
    }

    /// The fences of an authority.
    pub(super) fn fences(&self, authority: &[Authority]) -> Fences {
        let drawn = authority.iter().map(|link| &link.bounds).filter(|bounds| !bounds.is_empty());
        let drawn: Vec<Fence> = drawn.map(|bounds| Fence::of(bounds, &self.places)).collect();
        Fences { open: drawn.len() < authority.len() || drawn.is_empty(), drawn }
    }

    /// Where a path lies: the strictest of all fences says. Where there is none, beneath `cwd` and the
    /// project is inside.
    pub(super) fn reach(
        &self,
        fences: &Fences,
        (target, cwd): (&Target, Option<&Names>),
        read: bool,
    ) -> Reach {
        let own = [self.project.as_ref(), cwd];
        let by = |fence: &Fence| fence.reach(target, own, read);
        let mut reach = fences.drawn.iter().map(by).max();
        if fences.open || self.fence.drawn {
            reach = reach.max(Some(by(&self.fence)));
        }
        if self.narrowed.drawn && by(&self.narrowed) == Reach::Outside {
            reach = Some(Reach::Outside);
        }
        reach.unwrap_or(Reach::Outside)
    }

    /// The folders that every fence leaves, for who holds processes to them; none where nobody drew
    /// any. Of a fence without roots the workspace is what it leaves.
    pub(super) fn trees(&self, fences: &Fences) -> Option<Trees> {
        let own = (fences.open || self.fence.drawn).then_some(&self.fence);
        let narrowed = self.narrowed.drawn.then_some(&self.narrowed);
        let all: Vec<&Fence> = fences.drawn.iter().chain(own).chain(narrowed).collect();
        if all.iter().all(|fence| !fence.drawn && fence.readable.is_empty()) {
            return None;
        }
        let here: Vec<Names> =
            self.places.workspace.as_deref().map(Names::of).into_iter().collect();
        let roots = |fence: &Fence| if fence.drawn { fence.roots.clone() } else { here.clone() };
        let read = |fence: &Fence| [roots(fence), fence.readable.clone()].concat();
        let drawn = all.iter().filter(|fence| fence.drawn);
        let write = drawn.map(|fence| fence.roots.clone()).reduce(common);
        let read = all.iter().map(|fence| read(fence)).reduce(common).unwrap_or_default();
        let paths = |names: Vec<Names>| -> Vec<String> {
            names.iter().map(|names| format!("/{}", names.joined())).collect()
        };
        Some(Trees { write: write.map(paths), read: paths(read) })
    }
}

/// What lies in a folder of both.
fn common(some: Vec<Names>, others: Vec<Names>) -> Vec<Names> {
    let mut found: Vec<Names> = Vec::new();
    for (one, other) in some.iter().flat_map(|one| others.iter().map(move |other| (one, other))) {
        let inner = if one.plain().starts_with(other.plain()) { one } else { other };
        let outer = if std::ptr::eq(inner, one) { other } else { one };
        if inner.plain().starts_with(outer.plain()) && !found.contains(inner) {
            found.push(inner.clone());
        }
    }
    found
}

impl Fence {
    /// A folder of which nobody knows where it begins is left out, which makes the fence narrower.
    fn of(bounds: &Bounds, places: &Places) -> Self {
        let placed = |folder: &String| {
            let (base, rest) = match folder.strip_prefix("~/") {
                Some(rest) => (&places.home, rest),
                None if folder.starts_with('/') => return Some(Names::of(folder)),
                None => (&places.workspace, folder.as_str()),
            };
            base.as_ref().map(|base| Names::of(&format!("{base}/{rest}")))
        };
        let all = |folders: &[String]| folders.iter().filter_map(placed).collect();
        Self {
            drawn: !bounds.roots.is_empty(),
            roots: all(&bounds.roots),
            readable: all(&bounds.readable),
        }
    }

    fn reach(&self, target: &Target, own: [Option<&Names>; 2], read: bool) -> Reach {
        let outside = if self.drawn { Reach::Outside } else { Reach::Unknown };
        let place = match &target.tilde {
            Tilde::None => &target.place,
            Tilde::Home(place) => place,
            Tilde::SomeHome(_) | Tilde::Other => return outside,
        };
        if target.lost {
            return outside;
        }
        let inside = if self.drawn {
            self.roots.iter().any(|root| place.is_beneath(root))
        } else {
            own.into_iter().flatten().any(|root| place.is_beneath(root)) || is_below(place)
        };
        let readable = || {
            self.readable.iter().any(|root| place.is_beneath(root))
                || (is_null_device(place) && !target.dotted)
        };
        if inside {
            Reach::Inside
        } else if read && readable() {
            Reach::Readable
        } else {
            outside
        }
    }
}

/// A relative path of which nobody said where it begins.
fn is_below(place: &Place) -> bool {
    !place.absolute && !place.climbs()
}

fn is_null_device(place: &Place) -> bool {
    place.absolute && place.names.joined() == "dev/null"
}
