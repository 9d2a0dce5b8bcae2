//! Which files a tool's process may touch, as a set of Landlock's rules made before the fork: what a
//! program needs of the system, to read; its own trees, to read or to write; nothing else. With it
//! come what the kernel's version adds: no TCP for a tool without network, and no signals or
//! abstract sockets beyond the sandbox.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, PathFdError, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::make::Order;

/// Devices that anybody may use.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The rules could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NoRules {
    /// A tree that the tool was to have.
    #[error("open {path} for a tool")]
    Tree {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: PathFdError,
    },
    /// The kernel.
    #[error("make rules of files")]
    Kernel(#[from] RulesetError),
}

/// The newest version that this code has been tried with, or the kernel's if that is older.
fn abi(version: u32) -> ABI {
    match version {
        0 => ABI::Unsupported,
        1 => ABI::V1,
        2 => ABI::V2,
        3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        _ => ABI::V6,
    }
}

/// All rights, and those to read, as the kernel's numbers.
pub(super) fn access(version: u32) -> (u64, u64) {
    (AccessFs::from_all(abi(version)).bits(), AccessFs::from_read(abi(version)).bits())
}

/// The rules for an order, beside what every program may read of the system.
pub(super) fn rules(
    version: u32,
    system: &[PathBuf],
    order: &Order,
) -> Result<Option<OwnedFd>, NoRules> {
    let Order { read, write, network, .. } = order;
    let abi = abi(version);
    let mut set = Ruleset::default().handle_access(AccessFs::from_all(abi))?;
    if version >= 4 && !*network {
        set = set.handle_access(AccessNet::from_all(abi))?;
    }
    if version >= 6 {
        set = set.scope(Scope::from_all(abi))?;
    }
    let mut set = set.create()?;
    let reading = AccessFs::from_read(abi);
    let all = AccessFs::from_all(abi);
    for path in system {
        set = beneath(set, path, reading, abi).or_else(|(set, why)| missing(set, why))?;
    }
    for path in DEVICES.iter().map(Path::new) {
        set = beneath(set, path, all, abi).or_else(|(set, why)| missing(set, why))?;
    }
    for (paths, access) in [(read, reading), (write, all)] {
        for path in paths {
            set = beneath(set, path, access, abi).map_err(|(_, why)| why)?;
        }
    }
    Ok(set.into())
}

type Set = Result<RulesetCreated, (Option<RulesetCreated>, NoRules)>;

fn beneath(set: RulesetCreated, path: &Path, access: BitFlags<AccessFs>, abi: ABI) -> Set {
    let fd = match PathFd::new(path) {
        Ok(fd) => fd,
        Err(source) => {
            return Err((Some(set), NoRules::Tree { path: path.to_owned(), source }));
        }
    };
    // What a folder can be allowed beyond a file the kernel refuses for a file.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
    set.add_rule(PathBeneath::new(fd, access)).map_err(|error| (None, error.into()))
}

/// A system without that folder is no failure.
fn missing(set: Option<RulesetCreated>, why: NoRules) -> Result<RulesetCreated, NoRules> {
    set.ok_or(why)
}
