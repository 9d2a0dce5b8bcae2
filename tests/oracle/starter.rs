//! The process that starts what is looked at: one after another, as the shell tool starts them, each
//! in a process group of its own. It gives itself a filter that makes the kernel stop whoever comes
//! from it at the calls of `calls`, and may change files of the stage alone, whatever it runs.

use std::{
    fs::File,
    io::{self, BufRead as _, Read as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

use landlock::{
    ABI, AccessFs, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, path_beneath_rules,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::calls;

/// Where programs are looked for.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Bytes of one file that a command may write.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Runs what comes by standard input until it ends; commands end with a null.
pub(crate) fn run(stage: &Path) -> io::Result<()> {
    let mut input = io::stdin().lock();
    // Whoever looks on is there before the filter is, for a call that nobody looks at would fail.
    input.read_exact(&mut [0])?;
    let size = rustix::process::Rlimit { current: Some(FILE_BYTES), maximum: Some(FILE_BYTES) };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, size)?;
    fence(stage).map_err(io::Error::other)?;
    let rules = calls::numbers().map(|number| (number, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trace(0), arch);
    let filter: BpfProgram = filter.and_then(TryInto::try_into).map_err(io::Error::other)?;
    let output = File::options().append(true).open(stage.join("said"))?;
    seccompiler::apply_filter(&filter).map_err(io::Error::other)?;
    let mut command = Vec::new();
    while input.read_until(0, &mut command)? > 0 {
        let text = String::from_utf8_lossy(&command).trim_end_matches('\0').to_owned();
        command.clear();
        output.set_len(0)?;
        let workspace = stage.join("ws");
        let mut bash = Command::new("/bin/bash");
        bash.args(["--noprofile", "--norc", "-c", &text])
            .current_dir(&workspace)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", stage.join("home"))
            .env("PWD", &workspace)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .process_group(0);
        bash.status()?;
    }
    Ok(())
}

/// Where the kernel knows how: what is allowed by mistake changes nothing outside of the stage.
fn fence(stage: &Path) -> Result<(), landlock::RulesetError> {
    let changes = AccessFs::from_write(ABI::V3);
    let stage = [stage, Path::new("/dev/null")];
    Ruleset::default()
        .handle_access(changes)?
        .create()?
        .add_rules(path_beneath_rules(stage, changes))?
        .restrict_self()
        .map(drop)
}
