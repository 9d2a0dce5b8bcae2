//! A person at a terminal: a pseudo terminal as stdin and stderr of the binary, what is seen on it,
//! and what is typed. Stdout is a pipe, so that results and remarks are told apart.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

pub(crate) struct Person {
    pub(crate) child: Child,
    terminal: File,
    /// Everything seen so far.
    pub(crate) seen: String,
}

impl Person {
    /// Somebody starts the binary.
    pub(crate) fn starts(mut command: Command) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
        grantpt(&terminal).expect("ours");
        unlockpt(&terminal).expect("ours");
        let name = ptsname(&terminal, Vec::new()).expect("a name");
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let side = || File::options().read(true).write(true).open(path).expect("its other side");
        command.stdin(Stdio::from(OwnedFd::from(side())));
        command.stderr(Stdio::from(OwnedFd::from(side())));
        let child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        // The command holds the other side; without it the terminal ends with the child.
        drop(command);
        Self { child, terminal: File::from(terminal), seen: String::new() }
    }

    /// Watches until this is seen that was not seen before.
    #[track_caller]
    pub(crate) fn sees(&mut self, what: &str) {
        let from = self.seen.len();
        while !self.seen.get(from..).is_some_and(|new| new.contains(what)) {
            assert!(self.watch(), "it ended without showing {what:?}:\n{}", self.seen);
        }
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        writeln!(self.terminal, "{line}").expect("somebody reads");
    }

    /// Watches until the end: the exit code, and stdout.
    pub(crate) fn leaves(mut self) -> (Option<i32>, String, String) {
        while self.watch() {}
        let mut out = String::new();
        let mut stdout = self.child.stdout.take().expect("piped");
        stdout.read_to_string(&mut out).expect("text");
        let code = self.child.wait().expect("ours").code();
        (code, out, self.seen)
    }

    fn watch(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        // A terminal whose other side is closed is an error on some systems and an end on others.
        match self.terminal.read(&mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.seen += &String::from_utf8_lossy(bytes.get(..count).unwrap_or_default());
                true
            }
        }
    }
}
