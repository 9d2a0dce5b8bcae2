//! Who waits at a gate, in turn: sessions fairly by what their calls weigh, roots before the agents
//! below them, but never so that those have less than `GATE_BEHIND_PERCENT` of what is granted while
//! both wait. A call made again may be passed by while there is no budget for it.

use crate::{
    limits,
    policy::fair::{Fair, Load},
};

use super::Claim;

/// The queue.
#[derive(Debug)]
pub struct Queue<T> {
    ahead: Fair<u64, (Claim, T)>,
    behind: Fair<u64, (Claim, T)>,
    /// What those behind are due for what was granted before them.
    due: u64,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    behind: bool,
    again: bool,
}

impl<T> Queue<T> {
    /// An empty queue; each class holds at most `items_max`.
    #[must_use]
    pub fn new(items_max: usize) -> Self {
        Self { ahead: Fair::new(items_max), behind: Fair::new(items_max), due: 0 }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ahead.len() + self.behind.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.behind.is_empty()
    }

    /// Puts a call at the end of its session's line. It is dropped where the queue is full.
    pub fn put(&mut self, no: u64, claim: Claim, item: T) {
        drop(self.class(claim.behind).put_load(claim.session, no, load(&claim), (claim, item)));
    }

    /// Whose turn it is; calls made again only if `again`.
    #[must_use]
    pub fn pick(&self, again: bool) -> Option<(Pick, Claim)> {
        let ahead = self.ahead.peek(again).map(|(_, (claim, _))| *claim);
        let behind = self.behind.peek(again).map(|(_, (claim, _))| *claim);
        let due = behind.filter(|claim| ahead.is_none() || claim.weight() <= self.due);
        let claim = due.or(ahead)?;
        Some((Pick { behind: claim.behind, again }, claim))
    }

    /// Takes whose turn it is.
    pub fn take(&mut self, pick: Pick) -> Option<(Claim, T)> {
        let taken = self.class(pick.behind).pop_held(pick.again)?;
        if pick.behind {
            self.due = self.due.saturating_sub(taken.0.weight());
        } else {
            const SHARE: u64 = limits::GATE_BEHIND_PERCENT;
            let due = self.due.saturating_add(taken.0.weight() * SHARE / (100 - SHARE));
            self.due = due.min(limits::GATE_WEIGHT_MAX);
        }
        self.forgive();
        Some(taken)
    }

    /// What was taken came to nothing.
    pub fn give_back(&mut self, claim: &Claim) {
        self.class(claim.behind).give_back(claim.session, load(claim));
    }

    /// Takes one out of the middle.
    pub fn withdraw(&mut self, no: u64) {
        if self.ahead.withdraw(&no).is_none() {
            drop(self.behind.withdraw(&no));
        }
        self.forgive();
    }

    /// Nobody behind was kept waiting.
    fn forgive(&mut self) {
        if self.behind.is_empty() {
            self.due = 0;
        }
    }

    const fn class(&mut self, behind: bool) -> &mut Fair<u64, (Claim, T)> {
        if behind { &mut self.behind } else { &mut self.ahead }
    }
}

fn load(claim: &Claim) -> Load {
    Load { weight: claim.weight(), held: claim.again() }
}
