//! A process that writes is killed: what it wrote is there as a whole, the old or the new, and what
//! it left beside it says that its last call did not happen.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use greenroom::{
    Args, Probe, ToolOutcome,
    tools::files::{Options, Root, tools},
};
use greenroom_actors::ports::Cancel;
use serde_json::json;

use crate::stage::Stage;

/// Where the process writes; set in its environment, and nowhere else.
const WHERE: &str = "GREENROOM_FILES_KILLED";
const KILLS: usize = 10;
/// Some seconds of looking.
const LOOKS: usize = 1_000_000;
const BYTES: usize = 1024 * 1024;

fn content(round: usize) -> String {
    char::from(b'a' + u8::try_from(round % 26).unwrap()).to_string().repeat(BYTES)
}

fn args(round: usize) -> serde_json::Value {
    json!({"path": "file", "content": content(round), "replace": true})
}

/// Writes until it is killed, and says before each write that it begins.
async fn writes_for_ever(folder: PathBuf) {
    let stage = Stage::new();
    let root = Root { path: folder, writable: true };
    let tools = tools(&Options { roots: vec![root], ..Options::default() }).unwrap();
    let write = tools.iter().find(|tool| tool.spec().name.as_str() == "write_file").unwrap();
    for round in 0.. {
        println!("round {round}");
        std::io::stdout().flush().unwrap();
        let (_wish, cancel) = Cancel::channel();
        let outcome = write.run(stage.ctx(cancel), Args(args(round).to_string())).await;
        assert!(matches!(outcome, ToolOutcome::Done { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_file_is_whole_at_whatever_moment_its_writer_is_killed() {
    if let Some(folder) = env::var_os(WHERE) {
        return writes_for_ever(folder.into()).await;
    }
    let stage = Stage::new();
    let mut cut_off = 0;
    for kill in 0..KILLS {
        stage.put("file", content(25));
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "killed::a_file_is_whole_at_whatever_moment_its_writer_is_killed"])
            .arg("--nocapture")
            .env(WHERE, stage.at(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        // Each time a little further: in the middle of the first write, of the second …
        let rounds =
            lines.by_ref().filter(|line| line.contains("round ")).take(1 + kill % 5).count();
        assert_eq!(rounds, 1 + kill % 5);
        // It begins a write now; as soon as there is something of it that is not in place yet …
        let mut looks = 0;
        while fs::read_dir(stage.at("")).unwrap().count() < 2 {
            looks += 1;
            assert!(looks < LOOKS, "nothing ever stands beside the file: it is written in place");
            assert!(process.try_wait().unwrap().is_none(), "it writes until it is killed");
        }
        process.kill().unwrap();
        process.wait().unwrap();

        let found = fs::read_to_string(stage.at("file")).unwrap();
        let whole = (0..=25).any(|round| found == content(round));
        assert!(whole, "{} bytes, beginning with {:?}", found.len(), found.get(..3));
        let left: Vec<_> = fs::read_dir(stage.at("")).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(left.len() <= 2, "a file, and at most one that was not put in place: {left:?}");
        let listed = stage.done("list_files", json!({"path": ".", "ignored": true})).await;
        assert_eq!(listed, "file", "which nobody sees");
        if left.len() == 2 {
            cut_off += 1;
            assert_eq!(stage.probe("write_file", args(7)).await, Probe::DidNot);
            assert_eq!(fs::read_dir(stage.at("")).unwrap().count(), 1, "and its trace is gone");
        }
    }
    assert!(cut_off > 0, "no kill came in the middle of a write, so that nothing was tested");
}
