//! Lines that are written anew where the catalog fell behind its logs, and no further than those say.

use crate::{
    domain::{
        catalog::Change,
        frame::LogId,
        ids::{Position, SessionId},
        job::{JobId, JobRow},
    },
    ports::{AppendError, JournalError},
};

use super::State;

impl State {
    /// Whether the catalog can be brought up to a frame of a log.
    fn stands_at(&self, log: LogId, upto: Position) -> Result<(), AppendError> {
        if self.blind {
            let why = "the catalog fails".to_owned();
            return Err(JournalError::Unavailable { why }.into());
        }
        let (tail, token) =
            self.logs.get(&log).map(|log| (log.tail, log.token)).unwrap_or_default();
        if tail != upto {
            return Err(AppendError::Fenced { expected: upto, tail, token });
        }
        Ok(())
    }

    pub(super) fn replace_job(
        &mut self,
        job: JobId,
        upto: Position,
        row: Box<JobRow>,
    ) -> Result<Position, AppendError> {
        let log = LogId::job(job);
        self.stands_at(log, upto)?;
        self.rows.follow(log, vec![Change::Job(row)]);
        self.stale_jobs.remove(&job);
        Ok(upto)
    }

    pub(super) fn replace(
        &mut self,
        session: SessionId,
        upto: Position,
        changes: Vec<Change>,
    ) -> Result<Position, AppendError> {
        let log = LogId::session(session);
        self.stands_at(log, upto)?;
        self.rows.forget(session);
        self.rows.follow(log, changes);
        self.stale.remove(&session);
        Ok(upto)
    }
}
