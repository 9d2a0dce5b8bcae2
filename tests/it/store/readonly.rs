//! What may not be written is refused at once, in words that say what to look at.

use std::{
    fs::{Permissions, set_permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use greenroom::store::{Store, StoreOptions};

use super::child::{Orders, Writing};

fn mode(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What a user without rights hears who opens a store; the folder's and the files' modes.
fn opened(folder_mode: u32, file_mode: Option<u32>, lock_mode: Option<u32>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("green.db");
    if let Some(file_mode) = file_mode {
        drop(Store::open(&path, StoreOptions::default()).unwrap());
        mode(&path, file_mode);
        for beside in ["db-wal", "db-shm"] {
            // Left by a crash; a closed store has none.
            let _ = std::fs::remove_file(path.with_extension(beside));
        }
        let lock = path.with_extension("db.lock");
        match lock_mode {
            Some(lock_mode) => mode(&lock, lock_mode),
            None => std::fs::remove_file(&lock).unwrap(),
        }
    }
    mode(folder.path(), folder_mode);
    let ended = Writing::start(&path, &Orders { opens: true, ..Orders::default() }).end();
    mode(folder.path(), 0o755);
    ended.said.into_iter().find(|line| line.contains("open")).unwrap()
}

#[test]
fn a_folder_or_a_file_that_cannot_be_written_is_refused() {
    assert_eq!(opened(0o777, None, None), "opened");
    assert_eq!(opened(0o777, Some(0o666), Some(0o666)), "opened");
    for said in [
        opened(0o555, None, None),
        opened(0o555, Some(0o666), None),
        opened(0o555, Some(0o666), Some(0o666)),
        opened(0o777, Some(0o444), Some(0o666)),
        opened(0o777, Some(0o666), Some(0o444)),
    ] {
        assert!(said.starts_with("refused: open store"), "{said}");
        assert!(said.contains("cannot be read and written; check owner, mode and mount"), "{said}");
    }
}
