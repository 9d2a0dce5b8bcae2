//! What everybody of the kill driver shares: where the server is and whether it runs, what was promised
//! to somebody by a 2xx or by an id on a stream, and how to ask for the same thing until there is an
//! answer. It judges one thing only, for nobody else could: that a reader is given 1, 2, 3 and so on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use greenroom_actors::testing::harness::bounded;
use serde_json::Value;
use tokio::sync::watch;

use crate::client::{Client, Event, Reply};

/// What a 2xx said.
#[derive(Clone, Debug)]
pub enum Promise {
    Opened { session: String },
    Said { session: String, key: String },
    Decided { session: String, no: u64, answer: &'static str },
    Forked { from: String, at: u64, fork: String },
    Renamed { session: String, name: String },
    Cancelled { session: String, reason: String },
    Asked { name: String, job: String },
}

/// What was promised so far.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    pub all: Vec<Promise>,
    /// What readers were given of each session, over all their streams, the first frame first.
    pub frames: BTreeMap<String, Vec<Value>>,
}

pub struct Town {
    pub client: Client,
    /// The server that listens, by its number.
    running: watch::Sender<Option<u32>>,
    /// Nothing new is to be begun.
    over: watch::Sender<bool>,
    /// How often somebody saw something.
    sights: watch::Sender<u64>,
    promises: Mutex<Promises>,
}

impl Town {
    pub fn new(client: Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            running: watch::Sender::new(None),
            over: watch::Sender::new(false),
            sights: watch::Sender::new(0),
            promises: Mutex::default(),
        })
    }

    pub fn runs(&self, server: Option<u32>) {
        self.running.send_replace(server);
    }

    pub fn ends(&self) {
        self.over.send_replace(true);
    }

    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    pub fn promises(&self) -> Promises {
        self.promises.lock().unwrap().clone()
    }

    pub fn promised(&self, promise: Promise) {
        self.promises.lock().unwrap().all.push(promise);
        self.seen();
    }

    fn seen(&self) {
        self.sights.send_modify(|sights| *sights += 1);
    }

    /// Returns when so much more was seen.
    pub async fn sights(&self, more: u64) {
        let mut sights = self.sights.subscribe();
        let enough = *sights.borrow() + more;
        sights.wait_for(|sights| *sights >= enough).await.unwrap();
    }

    /// A frame on a reader's stream; how many that reader has now.
    pub fn reads(&self, session: &str, event: &Event) -> u64 {
        let mut promises = self.promises.lock().unwrap();
        let frames = promises.frames.entry(session.to_owned()).or_default();
        let next = frames.len() as u64 + 1;
        assert_eq!(event.id, Some(next), "a gap, or one twice, in {session}: {event:?}");
        frames.push(event.data.clone());
        drop(promises);
        self.seen();
        next
    }

    /// The number of the server that listens, once one does.
    pub async fn server(&self) -> u32 {
        let mut running = self.running.subscribe();
        let found = bounded("a server", running.wait_for(Option::is_some)).await.unwrap();
        found.unwrap()
    }

    /// Returns when another one than this listens.
    pub async fn after(&self, gone: u32) {
        let mut running = self.running.subscribe();
        let is_other = |now: &Option<u32>| now.is_some_and(|now| now != gone);
        drop(bounded("the next server", running.wait_for(is_other)).await.unwrap());
    }

    /// Asks until there is an answer, of whichever server: the same request every time.
    pub async fn insist(
        &self,
        (method, path): (&str, &str),
        key: Option<&str>,
        body: &Value,
    ) -> Reply {
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        let body = if method == "GET" { String::new() } else { body.to_string() };
        loop {
            let server = self.server().await;
            let asked = self.client.attempt(method, path, &headers, body.as_bytes());
            match asked.await {
                // Not now, or no end of a turn yet, which is all that a look is in conflict with here.
                Some(reply)
                    if [429, 503, 504].contains(&reply.status)
                        || (method == "GET" && reply.status == 409) =>
                {
                    self.seen();
                    greenroom::app::clock().after(20).await;
                }
                Some(reply) => return reply,
                None => self.after(server).await,
            }
        }
    }
}
