//! Which programs run a program that is named in their words, or what comes by their input: the one table
//! of them, for the walk that resolves them and for `rules::guess`, which only suspects.

use super::tree;

/// A program whose other command begins at a known word.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Options without a value.
    pub(super) flags: &'static [&'static str],
    /// Options with a value, in the same word or the next.
    pub(super) values: &'static [&'static str],
    /// Words before the other command.
    pub(super) leading: usize,
    /// Whether running under it is harmless where the other command is.
    pub(super) transparent: bool,
}

const fn row(
    name: &'static str,
    flags: &'static [&'static str],
    values: &'static [&'static str],
    leading: usize,
    transparent: bool,
) -> Row {
    Row { name, flags, values, leading, transparent }
}

const ROWS: &[Row] = &[
    row("time", &["-p"], &[], 0, true),
    row("command", &["-p"], &[], 0, true),
    row("builtin", &[], &[], 0, true),
    row("exec", &["-c", "-l"], &["-a"], 0, true),
    row("nohup", &[], &[], 0, false),
    row("nice", &[], &["-n", "--adjustment"], 0, true),
    row("ionice", &["-t"], &["-c", "-n"], 0, true),
    row("setsid", &["-c", "-f", "-w"], &[], 0, false),
    row("stdbuf", &[], &["-i", "-o", "-e", "--input", "--output", "--error"], 0, true),
    row(
        "timeout",
        &["--foreground", "--preserve-status", "-v", "--verbose"],
        &["-k", "-s", "--kill-after", "--signal"],
        1,
        true,
    ),
    row(
        "xargs",
        &["-0", "--null", "-r", "--no-run-if-empty", "-t", "--verbose", "-x", "--exit"],
        &[
            "-n",
            "--max-args",
            "-P",
            "--max-procs",
            "-L",
            "--max-lines",
            "-d",
            "--delimiter",
            "-s",
            "-E",
        ],
        0,
        true,
    ),
    row("busybox", &[], &[], 0, false),
    row("toybox", &[], &[], 0, false),
];

/// Programs that run others in ways that are not resolved here.
const LOOSE: &[&str] = &[
    "chroot",
    "chrt",
    "coproc",
    "doas",
    "docker",
    "entr",
    "env",
    "expect",
    "fakeroot",
    "fd",
    "flock",
    "gdb",
    "kubectl",
    "ltrace",
    "make",
    "npm",
    "npx",
    "nsenter",
    "parallel",
    "perf",
    "pkexec",
    "podman",
    "proot",
    "rlwrap",
    "runuser",
    "screen",
    "script",
    "ssh",
    "start-stop-daemon",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "taskset",
    "tmux",
    "unbuffer",
    "unshare",
    "uvx",
    "valgrind",
    "watch",
];

pub(super) const SHELLS: &[&str] =
    &["bash", "sh", "dash", "ash", "zsh", "ksh", "mksh", "fish", "rbash", "csh", "tcsh"];
/// Programs that run what comes by their input when nothing else is named.
pub(super) const INTERPRETERS: &[&str] = &[
    "python", "python2", "python3", "perl", "ruby", "node", "php", "lua", "tclsh", "guile", "deno",
    "bun", "R",
];

/// What runs its words, or a file, in the shell that stands there.
const SHELLS_OWN: &[&str] = &[".", "source", "eval", "trap", "find"];

/// A program whose options are known.
pub(super) fn resolved(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// Whether it runs others in ways that are not resolved.
pub(super) fn is_loose(name: &str) -> bool {
    LOOSE.contains(&name)
}

/// Whether any later word may begin a command.
pub(in crate::policy) fn may_run_another(name: &str) -> bool {
    resolved(name).is_some()
        || is_loose(name)
        || [SHELLS, SHELLS_OWN].iter().any(|names| names.contains(&name))
        || tree::is_keyword(name)
}

/// Whether it reads commands from its input when it is named alone.
pub(in crate::policy) fn reads_commands(name: &str) -> bool {
    SHELLS.contains(&name) || matches!(name, "eval" | "source" | ".")
}

/// The last part of a program's path.
pub(in crate::policy) fn basename(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
