//! The server as a process of its own: the built binary on a folder, at the same address every time. It
//! owns how it begins and how it ends; what is said to it it does not know.

use std::{net::SocketAddr, path::Path, process::Stdio};

use greenroom_actors::testing::harness::bounded;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
};

/// A token of its own for everybody who comes, the same in every life of the server.
pub const TOKEN: &str = "a-token-that-outlives-every-server-0000000001";

/// The binary on a folder with an agents file, with nothing of whoever runs the tests.
pub fn greenroom(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_greenroom"));
    for name in ["GREENROOM_STORE", "GREENROOM_AGENTS", "NO_COLOR", "RUST_LOG", "COLUMNS"] {
        command.env_remove(name);
    }
    command.env("GREENROOM_HOME", "/nowhere/at/all").env("OF_THE_TEST", TOKEN);
    command.args(args).arg("--store").arg(folder.join("green.db"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
    /// Open until its end, or it could not print any more.
    _stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Server {
    /// Starts it; it listens when this returns.
    pub async fn starts(folder: &Path, at: SocketAddr) -> Self {
        let (agents, at) = (folder.join("agents.toml"), at.to_string());
        let mut command = greenroom(folder, &["serve", "--token-env", "OF_THE_TEST"]);
        command.args(["--listen", &at]).arg("--agents").arg(agents);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let line = bounded("a server that listens", stdout.next_line()).await.unwrap();
        let Some(line) = line else {
            let mut why = String::new();
            stderr.read_to_string(&mut why).await.unwrap();
            panic!("no server: {why}");
        };
        let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}"));
        let address = address.parse().unwrap();
        Self { address, child, _stdout: stdout, stderr: stderr.lines() }
    }

    /// Killed at once.
    pub async fn killed(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Told to end, and killed while it does so.
    pub async fn killed_as_it_ends(mut self) {
        self.told_to_end();
        loop {
            let line = bounded("a word on its end", self.stderr.next_line()).await.unwrap();
            if line.unwrap_or_else(|| panic!("it ended in silence")).contains("ending in order") {
                return self.killed().await;
            }
        }
    }

    /// Told to end, and waited for.
    pub async fn ended(mut self) {
        self.told_to_end();
        let status = bounded("the end of a server", self.child.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "it ends well");
    }

    fn told_to_end(&self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap()));
        kill_process(pid.unwrap(), Signal::TERM).unwrap();
    }
}
