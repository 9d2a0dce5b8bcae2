//! The clock port on the real machine: the wall's time, tokio's timer, the system's randomness.
//! The only place outside tests that asks the standard library for any of them.

#![expect(clippy::disallowed_methods, reason = "what is banned elsewhere is done here")]

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::ids::{SessionId, Timestamp},
    ports::Clock,
};
use uuid::Uuid;

/// A sleeper looks at the wall again at least this often, so that a clock set forward by hand or by
/// a suspended machine wakes it soon. Timers count running time only.
const LOOK_MS: u64 = 1_000;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // Before 1970 is before this program: such a clock is read as the epoch.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                let left = at.since_ms(Self.now());
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left.min(LOOK_MS))).await;
            }
        })
    }

    fn random(&self) -> u64 {
        // A hasher's keys come from the system's random source, a new pair for every state; good
        // enough for jitter and sampling, which is all that asks here. Secrets come from elsewhere.
        RandomState::new().hash_one(Uuid::now_v7().as_u128())
    }

    fn new_session(&self) -> SessionId {
        SessionId(Uuid::now_v7())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_with_time_and_random_numbers_differ() {
        let ids: Vec<_> = (0..1_000).map(|_| SystemClock.new_session()).collect();
        assert!(ids.is_sorted(), "v7 ids made one after the other are in order");
        assert_ne!(SystemClock.random(), SystemClock.random());
    }

    #[test]
    fn a_sleeper_returns_only_once_its_time_has_come() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let at = SystemClock.now().plus_ms(20);
            SystemClock.sleep_until(at).await;
            assert!(SystemClock.now() >= at);
            SystemClock.sleep_until(Timestamp(0)).await;
        });
    }
}
