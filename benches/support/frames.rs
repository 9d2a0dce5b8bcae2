//! The frames of one turn, as the runtime wrote them, and the store alone under them: what stands
//! between the bare loop and the runtime is then told apart, the store's part from the actors'.

use std::{path::Path, sync::Arc};

use greenroom::{
    Runtime,
    store::{Store, StoreOptions},
};
use greenroom_actors::{
    domain::{
        catalog::Change,
        frame::{self, LogId},
        ids::{Position, SessionId, Token},
    },
    policy::{
        catalog,
        turn::{self, State},
    },
    ports::{Append, Journal as _},
};
use uuid::Uuid;

/// The frames of a session's last turn, of so many equal ones, with what they did to the catalog.
pub async fn last_turn(runtime: &Runtime, session: SessionId, turns: usize) -> Vec<Append> {
    let mut state = State::new(session);
    let mut all = Vec::new();
    for decoded in runtime.read(session, Position(0)).await.expect("it reads") {
        let (envelope, events) = (decoded.envelope, decoded.events);
        turn::fold(&mut state, &events, envelope.at).expect("it folds");
        let changes = catalog::changes(&state, &envelope.tenant, envelope.position, &events);
        let body = frame::encode(&events).expect("it fits");
        all.push(Append { envelope, body, changes, begins: false });
    }
    let opening = 1;
    let frames = (all.len() - opening) / turns;
    all.split_off(all.len() - frames)
}

/// A store without a runtime.
pub struct Alone {
    store: Store,
}

impl Alone {
    pub fn open(path: &Path) -> Self {
        Self { store: Store::open(path, StoreOptions::default()).expect("it opens") }
    }

    /// A new log and its owner's token.
    pub async fn claim(&self, no: u128) -> (SessionId, Token) {
        let session = SessionId(Uuid::from_u128(no));
        let claim = self.store.claim(LogId::session(session)).await.expect("it is new");
        (session, claim.token)
    }

    /// Writes a frame as that log's next one.
    pub async fn append(&self, (session, token): (SessionId, Token), at: u64, frame: &Append) {
        let mut append = frame.clone();
        append.envelope.log = LogId::session(session);
        append.envelope.position = Position(at);
        append.envelope.token = token;
        for change in &mut append.changes {
            if let Change::Session(row) = change {
                row.session = session;
                row.position = Position(at);
            }
        }
        self.store.append(append).await.expect("it is appended");
    }
}

/// The same frames for whoever needs to share them.
pub fn shared(frames: Vec<Append>) -> Arc<[Arc<Append>]> {
    frames.into_iter().map(Arc::new).collect()
}
