//! Who is awake: the one shared map. Many read it on every send; the wing of a session writes its
//! entry. Nothing is decided here, and no guard is held across a line.

use std::sync::Arc;

use dashmap::DashMap;
use ractor::ActorId;

use crate::{
    domain::{catalog::AwakeFigures, ids::SessionId},
    policy::turn::Rejected,
    protocol::{
        session::{Counted, Entry, Mail, Request, SessionMsg, Shut},
        wing::{Delivery, WingMsg, Wings, number, refuse},
    },
};

/// The way to every session, awake or asleep.
#[derive(Clone, Debug)]
pub(crate) struct Switchboard {
    awake: Arc<DashMap<SessionId, Entry>>,
    wings: Wings,
}

impl Switchboard {
    pub(crate) fn new(wings: Wings) -> Self {
        Self { awake: Arc::default(), wings }
    }

    /// Hands a request over. A session with too many inside refuses at once.
    pub(crate) fn request(&self, to: SessionId, request: Request) {
        let entry = self.awake.get(&to).map(|entry| entry.value().clone());
        let Some(entry) = entry else { return self.wake_with_request(to, request) };
        match entry.doors.request() {
            Ok(permit) => {
                let counted = Box::new(Counted { body: request, permit });
                if let Err(ractor::MessagingErr::SendErr(SessionMsg::Request(back))) =
                    entry.actor.cast(SessionMsg::Request(counted))
                {
                    self.wake_with_request(to, back.body);
                }
            }
            Err(Shut::Full) => refuse(request, Rejected::Busy),
            Err(Shut::Closed) => self.wake_with_request(to, request),
        }
    }

    /// Hands mail over. Mail that is lost on the way is sent again by whoever waits for its effect.
    pub(crate) fn mail(&self, to: SessionId, mail: Mail) {
        let entry = self.awake.get(&to).map(|entry| entry.value().clone());
        if let Some(entry) = entry {
            match entry.doors.mail() {
                Ok(permit) => {
                    let body = mail.clone();
                    let counted = Box::new(Counted { body, permit });
                    if entry.actor.cast(SessionMsg::Mail(counted)).is_ok() {
                        return;
                    }
                }
                // So much mail is under way that a sweep will bring this again soon enough.
                Err(Shut::Full) => return,
                Err(Shut::Closed) => {}
            }
        }
        let delivery = Delivery::Mail(Box::new(mail));
        self.to_wing(to, WingMsg::Deliver { session: to, delivery });
    }

    /// Wakes a session.
    pub(crate) fn wake(&self, session: SessionId) {
        if !self.awake.contains_key(&session) {
            self.to_wing(session, WingMsg::Wake { session });
        }
    }

    fn wake_with_request(&self, to: SessionId, request: Request) {
        let delivery = Delivery::Request(Box::new(request));
        self.to_wing(to, WingMsg::Deliver { session: to, delivery });
    }

    /// Tells a session's wing. A wing that is starting again drops it: whoever asked sees the
    /// reply port close, and asks again.
    pub(crate) fn to_wing(&self, session: SessionId, message: WingMsg) {
        if let Some(wing) = self.wings.of(session) {
            let _ = wing.cast(message);
        }
    }

    pub(crate) fn entry(&self, session: SessionId) -> Option<Entry> {
        self.awake.get(&session).map(|entry| entry.value().clone())
    }

    pub(crate) fn enter(&self, session: SessionId, entry: Entry) {
        self.awake.insert(session, entry);
    }

    /// Takes an entry out, but only that very incarnation's.
    pub(crate) fn leave(&self, session: SessionId, actor: ActorId) {
        self.awake.remove_if(&session, |_, entry| entry.actor.get_id() == actor);
    }

    /// Takes out all entries of a wing that died; nobody else reports its sessions.
    pub(crate) fn sweep(&self, wing: usize, wings: usize) -> usize {
        let before = self.awake.len();
        self.awake.retain(|session, _| number(*session, wings) != wing);
        before.saturating_sub(self.awake.len())
    }

    /// How many are awake.
    pub(crate) fn len(&self) -> usize {
        self.awake.len()
    }

    /// What those in memory do, and how full their mailboxes are.
    pub(crate) fn figures(&self) -> AwakeFigures {
        let mut figures = AwakeFigures::default();
        for entry in self.awake.iter() {
            figures.all += 1;
            if let Some(doing) = entry.doors.said() {
                *figures.doing.entry(doing).or_default() += 1;
            }
            let depth = entry.doors.depth();
            figures.inbox_sum += depth;
            figures.inbox_max = figures.inbox_max.max(depth);
        }
        figures
    }

    /// How many messages wait in a session's mailbox; `None` when it is asleep.
    pub(crate) fn depth(&self, session: SessionId) -> Option<usize> {
        self.awake.get(&session).map(|entry| entry.doors.depth())
    }
}
