//! The file tools under any path in any small tree of links, folders and files: whatever is asked for,
//! no tool reads, lists or writes what lies outside of the root. Each line of an input is a step: a
//! digit changes the tree at one of a few places, anything else is a path that every tool is given.
#![no_main]

use std::{fs, os::unix::fs::symlink, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

#[allow(dead_code, reason = "tests of the file tools use the rest")]
#[path = "../files/stage.rs"]
mod stage;

use stage::{CANARY, Stage};

/// Folders above these are real for good, so that the harness itself never follows a link.
const PLACES: &[&str] = &["a", "b", "d/a", "d/b", "d/e/a"];
const TARGETS: &[&str] = &[
    "../outside", "../outside/secret.txt", "..", ".", "a", "b", "d", "../ws", "../ws_evil",
    "../../outside/secret.txt", "/proc/self/root", "/proc/self/cwd", "/", "d/e", "../../../outside",
];
const STEPS: usize = 12;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread can be made")
});

fuzz_target!(|text: &str| {
    let stage = Stage::new();
    fs::create_dir_all(stage.at("d/e")).expect("the stage is there");
    for line in text.lines().take(STEPS) {
        let bytes = line.as_bytes();
        match bytes {
            [what @ b'0'..=b'3', place, rest @ ..] => {
                let place = PLACES[usize::from(*place) % PLACES.len()];
                let target = usize::from(rest.first().copied().unwrap_or_default());
                change(&stage, *what, place, TARGETS[target % TARGETS.len()]);
            }
            _ => {
                let path = line.replace("CANARY", "");
                for (name, outcome) in RUNTIME.block_on(stage.every_way(&path)) {
                    let (output, _) = outcome.told();
                    assert!(!output.shown().contains(CANARY), "{name} {path:?} tells the outside");
                }
            }
        }
    }
    stage.outside_is_untouched();
});

fn change(stage: &Stage, what: u8, place: &str, target: &str) {
    let path = stage.at(place);
    let is_folder = path.symlink_metadata().is_ok_and(|about| about.is_dir());
    // What was not there cannot be removed; what is made next fails where it is.
    drop(if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) });
    drop(match what {
        b'0' => symlink(target, &path),
        b'1' => fs::create_dir(&path),
        b'2' => fs::write(&path, "harmless"),
        _ => Ok(()),
    });
}
