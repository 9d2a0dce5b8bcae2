//! What a command did, held against what the analysis said it would do. What lies in the lists below
//! is no command's doing: loader, C library, language, and what a program is made of.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use greenroom_actors::policy::foresight::{ANY, Foretold, How};

use super::{
    calls::{Act, resolved},
    starter::PATH,
    trace::Deed,
};

/// Read by loader and C library, whatever runs: programs and libraries with their data, language
/// and time.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/opt",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/locale.alias",
    "/etc/localtime",
    "/dev/null",
    "/proc/filesystems",
    "/proc/sys/kernel/ngroups_max",
];
/// Names of users, for who shows or looks for them.
const USERS: &[&str] = &["/etc/nsswitch.conf", "/etc/passwd", "/etc/group"];
const NAMERS: &[&str] = &["bash", "find", "id", "ls", "ps", "stat", "tar", "whoami"];
/// What a program reads of the system or of its own settings because that is its purpose; `ws` and
/// `home` are the stage's.
const OWN: &[(&str, &[&str])] = &[
    // They look how much stack they have, and which descriptors are open.
    ("grep", &["/proc/self/maps"]),
    ("cmp", &["/proc/self/maps"]),
    ("diff", &["/proc/self/maps"]),
    ("xargs", &["/proc/self/fd"]),
    ("ps", &["/proc", "/sys/devices/system", "/dev/tty"]),
    ("uptime", &["/proc", "/run/utmp", "/var/run/utmp", "/sys/devices/system"]),
    ("free", &["/proc", "/sys/devices/system"]),
    ("nproc", &["/proc", "/sys"]),
    ("df", &["/proc"]),
    ("hostname", &["/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/hostname"]),
    ("file", &["/etc/magic", "/etc/magic.mgc", "home/.magic", "home/.magic.mgc"]),
    ("git", &["/etc/gitconfig", "home/.gitconfig", "home/.config/git", "/sys/devices/system/cpu"]),
    ("jq", &["home/.jq"]),
    ("bash", &["/dev/tty"]),
    ("sort", &["/proc/meminfo", "/sys/fs/cgroup", "/sys/devices/system"]),
];
/// What git does not track on the stage.
const UNTRACKED: &[&str] = &["ws/.env", "ws/out"];
/// Who says names of users, where there is such a service.
const NAME_SERVICE: &str = "/var/run/nscd/socket";
/// What it writes of its own.
const OWN_WRITES: &[(&str, &[&str])] =
    // It notes in its index what it has looked at.
    &[
        ("git", &["ws/.git/index.lock", "ws/.git/index"]),
        ("bash", &["/dev/tty"]),
        // What comes by a pipe is kept until it can be turned around.
        ("tac", &["/tmp"]),
    ];
/// What looks at the folder that it stands in when it is given none.
const LOOKERS: &[&str] = &["ls", "du", "find", "tree"];
/// What opens the folder of a file too.
const BESIDE: &[&str] = &["gzip", "unzip", "zipinfo"];
/// Programs that others are made of.
const MADE_OF: &[(&str, &[&str])] = &[
    ("egrep", &["grep"]),
    ("fgrep", &["grep"]),
    ("zcat", &["gzip"]),
    ("zgrep", &["gzip", "grep", "sed", "expr", "zgrep"]),
    ("which", &["which.debianutils"]),
    ("zipinfo", &["unzip"]),
    ("tar", &["gzip", "bzip2", "xz", "zstd", "lzma", "lzop", "lzip", "compress"]),
];
/// What they put behind a name when there is no file of that name.
const ENDINGS: &[(&str, &[&str])] = &[
    ("gzip", &[".gz", ".z", "-z", ".Z", "-gz", "_z"]),
    ("unzip", &[".zip", ".ZIP"]),
    ("zipinfo", &[".zip", ".ZIP"]),
];
const SHELLS: &[&str] = &["sh", "dash", "bash"];

/// A prediction, ready to be held against deeds.
pub(crate) struct Judge<'a> {
    stage: &'a Path,
    programs: Vec<String>,
    looks: Vec<GlobMatcher>,
    reads: Vec<GlobMatcher>,
    writes: Vec<GlobMatcher>,
    /// The folders of what is read.
    beside: Vec<GlobMatcher>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(stage: &'a Path, told: &Foretold) -> Self {
        let name = |program: &str| program.rsplit('/').next().unwrap_or(program).to_owned();
        let full = |path: &str| match path.strip_prefix('~') {
            Some(rest) => resolved(Path::new(&format!("{}{rest}", stage.join("home").display()))),
            None => resolved(Path::new(path)),
        };
        let glob = |path: PathBuf| {
            let path = path.display().to_string();
            let text = globset::escape(&path).replace(ANY, "*");
            let glob = GlobBuilder::new(&text).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher()).ok()
        };
        let paths = |how: &[How]| {
            let all = told.files.iter().filter(|file| how.contains(&file.how));
            let all = all.map(|file| full(&file.path));
            // What comes by a descriptor has the name that its link leads to.
            let all = all.flat_map(|path| path.canonicalize().ok().into_iter().chain([path]));
            all.filter_map(glob).collect()
        };
        let folders = told.files.iter().map(|file| full(&file.path));
        let folders = folders.filter_map(|path| path.parent().map(Path::to_owned));
        let programs = told.programs.iter().map(|program| name(program)).collect();
        Self {
            stage,
            programs,
            looks: paths(&[How::Looked]),
            reads: paths(&[How::Read, How::Written]),
            writes: paths(&[How::Written]),
            beside: folders.filter_map(glob).collect(),
        }
    }

    /// Deeds that were not foreseen, in words.
    pub(crate) fn surprises(&self, deeds: &[Deed]) -> Vec<String> {
        let mut found: Vec<String> = deeds.iter().filter_map(|deed| self.surprise(deed)).collect();
        found.sort();
        found.dedup();
        found
    }

    fn surprise(&self, deed: &Deed) -> Option<String> {
        let (by, real) = (&deed.by, deed.real.as_deref());
        let led = real.map(|real| format!(", which is {}", real.display())).unwrap_or_default();
        match &deed.act {
            Act::Run(file) => {
                (!self.may_run(by, file)).then(|| format!("{by} runs {}", file.display()))
            }
            Act::Read(path) => {
                let fine = below(&self.reads, path)
                    || (path.is_dir() && self.may_look(by, path))
                    || (self.knows(by, path) && real.is_none_or(|real| self.knows(by, real)));
                (!fine).then(|| format!("{by} reads {}{led}", path.display()))
            }
            // Loaders look for much that is not there; who looks for it on the stage takes a word
            // of the command for its name.
            Act::Try(path) => {
                let fine = below(&self.reads, path)
                    || self.looks_beside(by, path)
                    || !path.starts_with(self.stage)
                    || self.is_longer(by, path)
                    || self.knows(by, path);
                (!fine).then(|| format!("{by} tries {}", path.display()))
            }
            Act::Write(path) => {
                let fine = below(&self.writes, path)
                    || path == Path::new("/dev/null")
                    || self.own(OWN_WRITES, by, path);
                (!fine).then(|| format!("{by} writes {}{led}", path.display()))
            }
            Act::Reach(path) => {
                let fine = path == Path::new(NAME_SERVICE);
                (!fine).then(|| format!("{by} speaks to the socket {}", path.display()))
            }
            Act::Unseen(what) => Some(format!("{by} {what}")),
            Act::Speak(family) => Some(format!("{by} opens a socket of the family {family}")),
        }
    }

    /// Whether a file that is kept lies below a folder that was foreseen, and was not meant itself.
    pub(crate) fn is_swept(&self, by: &str, path: &Path) -> bool {
        let itself = self.reads.iter().any(|glob| glob.is_match(path));
        // Git looks at whatever it tracks.
        !itself && (by == "git" || below(&self.reads, path))
    }

    fn may_look(&self, by: &str, path: &Path) -> bool {
        // The folder that a command stands in was judged when it went there.
        let own = LOOKERS.contains(&by) && path.starts_with(self.stage.join("ws"));
        // It tries the root to see how descriptors behave, and closes it.
        let tried = by == "find" && path == Path::new("/");
        own || tried || self.looks_beside(by, path)
    }

    /// Who opens the folder of a name to see what is there: whoever expands wildcards, and who makes
    /// files beside others.
    fn looks_beside(&self, by: &str, path: &Path) -> bool {
        let any = |globs: &[GlobMatcher]| globs.iter().any(|glob| glob.is_match(path));
        (by == "bash" && any(&self.looks)) || (BESIDE.contains(&by) && any(&self.beside))
    }

    /// Whether a path is one that was foreseen with an ending of the program's own.
    fn is_longer(&self, by: &str, path: &Path) -> bool {
        let path = path.display().to_string();
        let endings = ENDINGS.iter().filter(|(program, _)| *program == by);
        let mut stems = endings.flat_map(|(_, all)| *all).filter_map(|end| path.strip_suffix(end));
        stems.any(|stem| below(&self.reads, Path::new(stem)))
    }

    fn may_run(&self, by: &str, file: &Path) -> bool {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let known = PATH.split(':').any(|folder| file.parent() == Some(Path::new(folder)));
        let parts = |whole: &str| MADE_OF.iter().find(|(name, _)| *name == whole).map(|(_, p)| *p);
        let made = |whole: &String| parts(whole).is_some_and(|parts| parts.contains(&&*name));
        // A script of the system is run by a shell, which then runs what it is made of.
        let script = SHELLS.contains(&by) || self.programs.iter().any(|program| program == by);
        let git = by == "git" && (name == "git" || file.starts_with("/usr/lib/git-core"));
        (known && self.programs.iter().any(|program| *program == name))
            || (known && script && self.programs.iter().any(made))
            || (git && self.programs.iter().any(|program| program == "git"))
    }

    /// Whether a file is read because of what the program is, whatever the command's words.
    fn knows(&self, by: &str, path: &Path) -> bool {
        self.owns(SYSTEM, path)
            || (NAMERS.contains(&by) && self.owns(USERS, path))
            || self.own(OWN, by, path)
            || (by == "git" && self.is_gits(path))
    }

    /// Whether git looks at a file though nobody names it: what it keeps, what it tracks, and what says
    /// how. A file that it does not track is read only by who names it.
    fn is_gits(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        path.starts_with(self.stage.join("ws"))
            && (path.is_dir()
                || [".gitignore", ".gitattributes", ".mailmap"].iter().any(|own| name == *own)
                || !UNTRACKED.iter().any(|own| path.starts_with(self.stage.join(own))))
    }

    fn own(&self, table: &[(&str, &[&str])], by: &str, path: &Path) -> bool {
        table.iter().any(|(program, paths)| *program == by && self.owns(paths, path))
    }

    fn owns(&self, paths: &[&str], path: &Path) -> bool {
        // The stage may lie in a folder of the list, and is none of its files.
        let stands = |own: &str| !own.starts_with('/') || !path.starts_with(self.stage);
        paths.iter().any(|own| path.starts_with(self.stage.join(own)) && stands(own))
    }
}

/// Whether a path is foreseen, or lies in a folder that is.
fn below(foreseen: &[GlobMatcher], path: &Path) -> bool {
    let above: Vec<PathBuf> = path.ancestors().map(Path::to_owned).collect();
    foreseen.iter().any(|glob| above.iter().any(|path| glob.is_match(path)))
}
