//! Processes that play until they are killed: nothing of them runs on, and nothing of them says
//! goodbye. The second half is for the test itself to play, on the file that the first one left.

use std::{
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::ids::SessionId,
    testing::harness::{Harness, bounded},
};
use uuid::Uuid;

use crate::{
    approvals, cancel, channels, children, delete, parts,
    props::Numbering,
    stage::{Folder, Stage},
};

/// The part of the process that is killed.
pub const PART: &str = "plays a first half and is killed";
const FOLDER: &str = "GREENROOM_KILLED_FOLDER";
const HALF: &str = "GREENROOM_KILLED_HALF";
const MORE: &str = "GREENROOM_KILLED_MORE";
const SIGKILL: i32 = 9;

/// Plays until it is ready to be killed; the text says which play of several.
type Half = fn(Folder, String) -> BoxFuture<'static, Stage>;

const HALVES: [(&str, Half); 7] = [
    (approvals::FIRST_HALF, approvals::first_half),
    (approvals::failing::FIRST_HALF, approvals::failing::first_half),
    (channels::folder::FIRST_HALF, channels::folder::first_half),
    (cancel::FIRST_HALF, cancel::first_half),
    (cancel::halted::FIRST_HALF, cancel::halted::first_half),
    (children::FIRST_HALF, children::first_half),
    (delete::cut_off::FIRST_HALF, delete::cut_off::first_half),
];

/// The session that a process opens first, where sessions are `numbered`.
pub const FIRST: SessionId = SessionId(Uuid::from_u128(1));

/// The same house, with sessions that both halves know by their numbers.
pub fn numbered(arrange: impl FnOnce(Harness) -> Harness) -> impl FnOnce(Harness) -> Harness {
    |harness| {
        let mut harness = arrange(harness);
        harness.deps.clock = Arc::new(Numbering::default());
        harness
    }
}

/// A process that does not outlive its test.
struct Doomed(Child);

impl Drop for Doomed {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process and kills it when it says that it is ready.
pub fn kills_when_ready(mut process: Command, name: &str, folder: &Path) {
    let said = folder.join("said.txt");
    let errors = File::create(&said).expect("a file for what it says");
    process.stdout(Stdio::piped()).stderr(errors);
    let mut doomed = Doomed(process.spawn().expect("start a process"));
    let mut lines = BufReader::new(doomed.0.stdout.take().expect("piped")).lines();
    let ready = lines.by_ref().map_while(Result::ok).any(|line| line == "ready");
    let said = || fs::read_to_string(&said).unwrap_or_default();
    assert!(ready, "{name}: the process ended before it was ready: {}", said());
    doomed.0.kill().expect("kill the process");
    let ended = doomed.0.wait().expect("its end");
    assert_eq!(ended.signal(), Some(SIGKILL), "{name}: it ended as {ended}");
}

/// In the process that is killed: says that it is ready, and waits.
pub async fn is_ready() {
    let mut out = std::io::stdout();
    writeln!(out, "\nready").and_then(|()| out.flush()).expect("tell the parent");
    // One that its parent forgot ends by itself.
    bounded("to be killed", std::future::pending::<()>()).await;
}

/// Plays a first half in a process of its own and kills that; the folder that it leaves.
pub fn after(half: &str, more: &str) -> Folder {
    after_more(Folder::new(), half, more)
}

/// The same in a folder where somebody has played before.
pub fn after_more(folder: Folder, half: &str, more: &str) -> Folder {
    let mut process = parts::process(PART);
    process.env(FOLDER, folder.path()).env(HALF, half).env(MORE, more);
    kills_when_ready(process, half, folder.path());
    folder
}

/// What the process does that is killed.
pub fn play() {
    let folder = env::var_os(FOLDER).expect("a folder to play in");
    let (half, more) = (env::var(HALF).expect("a half"), env::var(MORE).expect("which"));
    let play = HALVES.iter().find(|(name, _)| *name == half);
    let (_, play) = play.unwrap_or_else(|| panic!("no first half is called {half:?}"));
    parts::on_two_threads(async {
        let _stage = play(Folder::of_another(folder.into()), more).await;
        is_ready().await;
    });
}
