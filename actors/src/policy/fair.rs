//! A bounded queue that is fair between sessions: round robin over the sessions that wait, first
//! come first served within one. One session with a thousand calls delays another's single call
//! by one turn, not by a thousand.
//!
//! Every item has a key. The same key again takes the place of the first, so a question asked
//! twice waits once and keeps its place.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use crate::domain::ids::SessionId;

/// The queue. Every operation costs at most the logarithm of what waits.
#[derive(Debug)]
pub struct Fair<K, T> {
    /// Sessions in the order of their turns; each that waits is here exactly once.
    turns: BTreeMap<u64, SessionId>,
    lines: HashMap<SessionId, Line<K, T>>,
    places: HashMap<K, (SessionId, u64)>,
    /// Numbers turns and places; 2⁶⁴ of them do not run out.
    next: u64,
    items_max: usize,
}

/// One session's items in order of arrival.
#[derive(Debug)]
struct Line<K, T> {
    turn: u64,
    items: BTreeMap<u64, (K, T)>,
}

/// What became of an item that was put into the queue.
#[derive(Debug, PartialEq, Eq)]
pub enum Put<T> {
    /// It waits at the end of its session's line.
    Queued,
    /// Its key waited already; this is what it waited with.
    Replaced(T),
    /// The queue is full; here it is back.
    Full(T),
}

impl<K: Clone + Eq + Hash, T> Fair<K, T> {
    /// An empty queue for at most `items_max` items.
    #[must_use]
    pub fn new(items_max: usize) -> Self {
        Self {
            turns: BTreeMap::new(),
            lines: HashMap::new(),
            places: HashMap::new(),
            next: 0,
            items_max,
        }
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Puts an item at the end of its session's line, or in the place its key already has.
    pub fn put(&mut self, session: SessionId, key: K, item: T) -> Put<T> {
        if let Some(waiting) = self.waiting_mut(&key) {
            return Put::Replaced(std::mem::replace(waiting, item));
        }
        if self.places.len() >= self.items_max {
            return Put::Full(item);
        }
        let place = self.number();
        self.places.insert(key.clone(), (session, place));
        match self.lines.get_mut(&session) {
            Some(line) => {
                line.items.insert(place, (key, item));
            }
            None => {
                let items = BTreeMap::from([(place, (key, item))]);
                self.lines.insert(session, Line { turn: place, items });
                self.turns.insert(place, session);
            }
        }
        Put::Queued
    }

    /// Takes the first item of the session whose turn it is; that session is last now.
    pub fn pop(&mut self) -> Option<T> {
        let (_, session) = self.turns.pop_first()?;
        let mut line = self.lines.remove(&session)?;
        let (_, (key, item)) = line.items.pop_first()?;
        self.places.remove(&key);
        if !line.items.is_empty() {
            line.turn = self.number();
            self.turns.insert(line.turn, session);
            self.lines.insert(session, line);
        }
        Some(item)
    }

    /// Takes one item out of the middle.
    pub fn withdraw(&mut self, key: &K) -> Option<T> {
        let (session, place) = self.places.remove(key)?;
        let line = self.lines.get_mut(&session)?;
        let (_, item) = line.items.remove(&place)?;
        if line.items.is_empty() {
            self.turns.remove(&line.turn);
            self.lines.remove(&session);
        }
        Some(item)
    }

    /// Drops everything a session waits for; how much that was.
    pub fn forget(&mut self, session: SessionId) -> usize {
        let Some(line) = self.lines.remove(&session) else { return 0 };
        self.turns.remove(&line.turn);
        for (key, _) in line.items.values() {
            self.places.remove(key);
        }
        line.items.len()
    }

    fn waiting_mut(&mut self, key: &K) -> Option<&mut T> {
        let (session, place) = self.places.get(key)?;
        let (_, item) = self.lines.get_mut(session)?.items.get_mut(place)?;
        Some(item)
    }

    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
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
            prop_assert!(queue.turns.is_empty() && queue.lines.is_empty());
        }
    }
}
