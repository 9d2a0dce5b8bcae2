//! How often somebody may ask: a bucket for each token and each address, that fills by the second. It
//! refuses with a word on when to come again; it never makes anybody wait.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicUsize, Ordering},
};

use dashmap::DashMap;
use greenroom_actors::domain::ids::Timestamp;

/// Requests a second that one token may make: a page with a thousand rows asks for tens, a program that
/// drives sessions for hundreds.
pub(super) const PER_SECOND: u32 = 500;
/// For a moment it may be so many times that.
const BURST: u32 = 4;
/// Addresses that are remembered; the emptiest bucket is the newest, so those forgotten are full ones.
const BUCKETS: usize = 10_000;
/// Streams that one token may hold open at once: each costs a cursor and a place in a listener's queue.
pub(super) const STREAMS: usize = 2_000;

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Token(u32),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of a request.
    left: u64,
    at: Timestamp,
}

/// The buckets.
#[derive(Debug)]
pub(super) struct Rates {
    per_second: u32,
    buckets: DashMap<Who, Bucket>,
    streams: DashMap<u32, AtomicUsize>,
}

impl Rates {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), buckets: DashMap::new(), streams: DashMap::new() }
    }

    /// Takes one request of an address; the seconds until there is another where there is none.
    pub(super) fn address(&self, address: IpAddr, now: Timestamp) -> Result<(), u64> {
        self.take(Who::Address(network(address)), now)
    }

    /// The same of a token.
    pub(super) fn token(&self, no: u32, now: Timestamp) -> Result<(), u64> {
        self.take(Who::Token(no), now)
    }

    fn take(&self, who: Who, now: Timestamp) -> Result<(), u64> {
        let rate = u64::from(self.per_second);
        let full = rate * u64::from(BURST) * 1_000;
        if self.buckets.len() >= BUCKETS && !self.buckets.contains_key(&who) {
            // Those that have filled up again count as if they had never been there.
            self.buckets.retain(|_who, bucket| bucket.left + now.since_ms(bucket.at) * rate < full);
        }
        let mut bucket = self.buckets.entry(who).or_insert(Bucket { left: full, at: now });
        let filled = now.since_ms(bucket.at).saturating_mul(rate);
        bucket.left = bucket.left.saturating_add(filled).min(full);
        bucket.at = now;
        match bucket.left.checked_sub(1_000) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            None => Err(((1_000 - bucket.left).div_ceil(rate)).div_ceil(1_000).max(1)),
        }
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

/// Whom an address stands for: one customer has 2^64 addresses of the newer kind.
fn network(address: IpAddr) -> IpAddr {
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
