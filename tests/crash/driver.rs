//! The driver: starts the vendor and the sink, which live through everything, and the runtime,
//! which does not; kills it, starts it again, lets everything heal in the end, and has the journals
//! compared with the store's file.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use super::{
    client::Client,
    control::{Order, Reply, Said, Wish},
    facts::Trouble,
    wire,
};

/// Lines read from a runtime and not yet heard.
const SAID: usize = 4_096;
/// The store's file.
const STORE: &str = "greenroom.db";
/// Sessions that a read model is made to forget at once.
pub(crate) const BEHIND: u32 = 6;
/// How often the client has its say although nobody spoke to it.
const BEAT_MS: u64 = 5;
/// A runtime has this long to serve; a debug build on a busy machine takes a second.
const START_MS: u64 = 20_000;

/// A helper that lives through everything.
struct Role {
    child: Child,
    port: u16,
    // Kept open: a role that wrote into a closed pipe would die of it.
    _out: BufReader<std::process::ChildStdout>,
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A runtime in its process.
struct Living {
    child: Child,
    orders: ChildStdin,
    said: Receiver<Said>,
    started: u64,
}

impl Drop for Living {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How an incarnation came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// The time was up, or what was waited for has come.
    There,
    /// The process ended.
    Dead(ExitStatus),
}

/// Everything of one run.
pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
    model: Role,
    sink: Role,
    pub(crate) client: Client,
    living: Option<Living>,
    begun_ns: u64,
    /// Runtimes started.
    pub(crate) starts: u64,
    /// How long each took until it served, in ms.
    pub(crate) start_ms: Vec<u64>,
}

fn role(name: &str, args: &[&Path]) -> io::Result<Role> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name).args(args).stdin(Stdio::null()).stdout(Stdio::piped());
    // The script panics on purpose, in both processes; its text is enough.
    command.env("RUST_BACKTRACE", "0").stderr(Stdio::null());
    let mut child = command.spawn()?;
    let out = child.stdout.take().ok_or_else(|| io::Error::other("no pipe to a role"))?;
    let mut out = BufReader::new(out);
    let mut line = String::new();
    out.read_line(&mut line)?;
    let port = wire::port_of(&line);
    let port = port.ok_or_else(|| io::Error::other(format!("role {name} said {line:?}")))?;
    Ok(Role { child, port, _out: out })
}

impl Stage {
    /// Sets it up: an empty folder, a vendor, a sink.
    pub(crate) fn set(script: &str, seed: u64) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("script.txt"), script)?;
        let model = role("model", &[&path("script.txt"), &path("model.jsonl")])?;
        let sink = role("sink", &[&path("sink.jsonl")])?;
        let client = Client::new(&path("client.jsonl"), seed)?;
        let begun_ns = wire::wall_ns();
        let (starts, start_ms) = (0, Vec::new());
        Ok(Self { folder, model, sink, client, living: None, begun_ns, starts, start_ms })
    }

    /// A file of the run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Milliseconds since the run began.
    pub(crate) fn now(&self) -> u64 {
        wire::wall_ns().saturating_sub(self.begun_ns) / 1_000_000
    }

    fn command(&self, store: &str, abort: Option<(&str, u64)>) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("runtime").arg(self.path(store)).env("RUST_BACKTRACE", "0");
        command.arg(self.model.port.to_string()).arg(self.sink.port.to_string());
        if let Some((point, nth)) = abort {
            command.arg("--abort-at").arg(point).arg("--nth").arg(nth.to_string());
        }
        Ok(command)
    }

    /// Starts a runtime; it need not live until it serves.
    pub(crate) fn start(&mut self, abort: Option<(&str, u64)>) -> io::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.path("runtime.log"))?;
        let mut command = self.command(STORE, abort)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::from(log));
        let started = self.now();
        let mut child = command.spawn()?;
        let none = || io::Error::other("no pipe to a runtime");
        let orders = child.stdin.take().ok_or_else(none)?;
        let out = child.stdout.take().ok_or_else(none)?;
        let (hear, said) = sync_channel(SAID);
        // Ends with the pipe. A line that the death of its writer has torn was never said.
        thread::spawn(move || {
            let mut out = BufReader::new(out);
            let mut line = Vec::new();
            while out.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                if line.last() == Some(&b'\n')
                    && let Ok(said) = serde_json::from_slice(&line)
                    && hear.send(said).is_err()
                {
                    return;
                }
                line.clear();
            }
        });
        self.living = Some(Living { child, orders, said, started });
        self.starts += 1;
        Ok(())
    }

    /// Lets the client work until `until` ms of the run, or until `enough`, or until the runtime
    /// has died.
    pub(crate) fn go_on(
        &mut self,
        until: u64,
        mut enough: impl FnMut(&Client) -> bool,
    ) -> io::Result<Came> {
        loop {
            let now = self.now();
            if now >= until || enough(&self.client) {
                return Ok(Came::There);
            }
            let orders = self.client.orders(now);
            let Some(living) = &mut self.living else { return Ok(Came::There) };
            send(&mut living.orders, &orders);
            let wait = (until - now).min(BEAT_MS);
            match living.said.recv_timeout(Duration::from_millis(wait)) {
                Ok(said) => self.hear(said)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.bury().map(Came::Dead),
            }
        }
    }

    fn hear(&mut self, said: Said) -> io::Result<()> {
        let now = self.now();
        if let (Said::Ready, Some(living)) = (&said, &self.living) {
            self.start_ms.push(now.saturating_sub(living.started));
        }
        let orders = self.client.hear(said, now)?;
        if let Some(living) = &mut self.living {
            send(&mut living.orders, &orders);
        }
        Ok(())
    }

    /// How long the runtime has served, in ms; nothing when it does not yet.
    pub(crate) fn served(&self) -> Option<u64> {
        let living = self.living.as_ref()?;
        let took = self.client.ready.then(|| self.start_ms.last())??;
        Some(self.now().saturating_sub(living.started + took))
    }

    /// `kill -9`. What it had said before counts.
    pub(crate) fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(living) = &mut self.living {
            living.child.kill()?;
        }
        self.bury()
    }

    /// Hears the last words of a dead runtime.
    fn bury(&mut self) -> io::Result<ExitStatus> {
        let Some(mut living) = self.living.take() else {
            return Err(io::Error::other("nobody to bury"));
        };
        let status = living.child.wait()?;
        while let Ok(said) = living.said.recv() {
            self.hear(said)?;
        }
        self.client.bereaved();
        Ok(status)
    }

    /// Asks the runtime one thing and waits for the answer.
    pub(crate) fn ask(&mut self, wish: Wish, patience_ms: u64) -> io::Result<Option<Reply>> {
        let order = self.client.order(wish);
        let no = order.no;
        if let Some(living) = &mut self.living {
            send(&mut living.orders, &[order]);
        }
        let until = self.now() + patience_ms;
        self.go_on(until, |client| client.answers.contains_key(&no))?;
        Ok(self.client.answers.remove(&no))
    }

    /// A second runtime on the same file: how long until it was refused, and what it said.
    pub(crate) fn second(&self) -> io::Result<(u64, ExitStatus, String)> {
        let before = self.now();
        let mut command = self.command(STORE, None)?;
        let output = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((self.now() - before, output.status, said))
    }

    /// A runtime on another file, which nobody gives an order to: how it ended, and whether it
    /// had served.
    pub(crate) fn alone(
        &self,
        store: &str,
        abort: Option<(&str, u64)>,
    ) -> io::Result<(ExitStatus, bool)> {
        let output = self.command(store, abort)?.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let ready = |line: &str| matches!(serde_json::from_str(line), Ok(Said::Ready));
        Ok((output.status, said.lines().any(ready)))
    }

    /// Asks for an orderly end; whoever asked does not wait here.
    pub(crate) fn ask_to_end(&mut self) {
        let order = self.client.order(Wish::Shutdown);
        if let Some(living) = &mut self.living {
            send(&mut living.orders, &[order]);
        }
    }

    /// The runtime's process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.living.as_ref().map(|living| living.child.id())
    }

    /// No more kills, no more jobs: everything ends, and the runtime with it, in order. Returns
    /// what did not.
    pub(crate) fn heal(&mut self, patience_ms: u64) -> io::Result<Vec<String>> {
        self.client.busy = false;
        if self.living.is_none() {
            self.start(None)?;
        }
        let until = self.now() + patience_ms;
        let mut stuck = Vec::new();
        if let Came::Dead(status) = self.go_on(until, Client::is_done)? {
            return Ok(vec![format!("the runtime died while it healed: {status}")]);
        }
        stuck.extend(self.client.shown().into_iter().map(|job| format!("not ended: {job}")));
        let mut busy = self.busy()?;
        while !busy.is_empty() && self.now() < until {
            let next = self.now() + 50;
            self.go_on(next, |_| false)?;
            busy = self.busy()?;
        }
        stuck.extend(busy.iter().map(|(session, doing)| format!("busy: {session} {doing}")));
        // What is not over holds room, rightly.
        let roots = if stuck.is_empty() { self.client.roots.clone() } else { Vec::new() };
        for root in roots {
            let until = self.now() + START_MS;
            stuck.extend(self.unreserve(root, until)?);
        }
        stuck.extend(self.shut_down()?);
        Ok(stuck)
    }

    fn busy(&mut self) -> io::Result<Vec<(greenroom_actors::domain::ids::SessionId, String)>> {
        match self.ask(Wish::Busy, START_MS)? {
            Some(Reply::Busy { rows }) => Ok(rows),
            other => Err(io::Error::other(format!("asked who is busy: {other:?}"))),
        }
    }

    /// Waits until the ledger holds nothing for a tree any more.
    fn unreserve(
        &mut self,
        root: greenroom_actors::domain::ids::SessionId,
        until: u64,
    ) -> io::Result<Option<String>> {
        loop {
            let reply = self.ask(Wish::Reserved { root }, START_MS)?;
            if let Some(Reply::Reserved { open: Some(0) }) = reply {
                return Ok(None);
            }
            if self.now() >= until {
                return Ok(Some(format!("room of {root} stays reserved: {reply:?}")));
            }
            let next = self.now() + 10;
            self.go_on(next, |_| false)?;
        }
    }

    fn shut_down(&mut self) -> io::Result<Option<String>> {
        self.ask_to_end();
        let until = self.now() + START_MS;
        let came = self.go_on(until, |_| false)?;
        let bye = self.client.bye.take();
        Ok(match (came, bye) {
            (Came::Dead(status), Some(_)) if status.success() => None,
            (came, bye) => Some(format!("it did not shut down: {came:?}, {bye:?}")),
        })
    }

    /// Copies the store as a dead runtime left it, so that looking at it changes nothing.
    pub(crate) fn copy_store(&self, to: &Path) -> io::Result<()> {
        for name in ["greenroom.db", "greenroom.db-wal"] {
            let from = self.path(name);
            if from.exists() {
                std::fs::copy(&from, to.join(name))?;
            }
        }
        for name in ["model.jsonl", "sink.jsonl", "client.jsonl"] {
            if self.path(name).exists() {
                std::fs::copy(self.path(name), to.join(name))?;
            }
        }
        Ok(())
    }

    /// A dead runtime's read model forgets what it had seen of some sessions' last frames, and that
    /// they have work in hand: whoever starts on it must read their logs.
    pub(crate) fn fall_behind(&self) -> Result<(), Trouble> {
        let conn = rusqlite::Connection::open(self.path(STORE))?;
        let sql = "SELECT id FROM session ORDER BY status = 'idle', updated_at DESC LIMIT ?1";
        let mut asked = conn.prepare(sql)?;
        let found = asked.query_map([BEHIND], |row| row.get::<_, String>(0))?;
        for id in found.collect::<Result<Vec<_>, _>>()? {
            let sql = "UPDATE log SET applied = tail - 1 WHERE kind = 'session' AND id = ?1";
            let behind = conn.execute(sql, [&id])?;
            let sql = "UPDATE session SET status = 'idle', wake_at = NULL WHERE id = ?1";
            if (behind, conn.execute(sql, [&id])?) != (1, 1) {
                return Err(format!("{id} has no log").into());
            }
        }
        Ok(())
    }

    /// The last lines of what runtimes wrote to standard error.
    pub(crate) fn log_tail(&self, lines: usize) -> Vec<String> {
        let Ok(file) = File::open(self.path("runtime.log")) else { return Vec::new() };
        let all: Vec<String> = BufReader::new(file).lines().map_while(Result::ok).collect();
        all.into_iter().rev().take(lines).rev().collect()
    }
}

fn send(to: &mut ChildStdin, orders: &[Order]) {
    for order in orders {
        let Ok(mut line) = serde_json::to_vec(order) else { continue };
        line.push(b'\n');
        // One that has just died hears nothing; the client asks its successor.
        drop(to.write_all(&line));
    }
}

/// Whether a process ended by `abort`.
pub(crate) fn aborted(status: ExitStatus) -> bool {
    status.signal() == Some(6)
}

/// How often each point was hit.
pub(crate) type Hits = BTreeMap<&'static str, u64>;
