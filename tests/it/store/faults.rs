//! A disk that fails while the store writes: no acknowledgement is ever false.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::child::{Orders, SESSIONS, Writing};

/// Builds the failing disk. The store itself is built with the same C compiler.
fn preload(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("fault.c"), folder.join("fault.so"));
    fs::write(&source, include_str!("fault.c")).unwrap();
    let mut build = Command::new("cc");
    build.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
    assert!(build.status().unwrap().success(), "cc builds the failing disk");
    library
}

struct Disk {
    folder: tempfile::TempDir,
    orders: Orders,
}

impl Disk {
    fn new(frames: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let preload = Some((preload(folder.path()), folder.path().join("control")));
        Self { folder, orders: Orders { frames, preload, ..Orders::default() } }
    }

    fn start(&self) -> Writing {
        Writing::start(&self.folder.path().join("green.db"), &self.orders)
    }

    /// From now on this fails; an empty word heals it.
    fn fail(&self, word: &str) {
        // Renamed into place: the other side never reads half a word.
        let fresh = self.folder.path().join("fresh");
        fs::write(&fresh, word).unwrap();
        fs::rename(fresh, self.folder.path().join("control")).unwrap();
    }
}

fn poisons(fault: &str) {
    let disk = Disk::new(None);
    let mut writing = disk.start();
    writing.acks(50);
    disk.fail(fault);
    let ended = writing.end();
    let count = |what: &str| ended.said.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!(count("stays poisoned"), SESSIONS as usize, "{fault}: {:?}", ended.said);
    assert_eq!((count("wrong"), count("unavailable")), (0, 0), "{:?}", ended.said);
    disk.fail("");
    ended.check();
}

#[test]
fn a_failed_sync_is_never_acknowledged_and_never_retried() {
    poisons("sync");
}

#[test]
fn a_failed_write_is_never_acknowledged_and_never_retried() {
    poisons("write");
}

#[test]
fn a_failed_copy_back_poisons_before_anything_is_lost() {
    let disk = Disk::new(Some(10));
    let mut writing = disk.start();
    // All frames but the last follow at once; the copy back comes when they have been quiet.
    writing.acks(10);
    disk.fail("sync-back");
    assert!(writing.listen(|line| line.contains("was not copied back")), "{:?}", writing.said);
    // The disk would report success now; the store must not believe it.
    disk.fail("");
    let ended = writing.end();
    let wal = disk.folder.path().join("green.db-wal");
    assert!(fs::metadata(wal).unwrap().len() > 0, "what was not copied back is still in the log");
    ended.check();
}

#[test]
fn a_full_disk_refuses_for_now_and_takes_more_when_there_is_room() {
    let disk = Disk::new(None);
    let mut writing = disk.start();
    for _round in 0..3 {
        writing.acks(50);
        disk.fail("full");
        let mut refused = 0;
        assert!(writing.listen(|line| {
            refused += usize::from(line.starts_with("unavailable the disk is full"));
            refused == 30
        }));
        disk.fail("");
        writing.acks(200);
    }
    let ended = writing.kill();
    assert!(!ended.said.iter().any(|line| line.starts_with("poisoned")), "{:?}", ended.said);
    ended.check();
}

#[test]
fn killed_while_the_disk_is_full_nothing_acknowledged_is_lost() {
    let disk = Disk::new(None);
    for _round in 0..3 {
        disk.fail("");
        let mut writing = disk.start();
        writing.acks(40);
        disk.fail("full");
        assert!(writing.listen(|line| line.starts_with("unavailable")));
        let ended = writing.kill();
        disk.fail("");
        ended.check();
    }
}
