//! What a session's inbox does to a warning.

use ractor::ActorProcessingErr;

use super::*;
use crate::{
    domain::{
        budget::Dimension,
        ids::Assignment,
        outcome::{ChildOutcome, ChildReport},
        usage::Usage,
    },
    protocol::{
        session::{Doors, Entry, Mail, SessionMsg, Shut},
        wing::{Wings, refuse},
    },
};

/// A session that answers every order as it was told to.
struct Stub(Option<Rejected>);

impl Actor for Stub {
    type Msg = SessionMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<SessionMsg>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<SessionMsg>,
        message: SessionMsg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let SessionMsg::Request(counted) = message else { return Ok(()) };
        match (&self.0, counted.body) {
            (Some(rejected), body) => refuse(body, rejected.clone()),
            (None, Request::Order { reply, .. }) => reply.send(Ok(())).expect("somebody listens"),
            (None, other) => panic!("{other:?}"),
        }
        Ok(())
    }
}

async fn board(answer: Option<Rejected>) -> (Switchboard, Doors, SessionId) {
    let (board, doors) = (Switchboard::new(Wings(Arc::from([]))), Doors::new());
    let session = SessionId(uuid::Uuid::from_u128(7));
    let (actor, _) = Actor::spawn(None, Stub(answer), ()).await.unwrap();
    board.enter(session, Entry { actor, doors: doors.clone() });
    (board, doors, session)
}

const fn warning(account: SessionId) -> Warning {
    Warning { account, dimension: Dimension::Tokens, spent: 80, limit: 100 }
}

#[tokio::test]
async fn a_warning_at_a_full_inbox_is_not_heard_and_one_with_room_is() {
    let (board, doors, session) = board(None).await;
    let inside: Vec<_> = (0..limits::INBOX).map(|_| doors.request().unwrap()).collect();
    assert!(!warn(board.clone(), warning(session)).await, "full");
    drop(inside);
    assert!(warn(board, warning(session)).await);
}

#[tokio::test]
async fn mail_at_a_full_door_is_dropped_and_the_door_for_requests_stays_open() {
    let (board, doors, session) = board(None).await;
    let inside: Vec<_> = (0..limits::MAIL).map(|_| doors.mail().unwrap()).collect();
    assert_eq!(doors.mail().err(), Some(Shut::Full));
    let report = ChildReport {
        outcome: ChildOutcome::Quarantined { reason: "r".to_owned(), stopped: false },
        usage: Usage::default(),
    };
    let assignment = Assignment(1);
    board.mail(session, Mail::Report { child: session, assignment, report: Box::new(report) });
    assert_eq!(doors.depth(), limits::MAIL as usize, "its sender says it again");
    assert!(warn(board, warning(session)).await, "requests have a door of their own");
    drop(inside);
    assert!(doors.mail().is_ok());
}

#[tokio::test]
async fn a_warning_that_died_with_its_session_is_not_heard() {
    let (board, _, session) = board(None).await;
    board.entry(session).unwrap().actor.stop_and_wait(None, None).await.unwrap();
    // Nobody is there to wake it either: the message goes, and its reply port with it.
    assert!(!warn(board, warning(session)).await);
}

#[tokio::test]
async fn a_session_that_takes_nothing_more_is_not_warned_for_ever() {
    let damaged = Rejected::Quarantined { reason: "damaged".to_owned() };
    for (answer, heard) in [(damaged, true), (Rejected::NotOpened, true), (Rejected::Busy, false)] {
        let (board, _, session) = board(Some(answer.clone())).await;
        assert_eq!(warn(board, warning(session)).await, heard, "{answer}");
    }
}
