//! Which item an event belongs to. By the book each event names its item's index and id. Servers also
//! name no index at all, the same index for every item, no id, or another id on each event. So: an id
//! that is known decides; else the index does, and an item that is announced where another has been
//! told whole is a new one; who names neither goes on with the latest of its kind.

use std::collections::BTreeMap;

use super::super::draft::At;

/// The items so far, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Slots(BTreeMap<u64, Slot>);

/// Where an item stands in the draft.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: Option<String>,
    pub(super) kind: Kind,
    /// The index that the server has for it.
    pub(super) index: Option<u64>,
    /// A place before its pieces: for a mark, or for the item itself where that is opaque.
    pub(super) place: At,
    /// Its pieces by their index within it; thinking and calls have one, at 0.
    pub(super) pieces: BTreeMap<u64, At>,
    /// Which part of a summary was added to last.
    pub(super) summary: u64,
    /// Whether it was told whole.
    pub(super) done: bool,
}

/// What an item is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Reasoning,
    Call,
    Other,
}

/// What an event says of where it belongs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: Option<&'a str>,
}

impl Slots {
    /// The item that an event goes on with.
    pub(super) fn find(&self, kind: Kind, place: Place<'_>) -> Option<u64> {
        self.known(kind, place).or_else(|| self.at(kind, place.index))
    }

    /// The item that is announced, where it has begun: not one that was told whole under another id.
    pub(super) fn announced(&self, kind: Kind, place: Place<'_>) -> Option<u64> {
        let found = self.known(kind, place);
        found.or_else(|| {
            let found = self.at(kind, place.index)?;
            let slot = self.0.get(&found)?;
            let is_other = place.id().is_some() && slot.id.is_some();
            let goes_on = if place.index.is_none() { !is_other } else { !(is_other && slot.done) };
            goes_on.then_some(found)
        })
    }

    fn known(&self, kind: Kind, place: Place<'_>) -> Option<u64> {
        let id = place.id()?;
        let same = |slot: &Slot| slot.kind == kind && slot.id.as_deref() == Some(id);
        self.0.iter().find(|(_, slot)| same(slot)).map(|(key, _)| *key)
    }

    /// The latest with this index, else the one that began as that; without one the latest of its kind.
    fn at(&self, kind: Kind, index: Option<u64>) -> Option<u64> {
        let latest = |index: Option<u64>| {
            let fits = |slot: &Slot| slot.kind == kind && (index.is_none() || slot.index == index);
            self.0.iter().rev().find(|(_, slot)| fits(slot)).map(|(key, _)| *key)
        };
        let as_began = |index: u64| {
            let fits = self.0.get(&index).is_some_and(|slot| slot.kind == kind);
            fits.then_some(index)
        };
        latest(index).or_else(|| as_began(index?))
    }

    /// Begins an item, at its index where that is free.
    pub(super) fn begin(&mut self, slot: Slot) -> u64 {
        let next = self.0.keys().next_back().map_or(0, |last| last.saturating_add(1));
        let free = slot.index.filter(|index| !self.0.contains_key(index));
        let key = free.unwrap_or(next);
        self.0.insert(key, slot);
        key
    }

    pub(super) fn get(&self, key: u64) -> Option<&Slot> {
        self.0.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut Slot> {
        self.0.get_mut(&key)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Slot> {
        self.0.values()
    }
}

impl Place<'_> {
    /// The id, where it is one.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.filter(|id| !id.is_empty())
    }
}

impl Kind {
    /// By the vendor's word.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "message" => Self::Message,
            "reasoning" => Self::Reasoning,
            "function_call" | "custom_tool_call" => Self::Call,
            _ => Self::Other,
        }
    }
}
