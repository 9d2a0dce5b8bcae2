//! What every program may read of the system: where programs and their libraries are, and those parts
//! of `/etc` and `/opt` that programs need to run. The rest of both is a machine's own: keys, passwords
//! of services, what was installed for somebody. Whoever's program needs more of it names that folder
//! among `readable`.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

/// Programs, libraries, and what the kernel says.
const TREES: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/lib32",
    "/libx32",
    "/nix",
    "/proc",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
];
/// Of `/etc`. What is a link here leads to what is meant.
const ETC: &[&str] = &[
    // Who is who, and what hosts and services are called.
    "passwd",
    "group",
    "nsswitch.conf",
    "hosts",
    "host.conf",
    "hostname",
    "resolv.conf",
    "gai.conf",
    "services",
    "protocols",
    "networks",
    "rpc",
    "shells",
    "login.defs",
    // Libraries.
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.preload",
    "ld-musl-x86_64.path",
    "ld-musl-aarch64.path",
    // Time, language, kind of system.
    "localtime",
    "timezone",
    "locale.alias",
    "locale.conf",
    "default/locale",
    "os-release",
    "lsb-release",
    "debian_version",
    "redhat-release",
    "alpine-release",
    "mime.types",
    "magic",
    "papersize",
    "terminfo",
    "inputrc",
    "bash.bashrc",
    "mtab",
    "alternatives",
    // Whom to trust; never what proves who this machine is.
    "ssl/certs",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "pki/ca-trust",
    "pki/tls/certs",
    "pki/tls/cert.pem",
    "pki/tls/openssl.cnf",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "ssh/ssh_config",
    "ssh/ssh_config.d",
    "ssh/ssh_known_hosts",
    // Programs that fail without.
    "gitconfig",
    "gitattributes",
    "mercurial",
    "perl",
    "dpkg",
    "maven",
    "fonts",
    "texmf",
    "vim",
    "groff",
    "man_db.conf",
    "manpath.config",
    "R",
    "OpenCL",
    "vulkan",
    "glvnd",
];
/// Names in `/etc` that go on with a version.
const VERSIONED: &[&str] = &["python", "java"];

/// The trees that there are; programs are looked for in the folders of `path`.
pub(super) fn trees(path: &OsStr) -> Vec<PathBuf> {
    let etc = Path::new("/etc");
    let all = TREES.iter().map(PathBuf::from).chain(ETC.iter().map(|name| etc.join(name)));
    let names = fs::read_dir(etc).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let versioned = names.filter(|name| {
        let name = name.to_string_lossy();
        VERSIONED.iter().any(|start| name.starts_with(start))
    });
    let all = all.chain(versioned.map(|name| etc.join(name))).filter(|tree| tree.exists());
    all.chain(packages(path, Path::new("/opt"))).collect()
}

/// Whether a folder is every program's to read.
pub(super) fn has(folder: &Path) -> bool {
    TREES.iter().any(|tree| folder.starts_with(tree))
}

/// What of a folder of packages is a program by the way that programs are found: it is looked for
/// there, or a link leads into it from where they are looked for.
fn packages(path: &OsStr, opt: &Path) -> BTreeSet<PathBuf> {
    let package = |file: &Path| {
        let name = file.strip_prefix(opt).ok()?.components().next()?;
        Some(opt.join(name))
    };
    let is_empty = fs::read_dir(opt).map_or(true, |mut all| all.next().is_none());
    let folders: Vec<PathBuf> = std::env::split_paths(path).filter(|_| !is_empty).collect();
    let entries = folders.iter().flat_map(fs::read_dir).flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    let targets = links.filter_map(|link| link.path().canonicalize().ok());
    targets.chain(folders.iter().cloned()).filter_map(|file| package(&file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_packages_those_are_read_that_programs_are_found_in() {
        let folder = tempfile::tempdir().unwrap();
        let opt = folder.path().canonicalize().unwrap().join("opt");
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for name in ["linked/bin", "looked/bin", "other/bin"] {
            fs::create_dir_all(opt.join(name)).unwrap();
            fs::write(opt.join(name).join("program"), "").unwrap();
        }
        std::os::unix::fs::symlink(opt.join("linked/bin/program"), bin.join("alias")).unwrap();
        std::os::unix::fs::symlink(bin.join("alias"), bin.join("program")).unwrap();
        let path = std::env::join_paths([bin, opt.join("looked/bin")]).unwrap();
        let found = packages(&path, &opt);
        assert_eq!(found, BTreeSet::from([opt.join("linked"), opt.join("looked")]));
    }
}
