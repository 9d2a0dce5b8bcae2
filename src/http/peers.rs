//! How many connections each address holds. This machine's own are not counted: whoever can call from
//! here can do worse. Of others none may take so many that there is no place left for the rest.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::rates::network;

/// One address may hold one of so many places.
const SHARE: usize = 4;

/// Who is connected.
#[derive(Debug)]
pub(super) struct Peers {
    each: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that counts for as long as it is open.
#[derive(Debug)]
pub(super) struct Entered {
    peers: Arc<Peers>,
    from: Option<IpAddr>,
}

impl Peers {
    /// Nobody is connected yet, and there are so many places in all.
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { each: (places / SHARE).max(1), open: Mutex::default() })
    }

    fn with<T>(&self, see: impl FnOnce(&mut HashMap<IpAddr, usize>) -> T) -> T {
        see(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One more connection of an address, unless it holds its share.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Entered> {
        let is_own = address.to_canonical().is_loopback();
        let from = (!is_own).then(|| network(address));
        let is_let_in = from.is_none_or(|from| {
            self.with(|open| {
                let held = open.entry(from).or_default();
                let is_let_in = *held < self.each;
                *held += usize::from(is_let_in);
                is_let_in
            })
        });
        is_let_in.then(|| Entered { peers: Arc::clone(self), from })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(from) = self.from else { return };
        self.peers.with(|open| {
            if let Some(held) = open.get_mut(&from) {
                *held -= 1;
                if *held == 0 {
                    open.remove(&from);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_its_share_of_the_places_and_this_machine_as_many_as_it_likes() {
        let peers = Peers::new(12);
        let enter = |address: &str| peers.enter(address.parse().unwrap());
        let mut held: Vec<_> = (0..3).map(|_| enter("192.0.2.1").unwrap()).collect();
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("::ffff:192.0.2.1").is_none(), "the same address in other letters");
        assert!(enter("192.0.2.2").is_some(), "another has its own share");
        held.pop();
        assert!(enter("192.0.2.1").is_some(), "a place that was left is free again");
        drop(held);
        let own: Vec<_> = (0..100).flat_map(|_| [enter("127.0.0.1"), enter("::1")]).collect();
        assert!(own.iter().all(Option::is_some));
        assert!(peers.with(|open| open.is_empty()), "who has left is not remembered");
    }
}
