//! The one opener: whatever a tool reads, lists or writes comes through here, as a descriptor.
//!
//! A root is a descriptor that was opened when the program started. Beneath it the kernel resolves
//! a path in one step (`openat2`), and refuses links, `..`, other file systems and anything that
//! leads out, at the moment of opening: nothing is checked first and opened later. What was opened
//! is looked at through its descriptor, and tools work on that alone.
//!
//! Links are not followed even where they stay inside. Permission judged the path that was asked
//! for; through a link another file would be opened than was judged. Who meets one is told where
//! it leads and asks again. Rejected: following them and judging again, a second decision behind
//! the first in a place that nobody reads.

use std::{
    ffi::CStr,
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, readlinkat, statat},
    io::Errno,
};

use super::{
    options::{OpenError, Options, Root},
    place::{self, Known, Place},
    protect::{self, Use},
    refusal::Refusal,
    walk,
};

/// Nothing is followed that could lead elsewhere.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);
/// A pipe or a device must not hold us up, nor a terminal take us over.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);
/// Not opened, only looked at.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

#[derive(Debug)]
struct Opened {
    fd: OwnedFd,
    writable: bool,
}

/// The descriptors of all roots.
#[derive(Debug)]
pub(super) struct Opener {
    known: Vec<Known>,
    roots: Vec<Opened>,
    guarded: Vec<Place>,
    hard_links: bool,
}

impl Opener {
    pub(super) fn new(options: &Options) -> Result<Self, OpenError> {
        if options.roots.is_empty() {
            return Err(OpenError::NoRoot);
        }
        let (mut known, mut roots) = (Vec::new(), Vec::new());
        for Root { path, writable } in &options.roots {
            let failed = |source| OpenError::Root { path: path.clone(), source };
            let given = std::path::absolute(path).map_err(failed)?;
            let real = path.canonicalize().map_err(failed)?;
            let name = |path: &Path| path.to_str().map(place::parts_of);
            let named = |path: &Path| name(path).ok_or(OpenError::Name { path: path.to_owned() });
            let fd = File::open(&real).map_err(failed)?;
            match openat2(&fd, c".", FOLDER, Mode::empty(), RESOLVE) {
                Ok(fd) => roots.push(Opened { fd, writable: *writable }),
                Err(Errno::NOSYS | Errno::PERM) => return Err(OpenError::Kernel),
                Err(source) => return Err(failed(source.into())),
            }
            known.push(Known(vec![named(&given)?, named(&real)?]));
        }
        // What does not lie beneath a root cannot be reached anyway.
        let guarded = options
            .guarded
            .iter()
            .flat_map(|path| [std::path::absolute(path).ok(), real(path)].into_iter().flatten());
        let guarded =
            guarded.filter_map(|path| place::find(&known, None, path.to_str()?).ok()).collect();
        Ok(Self { known, roots, guarded, hard_links: options.hard_links })
    }

    /// The place that a path means.
    pub(super) fn place(&self, cwd: Option<&str>, path: &str) -> Result<Place, Refusal> {
        place::find(&self.known, cwd, path)
    }

    /// How a place is called: from the first root on, or in full beneath another.
    pub(super) fn shown(&self, place: &Place) -> String {
        if place.root == 0 {
            return place.below();
        }
        let above = self.known.get(place.root).and_then(|known| known.0.first());
        let parts: Vec<&str> =
            above.into_iter().flatten().chain(&place.parts).map(String::as_str).collect();
        format!("/{}", parts.join("/"))
    }

    /// Refuses a name that is kept, and writing where only reading is allowed.
    pub(super) fn permit(&self, place: &Place, using: Use) -> Result<(), Refusal> {
        let path = || self.shown(place);
        if let Some(why) = protect::kept_from(place, &self.guarded, using) {
            let verb = if using == Use::Write { "written" } else { "read" };
            return Err(Refusal::Protected { path: path(), verb, why });
        }
        if using == Use::Write && !self.roots.get(place.root).is_some_and(|root| root.writable) {
            return Err(Refusal::ReadOnly { path: path() });
        }
        Ok(())
    }

    /// A regular file to read, and what it was when it was opened.
    pub(super) fn file(&self, place: &Place) -> Result<(File, Stat), Refusal> {
        self.permit(place, Use::Read)?;
        let root = self.root(place)?;
        let opened = openat2(root, place.below(), READ, Mode::empty(), RESOLVE);
        let fd = opened.map_err(|errno| self.refused(place, errno))?;
        self.regular(fd, || self.shown(place))
    }

    /// A regular file in a folder that a walk stands in; `None` when it is none to read.
    pub(super) fn file_in(&self, folder: impl AsFd, name: &CStr) -> Option<(File, Stat)> {
        let fd = openat2(folder, name, READ, Mode::empty(), RESOLVE).ok()?;
        self.regular(fd, String::new).ok()
    }

    /// A folder.
    pub(super) fn folder(&self, place: &Place) -> Result<OwnedFd, Refusal> {
        self.permit(place, Use::Read)?;
        self.open_folder(place)
    }

    /// A folder that was permitted already.
    pub(super) fn open_folder(&self, place: &Place) -> Result<OwnedFd, Refusal> {
        let root = self.root(place)?;
        openat2(root, place.below(), FOLDER, Mode::empty(), RESOLVE)
            .map_err(|errno| self.refused(place, errno))
    }

    /// A folder in a folder that a walk stands in.
    pub(super) fn folder_in(&self, folder: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
        openat2(folder, name, FOLDER, Mode::empty(), RESOLVE)
    }

    /// What is at a place, looked at and not opened: a link is a link.
    pub(super) fn look(&self, place: &Place) -> Result<Stat, Refusal> {
        let root = self.root(place)?;
        let opened = openat2(root, place.below(), LOOK, Mode::empty(), RESOLVE);
        let fd = opened.map_err(|errno| self.refused(place, errno))?;
        fstat(&fd).map_err(|source| Refusal::io("look at", self.shown(place), source))
    }

    pub(super) fn root(&self, place: &Place) -> Result<&OwnedFd, Refusal> {
        // A place is only ever made for a root that is there.
        let none = || Refusal::Misfit("the place has no root".to_owned());
        Ok(&self.roots.get(place.root).ok_or_else(none)?.fd)
    }

    /// Refuses what is no file of its own.
    pub(super) fn fits(&self, stat: &Stat, path: impl Fn() -> String) -> Result<(), Refusal> {
        let (is, hint) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                return if stat.st_nlink > 1 && !self.hard_links {
                    Err(Refusal::HardLinks { path: path(), names: stat.st_nlink.to_string() })
                } else {
                    Ok(())
                };
            }
            FileType::Directory => ("a folder", "list_files shows what is in it"),
            FileType::Symlink => ("a symbolic link", "links are not followed"),
            FileType::Fifo => ("a pipe", ONLY_FILES),
            FileType::Socket => ("a socket", ONLY_FILES),
            FileType::CharacterDevice | FileType::BlockDevice => ("a device", ONLY_FILES),
            FileType::Unknown => ("of an unknown kind", ONLY_FILES),
        };
        Err(Refusal::Kind { path: path(), is, hint })
    }

    fn regular(&self, fd: OwnedFd, path: impl Fn() -> String) -> Result<(File, Stat), Refusal> {
        let stat = fstat(&fd).map_err(|source| Refusal::io("look at", path(), source))?;
        self.fits(&stat, path)?;
        Ok((File::from(fd), stat))
    }

    /// What an error of the kernel means for who asked.
    pub(super) fn refused(&self, place: &Place, errno: Errno) -> Refusal {
        let path = self.shown(place);
        match errno {
            Errno::LOOP => self.link_on(place),
            // With `NO_SYMLINKS` the only way out that is left is a mount.
            Errno::XDEV => Refusal::Mount { path },
            Errno::NOENT => Refusal::Missing { hint: self.near(place), path },
            Errno::NOTDIR => Refusal::Kind {
                path,
                is: "no folder, or something above it is none",
                hint: "list_files shows what is there",
            },
            // What opening a socket says.
            Errno::NXIO => Refusal::Kind { path, is: "a socket", hint: ONLY_FILES },
            errno => Refusal::io("open", path, errno),
        }
    }

    /// The first link on the way, and where it leads. Only told: another look may see another.
    fn link_on(&self, place: &Place) -> Refusal {
        let told = |link: String, hint: String| Refusal::Link { link, hint };
        let mut above = Place { root: place.root, parts: Vec::new() };
        for (at, part) in place.parts.iter().enumerate() {
            let here = above.with(part);
            let Ok(root) = self.root(place) else { break };
            let Ok(fd) = openat2(root, here.below(), LOOK, Mode::empty(), RESOLVE) else { break };
            let target = readlinkat(&fd, c"", Vec::new()).ok();
            let Some(target) = target else {
                above = here;
                continue;
            };
            let folder = format!("/{}", self.full(&above).join("/"));
            let rest = place.parts.get(at + 1..).unwrap_or_default().join("/");
            let real = target
                .to_str()
                .ok()
                .and_then(|target| self.place(Some(&folder), &format!("{target}/{rest}")).ok());
            return told(
                self.shown(&here),
                match real {
                    Some(real) => format!("ask for {} itself", self.shown(&real)),
                    None => "it leads outside of what may be reached".to_owned(),
                },
            );
        }
        told(self.shown(place), "ask for the file itself".to_owned())
    }

    /// All absolute paths of a place: beneath its root as it was given, and as it really is.
    pub(super) fn names(&self, place: &Place) -> Vec<String> {
        let known = self.known.get(place.root).map_or(&[] as &[Vec<String>], |known| &known.0);
        let path = |above: &Vec<String>| {
            let parts: Vec<&str> = above.iter().chain(&place.parts).map(String::as_str).collect();
            format!("/{}", parts.join("/"))
        };
        let mut names: Vec<String> = known.iter().map(path).collect();
        names.dedup();
        names
    }

    fn full(&self, place: &Place) -> Vec<String> {
        let above = self.known.get(place.root).and_then(|known| known.0.last());
        above.into_iter().flatten().chain(&place.parts).cloned().collect()
    }

    /// Names beside a missing one that were probably meant.
    fn near(&self, place: &Place) -> String {
        const ALIKE: f64 = 0.8;
        let Some((above, leaf)) = place.split() else { return String::new() };
        let Ok(root) = self.root(place) else { return String::new() };
        // Not `open_folder`, which would come back here for a folder that is missing as well.
        let Ok(folder) = openat2(root, above.below(), FOLDER, Mode::empty(), RESOLVE) else {
            return format!("; nor does {}", self.shown(&above));
        };
        let names = walk::names_in(&folder);
        let scored = names.iter().map(|name| (strsim::jaro_winkler(name, leaf), name));
        let best = scored.filter(|(like, _)| *like > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
        best.map_or_else(String::new, |(_, name)| {
            format!("; did you mean {}?", self.shown(&above.with(name)))
        })
    }

    /// What is at a name in a folder; `None` when nothing is.
    pub(super) fn leaf(folder: impl AsFd, name: &str) -> Result<Option<Stat>, Errno> {
        match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// The real path of a file that may not be there yet.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let above = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(above)
}

const ONLY_FILES: &str = "only regular files are read and written";
