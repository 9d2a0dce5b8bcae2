//! The thread that forks hosts and hands them orders. It lives as long as custody does, for hosts
//! die with the thread that forked them; a pool's thread would take them along whenever the pool
//! had nothing to do.

use std::{
    io,
    os::fd::AsFd as _,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
};

use greenroom_actors::limits;
use tracing::warn;

use super::{
    host::{self, Host, Parcel},
    init,
    make::Bounds,
    record::Step,
    sys,
};

/// Where orders are left.
#[derive(Debug)]
pub(super) struct Office {
    orders: Option<SyncSender<Parcel>>,
    thread: Option<JoinHandle<()>>,
}

/// An order that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Too many wait.
    #[error("start a process: {} others wait to be started", limits::TOOL_ORDERS)]
    Busy,
    /// Too many run.
    #[error("start a process: as many run already as this runtime may have at once")]
    Full,
    /// There is no host, and none can be had.
    #[error("start a process: custody has ended")]
    Closed,
}

impl Office {
    pub(super) fn open(bounds: Bounds) -> io::Result<Self> {
        let (orders, waiting) = sync_channel(limits::TOOL_ORDERS);
        let (ready, first) = sync_channel(1);
        let thread = std::thread::Builder::new().name("custody".to_owned()).spawn(move || {
            let host = Host::start(&bounds);
            // Whoever opens waits for this word, so somebody hears it.
            sys::regardless(ready.send(host.as_ref().map(|_| ()).map_err(io::Error::kind)));
            if let Ok(host) = host {
                hand_over(host, &bounds, &waiting);
            }
        })?;
        let office = Self { orders: Some(orders), thread: Some(thread) };
        match first.recv() {
            Ok(Ok(())) => Ok(office),
            Ok(Err(kind)) => Err(kind.into()),
            Err(_gone) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub(super) fn leave(&self, parcel: Parcel) -> Result<(), Refused> {
        let orders = self.orders.as_ref().ok_or(Refused::Closed)?;
        orders.try_send(parcel).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Disconnected(_) => Refused::Closed,
        })
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.orders = None;
        // A thread that panicked has said so.
        sys::regardless(self.thread.take().map(JoinHandle::join));
    }
}

/// Who waits for a parcel that cannot be sent hears why, or, once it is dropped, that its socket closed.
fn hand_over(mut host: Host, bounds: &Bounds, waiting: &Receiver<Parcel>) {
    while let Ok(parcel) = waiting.recv() {
        let Err(error) = host.send(&parcel) else { continue };
        warn!(pid = host.pid.as_raw_pid(), %error, "the host of tools is gone, another is started");
        let Ok(next) = Host::start(bounds) else { break };
        std::mem::replace(&mut host, next).end();
        if let Err(error) = host.send(&parcel) {
            warn!(%error, "the new host of tools takes no order");
            init::say(parcel.socket.as_fd(), host::failed(Step::Handover, error));
        }
    }
    host.end();
}
