//! Turns, weights and debts of the fair queue.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn session(no: u128) -> SessionId {
    SessionId(Uuid::from_u128(no))
}

#[test]
fn a_long_line_delays_the_others_by_one_turn_each() {
    let mut queue = Fair::new(usize::MAX);
    for no in 0..1_000_u32 {
        queue.put(session(0), (0, no), (0, no));
    }
    for who in 1..100 {
        queue.put(session(who), (who, 0), (who, 0));
    }
    let first: Vec<_> = (0..100).filter_map(|_| queue.pop()).collect();
    let sessions: std::collections::BTreeSet<_> = first.iter().map(|(who, _)| *who).collect();
    assert_eq!(sessions.len(), 100, "everybody had a turn before anybody had two");
    let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    assert_eq!(rest, (1..1_000).map(|no| (0, no)).collect::<Vec<_>>(), "in order within one");
}

#[test]
fn the_same_key_again_keeps_its_place() {
    let mut queue = Fair::new(2);
    assert_eq!(queue.put(session(1), 1, "first"), Put::Queued);
    assert_eq!(queue.put(session(1), 2, "second"), Put::Queued);
    assert_eq!(queue.put(session(1), 3, "third"), Put::Full("third"));
    assert_eq!(queue.put(session(1), 1, "first again"), Put::Replaced("first"));
    assert_eq!(queue.pop(), Some("first again"));
    assert_eq!(queue.pop(), Some("second"));
    assert_eq!(queue.pop(), None);
}

/// Sessions that come back at once with their next call, as agents do: weight by session.
fn closed_loop(weights: &[u64], served: u64) -> Vec<u64> {
    let mut queue = Fair::new(usize::MAX);
    let put = |queue: &mut Fair<_, _>, who: usize, no: u64| {
        let load = Load { weight: weights[who], held: false };
        queue.put_load(session(who as u128), (who, no), load, who);
    };
    (0..weights.len()).for_each(|who| put(&mut queue, who, 0));
    let mut sums = vec![0; weights.len()];
    for no in 1..=served {
        let who = queue.pop().unwrap();
        sums[who] += weights[who];
        put(&mut queue, who, no);
    }
    sums
}

#[test]
fn a_session_with_huge_calls_has_no_more_than_its_share_although_it_has_one_at_a_time() {
    let mut weights = vec![10_000; 9];
    weights.push(160_000);
    let sums = closed_loop(&weights, 2_000);
    let mean = sums.iter().sum::<u64>() / 10;
    for (who, sum) in sums.iter().enumerate() {
        assert!(sum.abs_diff(mean) <= 160_000, "{who} had {sum}, all had {mean}: {sums:?}");
    }
}

#[test]
fn newcomers_without_end_do_not_keep_one_that_owes_waiting() {
    let mut queue = Fair::new(usize::MAX);
    let heavy = Load { weight: 100_000, held: false };
    let light = Load { weight: 10_000, held: false };
    queue.put_load(session(0), 0, heavy, 0);
    queue.put_load(session(0), 1_000, heavy, 0);
    for who in 1..=20 {
        queue.put_load(session(who), who, light, who);
    }
    assert_eq!(queue.pop(), Some(0));
    let waited = (21..1_000_u128).position(|who| {
        queue.put_load(session(who), who, light, who);
        queue.pop() == Some(0)
    });
    assert!(waited.is_some_and(|waited| waited < 400), "{waited:?}");
}

#[test]
fn what_is_held_back_waits_while_others_pass_and_keeps_its_turn() {
    let mut queue = Fair::new(usize::MAX);
    let held = Load { held: true, ..ONE };
    queue.put_load(session(1), 1, held, "held");
    queue.put(session(2), 2, "first");
    queue.put(session(3), 3, "second");
    assert_eq!(queue.peek(false), Some((ONE, &"first")));
    assert_eq!(queue.pop_held(false), Some("first"));
    assert_eq!(queue.peek(true), Some((held, &"held")));
    assert_eq!(queue.pop_held(true), Some("held"));
    assert_eq!(queue.pop_held(false), Some("second"));
    assert_eq!(queue.pop_held(false), None);
}

#[test]
fn what_came_to_nothing_is_not_owed() {
    let mut queue = Fair::new(usize::MAX);
    for who in 1..=3 {
        queue.put(session(who), (who, 0), who);
        queue.put(session(who), (who, 1), who);
    }
    assert_eq!(queue.pop(), Some(1));
    queue.give_back(session(1), ONE);
    assert_eq!(queue.pop(), Some(2));
    assert_eq!(queue.pop(), Some(3));
    assert_eq!(queue.pop(), Some(1));
}

proptest! {
    #[test]
    fn what_is_put_comes_out_once_or_was_withdrawn(
        steps in proptest::collection::vec((0u8..4, 0u128..5, 0u32..20), 0..300),
    ) {
        let mut queue = Fair::new(16);
        let mut expected = std::collections::BTreeSet::new();
        for (what, who, no) in steps {
            let key = (who, no);
            match what {
                0 | 1 => match queue.put(session(who), key, key) {
                    Put::Queued => prop_assert!(expected.insert(key)),
                    Put::Replaced(old) => prop_assert!(expected.contains(&old)),
                    Put::Full(_) => prop_assert_eq!(expected.len(), 16),
                },
                2 => match queue.pop() {
                    Some(key) => prop_assert!(expected.remove(&key)),
                    None => prop_assert!(expected.is_empty()),
                },
                _ if no < 15 => {
                    prop_assert_eq!(queue.withdraw(&key).is_some(), expected.remove(&key));
                }
                _ => {
                    let before = expected.len();
                    expected.retain(|(session, _)| *session != who);
                    prop_assert_eq!(queue.forget(session(who)), before - expected.len());
                }
            }
            prop_assert_eq!(queue.len(), expected.len());
        }
        let rest: std::collections::BTreeSet<_> = std::iter::from_fn(|| queue.pop()).collect();
        prop_assert_eq!(rest, expected);
        prop_assert!(queue.turns.iter().all(BTreeMap::is_empty) && queue.lines.is_empty());
        prop_assert!(queue.served.is_empty(), "nobody waits, so nobody owes");
    }
}
