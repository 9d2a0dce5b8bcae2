//! Whoever else has the file is named, so that a person knows what to stop.

use greenroom::store::{OpenError, Store, StoreOptions};

use super::child::{Orders, Writing};

#[test]
fn another_runtime_is_named_by_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("green.db");
    let mut writing = Writing::start(&path, &Orders::default());
    writing.acks(1);
    let refused = Store::open(&path, StoreOptions::default()).expect_err("it is held");
    let pid = writing.pid();
    assert!(matches!(refused, OpenError::Held { pid: Some(holder), .. } if holder == pid));
    assert!(refused.to_string().contains(&format!("process {pid}")), "{refused}");
    // The lock dies with its holder, however it dies.
    writing.kill().check();
}

#[test]
fn another_program_is_named_by_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("green.db");
    drop(Store::open(&path, StoreOptions::default()).unwrap());
    let mut holding = Writing::start(&path, &Orders { holds: true, ..Orders::default() });
    assert!(holding.listen(|line| line == "holds"));
    let refused = Store::open(&path, StoreOptions::default()).expect_err("it is locked");
    assert!(matches!(refused, OpenError::Busy { .. }), "{refused:?}");
    assert!(refused.to_string().contains(&format!("process {}", holding.pid())), "{refused}");
    holding.kill().check();
}
