//! Who compares: it opens the store's file and nothing else, and holds what clients were promised against
//! it. It asks no server and repairs nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use greenroom_actors::{
    domain::{
        catalog::{SessionFilter, SessionRow, Status, Totals, TotalsOf},
        ids::Position,
        job::{JobFilter, JobRow},
    },
    runtime::Reading,
};
use serde_json::{Value, json};

use super::town::{Promise, Promises};

/// Jobs that are looked at: more than a run asks for.
const JOBS: usize = 500;

pub struct Observer {
    reading: Reading,
    logs: BTreeMap<String, Vec<Value>>,
    jobs: Vec<JobRow>,
}

impl Observer {
    /// Opens the file, beside a server or without one.
    pub async fn of(store: &Path) -> Self {
        let reading = greenroom::app::look(store).unwrap();
        let jobs = reading.jobs(JobFilter { rows: JOBS, ..JobFilter::default() }).await.unwrap();
        assert!(jobs.len() < JOBS, "{} jobs: more than are looked at", jobs.len());
        Self { reading, logs: BTreeMap::new(), jobs }
    }

    /// A session's log as it stands on the wire.
    async fn log(&mut self, session: &str) -> &[Value] {
        if !self.logs.contains_key(session) {
            let frames = self.reading.read(session.parse().unwrap(), Position(0)).await.unwrap();
            let wire = frames.into_iter().map(|frame| {
                json!({
                    "session": session,
                    "position": frame.envelope.position,
                    "at": frame.envelope.at,
                    "token": frame.envelope.token,
                    "principal": frame.envelope.principal,
                    "events": frame.events,
                })
            });
            self.logs.insert(session.to_owned(), wire.collect());
        }
        &self.logs[session]
    }

    /// The events of a kind in a session's log.
    async fn events(&mut self, session: &str, kind: &str) -> Vec<Value> {
        let frames = self.log(session).await.iter();
        let events = frames.flat_map(|frame| frame["events"].as_array().unwrap());
        events.filter(|event| event["type"] == kind).cloned().collect()
    }

    /// Panics unless everything that was promised is in the log, and what is kept of all sessions is what
    /// counting them gives. Nobody may work on the store.
    pub async fn holds(&mut self, promises: &Promises) {
        self.figures().await;
        for promise in &promises.all {
            assert!(self.is_kept(promise).await, "promised and not kept: {promise:?}");
        }
        for (session, given) in &promises.frames {
            let log = self.log(session).await;
            assert!(given.len() <= log.len(), "{session}: a reader has frames that no log has");
            for (given, logged) in given.iter().zip(log) {
                assert_eq!(
                    given, logged,
                    "{session}: what a reader was given is not what is logged"
                );
            }
        }
    }

    async fn figures(&self) {
        let filter = SessionFilter { archived: true, ..SessionFilter::default() };
        let rows = self.reading.all_sessions(filter).await.unwrap();
        let mut counted = BTreeMap::new();
        for row in &rows {
            let place = (row.agent.to_string(), row.status, row.waits());
            let (sessions, restarts): &mut (u64, u64) = counted.entry(place).or_default();
            *sessions += 1;
            *restarts += row.restarts;
        }
        let census = self.reading.census(None).await.unwrap();
        let kept = census.into_iter().map(|one| {
            ((one.agent.to_string(), one.status, one.waits), (one.sessions, one.restarts))
        });
        assert_eq!(kept.collect::<BTreeMap<_, _>>(), counted);
        let roots = rows.iter().map(|row| row.root).collect::<BTreeSet<_>>();
        let mut booked = Totals::default();
        for account in self.reading.accounts(roots.into_iter().collect(), rows.len()).await.unwrap()
        {
            booked += account.own;
        }
        assert_eq!(self.reading.totals(TotalsOf::Runtime).await.unwrap(), booked);
    }

    async fn is_kept(&mut self, promise: &Promise) -> bool {
        match promise {
            Promise::Opened { session } => self.events(session, "session_opened").await.len() == 1,
            Promise::Said { session, key } => {
                let heard = self.events(session, "input_accepted").await;
                heard.iter().filter(|event| event["key"] == key.as_str()).count() == 1
            }
            Promise::Decided { session, no, answer } => {
                let kind = if *answer == "no" { "reject" } else { answer };
                let decided = self.events(session, "approval_decided").await;
                let of: Vec<_> = decided.iter().filter(|event| event["no"] == *no).collect();
                of.len() == 1 && of[0]["answer"]["kind"] == kind
            }
            Promise::Forked { from, at, fork } => {
                let point = json!({ "session": from, "at": at });
                let opened = self.events(fork, "session_opened").await;
                opened.len() == 1 && opened[0]["fork"] == point
            }
            Promise::Renamed { session, name } => {
                let renamed = self.events(session, "session_renamed").await;
                renamed.iter().any(|event| event["name"] == name.as_str())
            }
            Promise::Cancelled { session, reason } => {
                let cancelled = self.events(session, "cancel_requested").await;
                cancelled.iter().any(|event| event["reason"] == reason.as_str())
            }
            Promise::Asked { name, job } => {
                let found: Vec<_> = self.jobs.iter().filter(|row| row.name == *name).collect();
                found.len() == 1 && found[0].job.to_string() == *job
            }
        }
    }

    async fn rows(&self) -> Vec<SessionRow> {
        self.reading.all_sessions(SessionFilter::default()).await.unwrap()
    }

    /// What still has work in hand; nothing when everything has ended.
    pub async fn at_work(&self) -> Vec<String> {
        let rows = self.rows().await.into_iter().filter(|row| row.status != Status::Idle);
        let mut at_work: Vec<_> = rows.map(|row| format!("{row:?}")).collect();
        let jobs = self.jobs.iter().filter(|row| row.ended_at.is_none());
        at_work.extend(jobs.map(|row| format!("{row:?}")));
        at_work
    }

    /// How many frames each session has that was opened or forked.
    pub async fn ends(&mut self, promises: &Promises) -> BTreeMap<String, usize> {
        let mut ends = BTreeMap::new();
        for promise in &promises.all {
            if let Promise::Opened { session } | Promise::Forked { fork: session, .. } = promise {
                ends.insert(session.clone(), self.log(session).await.len());
            }
        }
        ends
    }

    /// Panics where the store has something that nobody asked for, or has it twice: everything was asked
    /// for until it was promised, so what was promised is all there is.
    pub async fn has_nothing_else(&mut self, promises: &Promises) {
        let (mut roots, mut keys, mut names) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for promise in &promises.all {
            match promise {
                Promise::Opened { session: root } | Promise::Forked { fork: root, .. } => {
                    roots.insert(root.clone());
                }
                Promise::Said { session, key } => {
                    keys.insert((session.clone(), key.clone()));
                }
                Promise::Asked { name, .. } => {
                    names.insert(name.clone());
                }
                Promise::Decided { .. } | Promise::Renamed { .. } | Promise::Cancelled { .. } => {}
            }
        }
        assert_eq!(self.jobs.len(), names.len(), "jobs that nobody asked for");
        for row in &self.jobs {
            assert_eq!((row.state.word(), row.attempt), ("completed", 1), "{row:?}");
            roots.insert(row.session.unwrap().to_string());
        }
        let found = self.rows().await.into_iter().filter(|row| row.parent.is_none());
        let found: BTreeSet<_> = found.map(|row| row.session.to_string()).collect();
        assert_eq!(found, roots, "sessions that nobody opened");
        let spoken: BTreeSet<String> = keys.iter().map(|(session, _)| session.clone()).collect();
        for session in spoken {
            for event in self.events(&session, "input_accepted").await {
                let key = event["key"].as_str().unwrap().to_owned();
                assert!(keys.remove(&(session.clone(), key)), "said by nobody: {event}");
            }
        }
        assert!(keys.is_empty(), "never heard: {keys:?}");
    }
}
