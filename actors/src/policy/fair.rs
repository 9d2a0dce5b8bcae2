//! A bounded queue that is fair between sessions: round robin over the sessions that wait, first
//! come first served within one. One session with a thousand calls delays another's single call
//! by one turn, not by a thousand.
//!
//! Turns are weighed: it is deficit round robin with the rounds counted instead of walked. Each
//! session stands at the round that it has been served up to, and a call that weighs as much as
//! five of another takes its session five rounds further. What a session owes is remembered after
//! its last item has gone, for an agent has one call at a time and would come back each time with
//! a clean slate; it is forgotten when nobody waits any more, for then nobody was kept waiting.
//! A newcomer stands one round behind the turn taken last, so rounds pass however many newcomers
//! there are, and one that owes much is not kept waiting for ever.
//!
//! Every item has a key. The same key again takes the place of the first, so a question asked
//! twice waits once and keeps its place.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use crate::{domain::ids::SessionId, limits};

#[cfg(test)]
mod tests;

/// The queue. Every operation costs at most the logarithm of what waits.
#[derive(Debug)]
pub struct Fair<K, T> {
    /// Sessions in the order of their turns; each that waits is here exactly once. Those whose first
    /// item is held back stand apart, so that passing them by costs nothing.
    turns: [BTreeMap<Turn, SessionId>; 2],
    lines: HashMap<SessionId, Line<K, T>>,
    places: HashMap<K, (SessionId, u64)>,
    /// The round that each session was served up to, while it is ahead of `round`.
    served: HashMap<SessionId, u64>,
    /// How many `served` may hold before those who owe nothing any more are taken out.
    served_max: usize,
    /// That of the turn taken last.
    round: u64,
    /// Numbers turns and places; 2⁶⁴ of them do not run out.
    next: u64,
    items_max: usize,
}

/// When a session's turn comes: its round, and its number among those of the same round.
type Turn = (u64, u64);

/// One session's items in order of arrival.
#[derive(Debug)]
struct Line<K, T> {
    turn: Turn,
    /// Whether the first item may be held back.
    held: bool,
    items: BTreeMap<u64, (K, Load, T)>,
}

/// What an item takes of its session's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How far it takes its session; `ROUND` is a round.
    pub weight: u64,
    /// Whether it may be held back while others pass.
    pub held: bool,
}

/// A round: what the lightest item takes.
pub const ROUND: u64 = limits::FAIR_ROUND;

/// An item as heavy as any other, never held back.
pub const ONE: Load = Load { weight: ROUND, held: false };

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
            turns: [BTreeMap::new(), BTreeMap::new()],
            lines: HashMap::new(),
            places: HashMap::new(),
            served: HashMap::new(),
            served_max: 0,
            round: 0,
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
        self.put_load(session, key, ONE, item)
    }

    /// The same for an item that weighs otherwise; one in a place that its key has weighs what the
    /// first did.
    pub fn put_load(&mut self, session: SessionId, key: K, load: Load, item: T) -> Put<T> {
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
                line.items.insert(place, (key, load, item));
            }
            None => {
                let items = BTreeMap::from([(place, (key, load, item))]);
                self.line_up(session, items, place);
            }
        }
        Put::Queued
    }

    /// The item that `pop` would take, and what it weighs; those that are held back only if
    /// `held_too`.
    #[must_use]
    pub fn peek(&self, held_too: bool) -> Option<(Load, &T)> {
        let (_, session) = self.first(held_too)?;
        let (_, (_, load, item)) = self.lines.get(&session)?.items.first_key_value()?;
        Some((*load, item))
    }

    /// Takes the first item of the session whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        self.pop_held(true)
    }

    /// The same; items that are held back only if `held_too`.
    pub fn pop_held(&mut self, held_too: bool) -> Option<T> {
        let (turn, session) = self.first(held_too)?;
        let mut line = self.lines.remove(&session)?;
        self.turns_of(line.held).remove(&turn);
        let (_, (key, load, item)) = line.items.pop_first()?;
        self.places.remove(&key);
        self.round = self.round.max(turn.0);
        self.served.insert(session, turn.0.saturating_add(load.weight.max(1)));
        if !line.items.is_empty() {
            let number = self.number();
            self.line_up(session, line.items, number);
        }
        self.forgive();
        Some(item)
    }

    /// An item that was taken came to nothing: its session owes nothing for it.
    pub fn give_back(&mut self, session: SessionId, load: Load) {
        let Some(served) = self.served.get_mut(&session) else { return };
        *served = served.saturating_sub(load.weight.max(1));
        let Some(line) = self.lines.remove(&session) else { return };
        self.turns_of(line.held).remove(&line.turn);
        self.line_up(session, line.items, line.turn.1);
    }

    /// Takes one item out of the middle.
    pub fn withdraw(&mut self, key: &K) -> Option<T> {
        let (session, place) = self.places.remove(key)?;
        let mut line = self.lines.remove(&session)?;
        let (_, _, item) = line.items.remove(&place)?;
        self.turns_of(line.held).remove(&line.turn);
        if !line.items.is_empty() {
            self.line_up(session, line.items, line.turn.1);
        }
        self.forgive();
        Some(item)
    }

    /// Drops everything a session waits for; how much that was.
    pub fn forget(&mut self, session: SessionId) -> usize {
        let Some(line) = self.lines.remove(&session) else { return 0 };
        self.turns_of(line.held).remove(&line.turn);
        for (key, _, _) in line.items.values() {
            self.places.remove(key);
        }
        self.forgive();
        line.items.len()
    }

    /// Gives a session its turn: where it stands, or now if the others have come further. One that
    /// is not known comes a round later.
    fn line_up(&mut self, session: SessionId, items: BTreeMap<u64, (K, Load, T)>, number: u64) {
        let newcomer = self.round.saturating_add(ROUND);
        let round = self.served.get(&session).map_or(newcomer, |served| self.round.max(*served));
        let held = items.first_key_value().is_some_and(|(_, (_, load, _))| load.held);
        let turn = (round, number);
        self.turns_of(held).insert(turn, session);
        self.lines.insert(session, Line { turn, held, items });
    }

    fn first(&self, held_too: bool) -> Option<(Turn, SessionId)> {
        let [free, held] = &self.turns;
        let held = held.first_key_value().filter(|_| held_too);
        let first = free.first_key_value().into_iter().chain(held).min()?;
        Some((*first.0, *first.1))
    }

    fn turns_of(&mut self, held: bool) -> &mut BTreeMap<Turn, SessionId> {
        &mut self.turns[usize::from(held)]
    }

    /// Forgets what nobody owes any more. The room doubles with what stays, so that looking through
    /// all of it costs little for each that was put in.
    fn forgive(&mut self) {
        if self.places.is_empty() {
            self.served.clear();
        } else if self.served.len() > self.served_max {
            let round = self.round;
            self.served.retain(|_, served| *served > round);
            self.served_max = 2 * self.served.len() + SERVED_MIN;
        }
    }

    fn waiting_mut(&mut self, key: &K) -> Option<&mut T> {
        let (session, place) = self.places.get(key)?;
        let (_, _, item) = self.lines.get_mut(session)?.items.get_mut(place)?;
        Some(item)
    }

    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Fewer than so many debts are not worth a look.
const SERVED_MIN: usize = 64;
