//! A clock that stands still until a test moves it. Ids and random numbers come from a seed, so a
//! run with the same moves is the same run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use uuid::Builder;

use crate::{
    domain::ids::{SessionId, Timestamp},
    ports::Clock,
};

/// Where a manual clock starts: a Sunday in 2026, so that times in failures look like times.
pub const START: Timestamp = Timestamp(1_790_000_000_000);

/// A clock in a test's hand. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: Timestamp,
    seed: u64,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
    slept: u64,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new(1)
    }
}

impl ManualClock {
    /// A clock that stands at `START`, with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let sleepers = BTreeMap::new();
        Self(Arc::new(Mutex::new(State { now: START, seed, sleepers, slept: 0 })))
    }

    /// Moves on by `ms` and wakes whoever's time has come, earliest first.
    pub fn advance(&self, ms: u64) {
        let to = self.state().now.plus_ms(ms);
        self.set(to);
    }

    /// Sets the clock; backwards too, as a clock on a wall can be. Sleepers that are due wake.
    pub fn set(&self, to: Timestamp) {
        let mut state = self.state();
        state.now = to;
        let later = state.sleepers.split_off(&(Timestamp(to.0.saturating_add(1)), 0));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        for sleeper in due.into_values() {
            // A sleeper that was dropped does not mind.
            sleeper.send(()).ok();
        }
    }

    /// Moves on to the earliest sleeper's time; `false` when nobody sleeps.
    pub fn advance_to_next(&self) -> bool {
        let next = self.next_wake();
        if let Some(at) = next {
            let now = self.state().now;
            self.set(at.max(now));
        }
        next.is_some()
    }

    /// When the earliest sleeper wants to wake.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let mut state = self.state();
        state.sleepers.retain(|_at, sleeper| !sleeper.is_closed());
        state.sleepers.keys().next().map(|(at, _no)| *at)
    }

    /// How many sleep.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        let mut state = self.state();
        state.sleepers.retain(|_at, sleeper| !sleeper.is_closed());
        state.sleepers.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next number of the splitmix64 sequence.
    const fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let woken = {
                    let mut state = clock.state();
                    if at <= state.now {
                        return;
                    }
                    let (wake, woken) = oneshot::channel();
                    state.slept += 1;
                    let no = state.slept;
                    state.sleepers.insert((at, no), wake);
                    woken
                };
                // Woken, it looks again: the clock may have been set back meanwhile.
                woken.await.ok();
            }
        })
    }

    fn random(&self) -> u64 {
        self.state().random()
    }

    fn new_session(&self) -> SessionId {
        let mut state = self.state();
        let millis = u64::try_from(state.now.0).unwrap_or(0);
        let (high, low) = (state.random().to_be_bytes(), state.random().to_be_bytes());
        let mut random = [0; 10];
        for (byte, from) in random.iter_mut().zip(high.into_iter().chain(low)) {
            *byte = from;
        }
        SessionId(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

#[cfg(test)]
mod tests;
