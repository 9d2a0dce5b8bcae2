//! Somebody swaps files for links while the tools are at work: whatever moment they hit, nothing
//! outside is read, told or written.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use greenroom::ToolOutcome;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use crate::stage::{CANARY, Stage};

const SWAPS: usize = 100_000;

#[derive(Default)]
struct Seen {
    done: AtomicUsize,
    refused: AtomicUsize,
}

impl Seen {
    fn take(&self, name: &str, outcome: &ToolOutcome) {
        let (output, is_error) = outcome.told();
        assert!(!output.shown().contains(CANARY), "{name} escaped: {}", output.shown());
        let count = if is_error { &self.refused } else { &self.done };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn both(&self) -> bool {
        self.done.load(Ordering::Relaxed) > 100 && self.refused.load(Ordering::Relaxed) > 100
    }
}

/// Swaps each pair in turn, `SWAPS` times in all and until the tools have met both sides.
fn swap(pairs: &[[std::path::PathBuf; 2]], met: impl Fn() -> bool) -> usize {
    let mut swaps = 0;
    while swaps < SWAPS || (swaps < 100 * SWAPS && !met()) {
        for [one, other] in pairs {
            renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
            swaps += 1;
        }
    }
    swaps
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_swaps_of_files_and_links_let_nothing_escape() {
    let stage = Stage::new();
    // A file and a folder, each with a link beside it that leads out.
    stage.put("file", "harmless");
    symlink("../outside/secret.txt", stage.at("file_link")).unwrap();
    stage.put("dir/secret.txt", "harmless");
    symlink("../outside", stage.at("dir_link")).unwrap();
    stage.put("tree/dir/secret.txt", "harmless");
    symlink("../../outside", stage.at("tree/dir_link")).unwrap();
    let pairs = [
        [stage.at("file"), stage.at("file_link")],
        [stage.at("dir"), stage.at("dir_link")],
        [stage.at("tree/dir"), stage.at("tree/dir_link")],
    ];
    let reads = Arc::new(Seen::default());
    let (writes, over) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let swapper = thread::spawn({
        let (reads, writes, over) = (Arc::clone(&reads), Arc::clone(&writes), Arc::clone(&over));
        move || {
            let swaps = swap(&pairs, || reads.both() && writes.both());
            over.store(true, Ordering::Relaxed);
            swaps
        }
    });
    while !over.load(Ordering::Relaxed) {
        for path in ["file", "dir/secret.txt"] {
            reads.take("read_file", &stage.call("read_file", json!({ "path": path })).await);
            let args = json!({ "path": path, "content": "harmless", "replace": true });
            writes.take("write_file", &stage.call("write_file", args).await);
            let edits = json!([{ "old_text": "harm", "new_text": "harm" }, ]);
            let args = json!({ "path": path, "edits": edits });
            reads.take("edit_file", &stage.call("edit_file", args).await);
        }
        let args = json!({ "path": "tree", "pattern": "CANARY|harmless" });
        reads.take("search_files", &stage.call("search_files", args).await);
        reads.take("list_files", &stage.call("list_files", json!({ "path": "dir" })).await);
        let args = json!({ "path": "dir/new.txt", "content": "harmless", "replace": true });
        writes.take("write_file", &stage.call("write_file", args).await);
    }
    let swaps = swapper.join().unwrap();
    assert!(swaps >= SWAPS && reads.both() && writes.both(), "both sides were met: {swaps}");
    stage.outside_is_untouched();
    let names: Vec<_> =
        fs::read_dir(stage.at("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "nothing is left over: {names:?}");
}
