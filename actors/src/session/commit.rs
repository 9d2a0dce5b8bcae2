//! From events to a frame in the log, and from the journal's answer to what follows.

use std::sync::Arc;

use crate::{
    bus::{Frame, Note},
    domain::{
        event::Event,
        ids::{AgentName, Position},
    },
    fault,
    log::Trouble,
    owned::{Ended, Owned},
    policy::{
        catalog,
        turn::{Effect, is_progress},
    },
    protocol::{
        address::tell,
        session::SessionMsg,
        wing::{Alarm, WingMsg},
    },
};

use super::{
    left,
    live::{Answering, Cause, Flight, Live},
};

impl Live {
    pub(super) fn commit(
        &mut self,
        events: Vec<Event>,
        effects: Vec<Effect>,
        answer: Answering,
        Cause { by, caused_by, permit, at }: Cause,
    ) {
        fault::point("input.before_append");
        let position = self.writer.tail.next();
        let changes = catalog::changes(&self.state, &self.writer.tenant, position, &events);
        let append = match self.writer.frame(&events, changes, caused_by, at) {
            Ok(mut append) => {
                // The log says who wanted what it holds, and not only who opened the session.
                append.envelope.principal = by.clone();
                append
            }
            Err(error) => {
                // Everything that comes from outside was measured at the door, so this is a bug,
                // and the state has moved: the log is the truth, so start again from it.
                std::panic::resume_unwind(Box::new(format!("write a frame: {error}")));
            }
        };
        fault::point("append.before_send");
        // It answers in time, or as unavailable: then whether the frame is in the log is not known,
        // and the next owner will find out.
        let write = self.house.journal.append(append);
        let myself = self.myself.clone();
        let task = Owned::watched(write, move |ended| {
            let result = match ended {
                Ended::Value(result) => result.map_err(Trouble::from),
                Ended::Panicked(why) => Err(Trouble::Poisoned(why)),
                Ended::Aborted => return,
            };
            // The session has gone: its successor reads the frame from the log.
            tell(&myself, SessionMsg::Appended(result));
        });
        self.flight = Some(Flight {
            _task: task,
            events: events.into(),
            by,
            at,
            effects,
            answer,
            _permit: permit,
        });
    }

    pub(super) fn appended(&mut self, result: Result<Position, Trouble>) {
        let Some(flight) = self.flight.take() else { return };
        let position = match result {
            Ok(position) => position,
            Err(error) => return self.append_failed(&error),
        };
        fault::point("append.acknowledged");
        self.writer.committed(position);
        self.doors.say(self.state.status());
        self.tell_frame(position, &flight);
        let progress = flight.events.iter().any(is_progress);
        self.answer(flight.answer);
        self.behalf = flight.by;
        self.perform_all(flight.effects);
        // The first frame after a recovery is written: whatever killed it before, this worked.
        self.settled();
        if progress {
            self.progressed();
        }
    }

    /// Tells whoever listens of a frame; made for nobody it would be two texts copied for each.
    fn tell_frame(&self, position: Position, flight: &Flight) {
        let session = self.state.session;
        if !self.house.bus.is_heard(session) {
            return;
        }
        let agent = self.state.agent().map(|agent| agent.name.clone());
        self.house.bus.publish(Note::Frame(Frame {
            session,
            agent: agent.unwrap_or_else(|| AgentName::from("")),
            tenant: self.writer.tenant.clone(),
            position,
            token: self.writer.token,
            principal: flight.by.clone(),
            at: flight.at,
            events: Arc::clone(&flight.events),
        }));
    }

    pub(super) fn append_failed(&mut self, trouble: &Trouble) {
        tracing::warn!(session = %self.state.session, error = %trouble, "append failed");
        let reason = match trouble {
            Trouble::Fenced => left::FENCED,
            Trouble::Unavailable(_) => left::SUSPENDED,
            Trouble::Poisoned(why) => {
                self.house.alarm.send(Alarm::Poisoned { why: why.clone() });
                left::SUSPENDED
            }
            Trouble::Damaged(why) => {
                let (session, reason) = (self.state.session, why.clone());
                self.house.board.to_wing(session, WingMsg::Quarantined { session, reason });
                left::DAMAGED
            }
        };
        self.stop(reason);
    }

    pub(super) fn settled(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let session = self.state.session;
        let restart = self.state.agent().map(|agent| agent.restart).unwrap_or_default();
        let performs = self.state.quarantined.is_none();
        self.house.board.to_wing(session, WingMsg::Settled { session, restart, performs });
    }

    fn progressed(&mut self) {
        if !std::mem::replace(&mut self.progressed, true) {
            let session = self.state.session;
            self.house.board.to_wing(session, WingMsg::Progressed { session });
        }
    }
}
