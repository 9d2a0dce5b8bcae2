//! How often somebody may ask: a bucket for each token and each address, that fills by the second. It
//! refuses with a word on when to come again; it never makes anybody wait.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use dashmap::DashMap;
use greenroom_actors::domain::ids::Timestamp;

/// Requests a second that one token may make: a page with a thousand rows asks for tens, a program that
/// drives sessions for hundreds.
pub(super) const PER_SECOND: u32 = 500;
/// For a moment it may be so many times that.
const BURST: u32 = 4;
/// Addresses in one generation. There are two: when the younger is full it becomes the older, and what
/// was older is forgotten as a whole, so that a new address costs the same however many there are. Who is
/// forgotten begins anew, after at least so many others have asked.
const BUCKETS: usize = 10_000;
/// Streams that one token may hold open at once: each costs a cursor and a place in a listener's queue.
pub(super) const STREAMS: usize = 2_000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of a request.
    left: u64,
    at: Timestamp,
}

/// Buckets of addresses.
#[derive(Debug, Default)]
struct Addresses {
    young: HashMap<IpAddr, Bucket>,
    old: HashMap<IpAddr, Bucket>,
}

/// The buckets.
#[derive(Debug)]
pub(super) struct Rates {
    per_second: u32,
    /// As many as there are tokens.
    tokens: DashMap<u32, Bucket>,
    addresses: Mutex<Addresses>,
    streams: DashMap<u32, AtomicUsize>,
}

impl Rates {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second: per_second.max(1),
            tokens: DashMap::new(),
            addresses: Mutex::default(),
            streams: DashMap::new(),
        }
    }

    /// Takes one request of an address; the seconds until there is another where there is none.
    pub(super) fn address(&self, address: IpAddr, now: Timestamp) -> Result<(), u64> {
        let full = self.full(now);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.bucket(network(address), full).take(self.per_second, now)
    }

    /// The same of a token.
    pub(super) fn token(&self, no: u32, now: Timestamp) -> Result<(), u64> {
        let full = self.full(now);
        self.tokens.entry(no).or_insert(full).take(self.per_second, now)
    }

    fn full(&self, now: Timestamp) -> Bucket {
        Bucket { left: Bucket::room(self.per_second), at: now }
    }

    /// One more stream of a token, unless it holds too many.
    pub(super) fn open_stream(&self, no: u32) -> bool {
        let open = self.streams.entry(no).or_default();
        let taken = open.fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| {
            (open < STREAMS).then_some(open + 1)
        });
        taken.is_ok()
    }

    /// One less.
    pub(super) fn close_stream(&self, no: u32) {
        if let Some(open) = self.streams.get(&no) {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Addresses {
    fn bucket(&mut self, address: IpAddr, full: Bucket) -> &mut Bucket {
        if !self.young.contains_key(&address) {
            let kept = self.old.remove(&address).unwrap_or(full);
            if self.young.len() >= BUCKETS {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(address, kept);
        }
        self.young.entry(address).or_insert(full)
    }
}

impl Bucket {
    fn room(per_second: u32) -> u64 {
        u64::from(per_second) * u64::from(BURST) * 1_000
    }

    fn take(&mut self, per_second: u32, now: Timestamp) -> Result<(), u64> {
        let rate = u64::from(per_second);
        let filled = now.since_ms(self.at).saturating_mul(rate);
        self.left = self.left.saturating_add(filled).min(Self::room(per_second));
        self.at = now;
        match self.left.checked_sub(1_000) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(((1_000 - self.left).div_ceil(rate)).div_ceil(1_000).max(1)),
        }
    }
}

/// Whom an address stands for: one customer has 2^64 addresses of the newer kind.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_and_fills_by_the_second() {
        let rates = Rates::new(10);
        let taken = |at: i64| (0..100).filter(|_| rates.token(0, Timestamp(at)).is_ok()).count();
        assert_eq!(taken(0), 40, "four seconds' worth at once");
        assert_eq!(rates.token(0, Timestamp(0)), Err(1));
        assert_eq!(taken(1_000), 10);
        assert_eq!(taken(1_000_000), 40, "no more is saved up than that");
        assert!(rates.token(1, Timestamp(1_000_000)).is_ok(), "another token has its own");
    }

    #[test]
    fn addresses_without_number_take_no_room_without_bound_and_free_nobody_at_once() {
        let rates = Rates::new(1);
        let now = Timestamp(0);
        let busy: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!((0..9).filter(|_| rates.address(busy, now).is_ok()).count(), 4);
        let others = (0..3 * BUCKETS as u32).map(|no| IpAddr::V4((0x0a00_0000 + no).into()));
        for (no, other) in others.enumerate() {
            assert_eq!(rates.address(other, now), Ok(()));
            if no + 1 == BUCKETS {
                assert_eq!(rates.address(busy, now), Err(1), "it is remembered for so many");
            }
        }
        let held = rates.addresses.lock().unwrap();
        assert!(held.young.len() <= BUCKETS && held.old.len() <= BUCKETS);
    }

    #[test]
    fn addresses_of_one_customer_are_counted_as_one() {
        let rates = Rates::new(1);
        let ask = |text: &str| rates.address(text.parse().unwrap(), Timestamp(0));
        for no in 0..4 {
            assert_eq!(ask(&format!("2001:db8::{no}")), Ok(()));
        }
        assert_eq!(ask("2001:db8::ffff"), Err(1));
        assert_eq!(ask("2001:db8:0:1::1"), Ok(()));
        for _ in 0..4 {
            assert_eq!(ask("192.0.2.1"), Ok(()));
        }
        assert_eq!(ask("::ffff:192.0.2.1"), Err(1), "the same address in other letters");
    }
}
