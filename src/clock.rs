//! The clock port on the real machine: the wall's time, tokio's timer, the system's randomness.
//! The only place outside tests that asks the standard library for any of them.

#![expect(clippy::disallowed_methods, reason = "what is banned elsewhere is done here")]

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::ids::{SessionId, Timestamp},
    limits,
    ports::Clock,
};
use uuid::Uuid;

/// Where running time is counted from. It is the process's, as the machine's own counter is.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

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
        Box::pin(reaches(at, || Self.now()))
    }

    fn running(&self) -> Timestamp {
        Timestamp(i64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    fn after(&self, ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }

    fn random(&self) -> u64 {
        // A hasher's keys come from the system's random source once for each thread, and differ for
        // every state; good enough for jitter and sampling, which is all that asks here. Secrets come
        // from elsewhere. Every input of a session asks, so it is no call of the system each time.
        RandomState::new().hash_one(0_u64)
    }

    fn new_session(&self) -> SessionId {
        SessionId(Uuid::now_v7())
    }
}

/// Returns once the wall has reached `at`. Timers count running time only, so the wall is looked at
/// again and again.
async fn reaches(at: Timestamp, wall: impl Fn() -> Timestamp + Send) {
    loop {
        let left = at.since_ms(wall());
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(left.min(limits::WALL_LOOK_MS))).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    /// A wall that shows one of these at each look, the last from then on.
    fn showing(walls: [i64; 3]) -> (impl Fn() -> Timestamp + Send, Arc<AtomicUsize>) {
        let looks = Arc::new(AtomicUsize::new(0));
        let looked = Arc::clone(&looks);
        (move || Timestamp(walls[looked.fetch_add(1, SeqCst).min(2)]), looks)
    }

    #[tokio::test]
    async fn a_wall_set_forwards_is_seen_within_a_look_and_one_set_back_lengthens_the_wait() {
        let hour = 3_600_000;
        let began = SystemClock.running();
        let (wall, _) = showing([0, hour, hour]);
        reaches(Timestamp(hour), wall).await;
        let took = SystemClock.running().since_ms(began);
        assert!((limits::WALL_LOOK_MS..hour as u64 / 2).contains(&took), "{took}");
        let (wall, looks) = showing([0, -hour, 20]);
        reaches(Timestamp(20), wall).await;
        assert_eq!(looks.load(SeqCst), 3, "it looked again when the wall had been set back");
    }

    #[tokio::test]
    async fn running_time_is_what_a_wait_for_a_while_takes() {
        let began = SystemClock.running();
        SystemClock.after(20).await;
        assert!(SystemClock.running().since_ms(began) >= 20);
    }

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
