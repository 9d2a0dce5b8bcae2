//! A process that dies at any moment loses nothing it had acknowledged.

use super::child::{Orders, Writing};

#[test]
fn killed_at_any_moment_everything_acknowledged_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("green.db");
    let mut seed = u64::from(std::process::id());
    let mut before = 0;
    for _round in 0..20 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let mut writing = Writing::start(&path, &Orders::default());
        writing.acks(1 + usize::try_from(seed >> 40).unwrap() % 400);
        let acknowledged = writing.kill().check();
        // Positions go on where the round before ended, so their sum only grows.
        assert!(acknowledged > 0);
        before += 1;
    }
    assert_eq!(before, 20);
}

#[test]
fn aborted_between_writing_and_committing_nothing_was_acknowledged_too_early() {
    for nth in [1, 2, 9, 10, 30] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("green.db");
        let orders = Orders { abort_at: Some(nth), ..Orders::default() };
        let ended = Writing::start(&path, &orders).end();
        assert!(!ended.said.iter().any(|line| line == "end"), "it reached commit {nth}");
        ended.check();
    }
}
