//! Looks on while commands run: which programs they execute, which files they open or change, by the
//! kernel's word. A process and all that come from it are stopped at the calls of `calls` and go on at
//! once. One thread looks on at one starter; a command is over when nobody of it is left.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, killpg},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::calls::{self, Act, Led};

/// How long a command may take before it is ended; what it did until then counts.
const LONGEST: Duration = Duration::from_secs(2);

/// Something that a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deed {
    /// The program that did it, by its file's name.
    pub(crate) by: String,
    pub(crate) act: Act,
    /// Where links really lead, if elsewhere than the path says.
    pub(crate) real: Option<PathBuf>,
}

/// A starter, and what is known of those that come from it.
pub(crate) struct Watched {
    starter: Child,
    /// Each process and the program that it runs.
    alive: HashMap<Pid, String>,
    /// The file that a process is about to run.
    about_to: HashMap<Pid, Led>,
    /// Seen before their parent said that it made them.
    early: HashSet<Pid>,
    /// Those of them who were killed before it did.
    gone: HashSet<Pid>,
    /// Commands that were ended before they were over.
    pub(crate) cut_short: usize,
}

impl Watched {
    /// Starts a starter for a stage.
    pub(crate) fn start(stage: &Path) -> io::Result<Self> {
        let mut starter = Command::new(std::env::current_exe()?)
            .arg("starter")
            .arg(stage)
            .stdin(Stdio::piped())
            .spawn()?;
        let options = Options::PTRACE_O_TRACESECCOMP
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(Pid::from_raw(starter.id() as i32), options)?;
        if let Some(input) = &mut starter.stdin {
            input.write_all(b".")?;
        }
        let (alive, about_to) = (HashMap::new(), HashMap::new());
        let (early, gone) = (HashSet::new(), HashSet::new());
        Ok(Self { starter, alive, about_to, early, gone, cut_short: 0 })
    }

    /// Runs a command and tells what it did, in order; an error if it did not run.
    pub(crate) fn run(&mut self, command: &str) -> io::Result<Vec<Deed>> {
        let input = self.starter.stdin.as_mut().ok_or_else(|| io::Error::other("no input"))?;
        input.write_all(format!("{command}\0").as_bytes())?;
        let (over, ended) = mpsc::sync_channel::<Pid>(2);
        let guard = thread::spawn(move || {
            let Ok(first) = ended.recv() else { return false };
            let long = ended.recv_timeout(LONGEST) == Err(mpsc::RecvTimeoutError::Timeout);
            if long {
                let _gone = killpg(first, Signal::SIGKILL);
            }
            long
        });
        let mut deeds = Vec::new();
        let done = self.look_on(&mut deeds, &over);
        drop(over);
        self.cut_short += usize::from(guard.join().unwrap_or(false));
        done.map(|()| deeds)
    }

    fn look_on(&mut self, deeds: &mut Vec<Deed>, over: &mpsc::SyncSender<Pid>) -> io::Result<()> {
        let starter = Pid::from_raw(self.starter.id() as i32);
        let mut begun = false;
        while !begun || !self.alive.is_empty() {
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(None, Some(flags)) {
                Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => {
                    if pid == starter {
                        return Err(io::Error::other("the starter has ended"));
                    }
                    self.alive.remove(&pid);
                    if self.early.remove(&pid) {
                        self.gone.insert(pid);
                    }
                }
                Ok(WaitStatus::PtraceEvent(pid, _, event)) => {
                    let made = self.event((pid, pid == starter), event, deeds)?;
                    if let Some(first) = made.filter(|_| pid == starter) {
                        begun = true;
                        over.send(first).map_err(io::Error::other)?;
                    }
                }
                Ok(WaitStatus::Stopped(pid, signal)) => go_on(pid, Some(signal))?,
                Ok(_) => {}
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// One stop; whom the process made, if that is what it was for.
    fn event(
        &mut self,
        (pid, is_starter): (Pid, bool),
        event: i32,
        deeds: &mut Vec<Deed>,
    ) -> io::Result<Option<Pid>> {
        let mut made = None;
        match event {
            libc::PTRACE_EVENT_SECCOMP if !is_starter => {
                let by = self.alive.get(&pid).cloned().unwrap_or_default();
                for (act, real) in calls::acts(pid) {
                    match act {
                        Act::Run(_) => drop(self.about_to.insert(pid, (act, real))),
                        // Between its birth and its program it does what the starter wants.
                        _ if by.is_empty() => {}
                        act => deeds.push(Deed { by: by.clone(), act, real }),
                    }
                }
            }
            // The starter may still be about to become itself when it is first looked at.
            libc::PTRACE_EVENT_EXEC if !is_starter => {
                let file = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let by = self.alive.insert(pid, name).unwrap_or_default();
                if let Some((act, real)) = self.about_to.remove(&pid).filter(|_| !by.is_empty()) {
                    deeds.push(Deed { by, act, real });
                }
            }
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                let child = Pid::from_raw(ptrace::getevent(pid).unwrap_or_default() as i32);
                let program = self.alive.get(&pid).cloned().unwrap_or_default();
                if !self.gone.remove(&child) {
                    self.alive.insert(child, program);
                }
                if self.early.remove(&child) {
                    go_on(child, None)?;
                }
                made = Some(child);
            }
            libc::PTRACE_EVENT_STOP if !is_starter && !self.alive.contains_key(&pid) => {
                self.early.insert(pid);
                return Ok(None);
            }
            _ => {}
        }
        go_on(pid, None)?;
        Ok(made)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.starter.kill());
        drop(self.starter.wait());
    }
}

/// Whoever was killed meanwhile is not there to go on.
fn go_on(pid: Pid, signal: Option<Signal>) -> io::Result<()> {
    match ptrace::cont(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
