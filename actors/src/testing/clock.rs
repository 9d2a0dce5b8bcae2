//! A clock that stands still until a test moves it. Its wall can be set apart from the time that it
//! has run, as the clock of a machine can, and as a real one wakes whoever waits for the wall. Ids and random numbers come from a seed, so a
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
    running: Timestamp,
    seed: u64,
    /// Who waits for a moment of the wall.
    sleepers: Sleepers,
    /// Who waits for so much time to run.
    naps: Sleepers,
    slept: u64,
}

type Sleepers = BTreeMap<(Timestamp, u64), oneshot::Sender<()>>;

impl Default for ManualClock {
    fn default() -> Self {
        Self::new(1)
    }
}

impl ManualClock {
    /// A clock that stands at `START`, with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            now: START,
            running: START,
            seed,
            sleepers: BTreeMap::new(),
            naps: BTreeMap::new(),
            slept: 0,
        })))
    }

    /// Runs on by `ms`, the wall with it, and wakes whoever's time has come, earliest first.
    pub fn advance(&self, ms: u64) {
        let mut state = self.state();
        state.now = state.now.plus_ms(ms);
        state.running = state.running.plus_ms(ms);
        Self::wake(state);
    }

    /// Sets the wall and nothing else; backwards too, as a clock on a wall can be. Who waited for a
    /// moment that is now past wakes; who waits for time to run does not hear of it.
    pub fn set(&self, to: Timestamp) {
        let mut state = self.state();
        state.now = to;
        Self::wake(state);
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        let (now, running) = (state.now, state.running);
        let mut due: Vec<_> = due(&mut state.sleepers, now).collect();
        due.extend(self::due(&mut state.naps, running));
        drop(state);
        due.sort_by_key(|(late_ms, _)| std::cmp::Reverse(*late_ms));
        for (_late_ms, sleeper) in due {
            // A sleeper that was dropped does not mind.
            sleeper.send(()).ok();
        }
    }

    /// Runs on to the earliest sleeper's time; `false` when nobody sleeps.
    pub fn advance_to_next(&self) -> bool {
        let next = self.next_wake();
        if let Some(at) = next {
            let now = self.now();
            self.advance(at.since_ms(now));
        }
        next.is_some()
    }

    /// When the earliest sleeper wakes by the wall, if that is not set meanwhile.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let mut state = self.state();
        state.forget_dropped();
        let (now, running) = (state.now, state.running);
        let sleeper = state.sleepers.keys().next().map(|(at, _no)| *at);
        let nap = state.naps.keys().next().map(|(at, _no)| now.plus_ms(at.since_ms(running)));
        sleeper.into_iter().chain(nap).min()
    }

    /// How many sleep.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        let mut state = self.state();
        state.forget_dropped();
        state.sleepers.len() + state.naps.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out whose time has come by `now`, with how late each is.
fn due(
    sleepers: &mut Sleepers,
    now: Timestamp,
) -> impl Iterator<Item = (u64, oneshot::Sender<()>)> + use<> {
    let later = sleepers.split_off(&(Timestamp(now.0.saturating_add(1)), 0));
    let due = std::mem::replace(sleepers, later);
    due.into_iter().map(move |((at, _no), sleeper)| (now.since_ms(at), sleeper))
}

impl State {
    fn forget_dropped(&mut self) {
        self.sleepers.retain(|_at, sleeper| !sleeper.is_closed());
        self.naps.retain(|_at, sleeper| !sleeper.is_closed());
    }

    const fn place(&mut self, at: Timestamp) -> (Timestamp, u64) {
        self.slept += 1;
        (at, self.slept)
    }

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
                    let place = state.place(at);
                    state.sleepers.insert(place, wake);
                    woken
                };
                // Woken, it looks again: the clock may have been set back meanwhile.
                woken.await.ok();
            }
        })
    }

    fn running(&self) -> Timestamp {
        self.state().running
    }

    fn after(&self, ms: u64) -> BoxFuture<'static, ()> {
        let (clock, at) = (self.clone(), self.state().running.plus_ms(ms));
        Box::pin(async move {
            let woken = {
                let mut state = clock.state();
                if at <= state.running {
                    return;
                }
                let (wake, woken) = oneshot::channel();
                let place = state.place(at);
                state.naps.insert(place, wake);
                woken
            };
            // The clock holds the other end until then.
            woken.await.ok();
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
