//! The outside client: keeps a number of jobs going through every death of the runtime. A job is
//! a session with an input or two; what is acknowledged is noted before anything follows from it,
//! and what is not is asked again under the same key.

use std::{collections::BTreeMap, io, path::Path};

use greenroom_actors::domain::{
    ids::{ApprovalId, InputKey, SessionId, ToolName},
    permission::Answer,
    tool::Args,
};

use super::{
    chance::Chance,
    control::{Open, Order, Promise, Reply, Said, Wish},
    load,
    wire::LineJournal,
};

/// Jobs going at once.
const JOBS: usize = 12;
/// How often the inbox is looked at.
const LOOK_MS: u64 = 20;

/// One piece of work for the runtime.
#[derive(Debug)]
struct Job {
    agent: &'static str,
    /// The session that it is a fork of.
    base: Option<SessionId>,
    session: Option<SessionId>,
    /// Inputs not yet accepted, next last.
    to_submit: Vec<InputKey>,
    /// Calls of its own, next last.
    to_invoke: Vec<(InputKey, ToolName)>,
    /// Accepted, not ended.
    owed: Vec<InputKey>,
    /// Whether it was found off the stage, and is to be let back.
    release: bool,
    /// When to cancel it, in ms of the run.
    cancel_at: Option<u64>,
    /// The order in flight that moves it on.
    asked: Option<u64>,
    /// Not before then, in ms of the run: it was refused a moment ago.
    not_before: u64,
}

impl Job {
    const fn is_over(&self) -> bool {
        let open = self.to_submit.is_empty() && self.to_invoke.is_empty() && self.owed.is_empty();
        self.session.is_some() && open
    }
}

/// What an order in flight is about.
#[derive(Debug)]
enum About {
    Job { job: u64, wish: Wish },
    Inbox,
    Cancel,
    Answered { approval: ApprovalId, answer: Answer },
    Other,
}

/// The client.
pub(crate) struct Client {
    journal: LineJournal,
    jobs: BTreeMap<u64, Job>,
    flying: BTreeMap<u64, About>,
    next_order: u64,
    next_job: u64,
    look_at: u64,
    chance: Chance,
    /// Whether new jobs are begun.
    pub(crate) busy: bool,
    /// Whether it always says yes and never changes its mind: for the control run.
    pub(crate) gentle: bool,
    /// Answers to orders of the driver's own.
    pub(crate) answers: BTreeMap<u64, Reply>,
    /// Refusals, in words, counted.
    pub(crate) refusals: BTreeMap<String, u64>,
    /// Jobs that ended.
    pub(crate) ended: u64,
    /// Cancels acknowledged.
    pub(crate) cancels: u64,
    /// Releases acknowledged.
    pub(crate) releases: u64,
    /// Sessions opened.
    pub(crate) roots: Vec<SessionId>,
    /// What went wrong.
    pub(crate) faults: Vec<String>,
    /// Whether the runtime serves.
    pub(crate) ready: bool,
    /// The order of its shutdown.
    pub(crate) bye: Option<Vec<String>>,
}

impl Client {
    /// A client with its journal.
    pub(crate) fn new(journal: &Path, seed: u64) -> io::Result<Self> {
        Ok(Self {
            journal: LineJournal::open(journal)?,
            jobs: BTreeMap::new(),
            flying: BTreeMap::new(),
            next_order: 1,
            next_job: 1,
            look_at: 0,
            chance: Chance::new(seed),
            busy: true,
            gentle: false,
            answers: BTreeMap::new(),
            refusals: BTreeMap::new(),
            ended: 0,
            cancels: 0,
            releases: 0,
            roots: Vec::new(),
            faults: Vec::new(),
            ready: false,
            bye: None,
        })
    }

    /// Whether something accepted has not ended: a kill now hits unfinished work.
    pub(crate) fn owes(&self) -> bool {
        self.jobs.values().any(|job| !job.owed.is_empty())
    }

    /// A session at work that bears one panic: its agent has none of its own.
    pub(crate) fn at_work(&mut self) -> Option<SessionId> {
        self.pick(|agent| !matches!(agent, "jumpy" | load::POISON))
    }

    /// One of the sessions with something accepted whose agent is such a one.
    fn pick(&mut self, agent: impl Fn(&str) -> bool) -> Option<SessionId> {
        let jobs = self.jobs.values().filter(|job| !job.owed.is_empty() && agent(job.agent));
        let all: Vec<SessionId> = jobs.filter_map(|job| job.session).collect();
        let at = self.chance.below((all.len() as u64).max(1));
        all.get(usize::try_from(at).unwrap_or(0)).copied()
    }

    /// Whether all jobs are done.
    pub(crate) fn is_done(&self) -> bool {
        self.jobs.is_empty()
    }

    /// What is going on, for a person.
    pub(crate) fn shown(&self) -> Vec<String> {
        let shown = |(no, job): (&u64, &Job)| format!("job {no}: {job:?}");
        self.jobs.iter().map(shown).collect()
    }

    /// The runtime is dead: what was asked is asked again.
    pub(crate) fn bereaved(&mut self) {
        self.flying.clear();
        self.ready = false;
        for job in self.jobs.values_mut() {
            job.asked = None;
            job.not_before = 0;
        }
    }

    /// An order of the driver's own; its answer comes into `answers`.
    pub(crate) fn order(&mut self, wish: Wish) -> Order {
        let no = self.next_order;
        self.next_order += 1;
        self.flying.insert(no, About::Other);
        Order { no, wish }
    }

    /// What to ask now.
    pub(crate) fn orders(&mut self, now: u64) -> Vec<Order> {
        if !self.ready {
            return Vec::new();
        }
        while self.busy && self.jobs.len() < JOBS {
            self.begin(now);
        }
        let mut orders = Vec::new();
        for (no, job) in &mut self.jobs {
            // A wish to stop overtakes the wait for the end; one lost in a crash stays lost.
            if let Some(session) = job.session
                && !job.owed.is_empty()
                && job.cancel_at.is_some_and(|at| at <= now)
            {
                job.cancel_at = None;
                let order = Order { no: self.next_order, wish: Wish::Cancel { session } };
                self.next_order += 1;
                self.flying.insert(order.no, About::Cancel);
                orders.push(order);
            }
            if job.asked.is_some() || job.not_before > now {
                continue;
            }
            let Some(wish) = wish(job) else { continue };
            let order = Order { no: self.next_order, wish: wish.clone() };
            self.next_order += 1;
            job.asked = Some(order.no);
            self.flying.insert(order.no, About::Job { job: *no, wish });
            orders.push(order);
        }
        if self.look_at <= now && !self.flying.values().any(|about| matches!(about, About::Inbox)) {
            self.look_at = now + LOOK_MS;
            let order = Order { no: self.next_order, wish: Wish::Approvals };
            self.next_order += 1;
            self.flying.insert(order.no, About::Inbox);
            orders.push(order);
        }
        orders
    }

    fn begin(&mut self, now: u64) {
        let no = self.next_job;
        self.next_job += 1;
        let at = usize::try_from(no).unwrap_or(0) % load::ROOTS.len();
        let inputs = if self.chance.percent(25) { 2 } else { 1 };
        let key = |at: u64| InputKey(format!("job-{no}-{at}"));
        let forked = load::ROOTS[at] == load::FORKED;
        let base = if forked { self.pick(|agent| load::BASES.contains(&agent)) } else { None };
        let cancelled = matches!(load::ROOTS[at], "lead" | "worker" | "asker" | "board");
        let cancel_at = (cancelled && !self.gentle && self.chance.percent(50))
            .then(|| now + self.chance.below(400));
        let job = Job {
            // With nobody at work to be forked, it is a session like others.
            agent: if forked { "chatter" } else { load::ROOTS[at] },
            base,
            session: None,
            to_submit: (1..=inputs).rev().map(key).collect(),
            to_invoke: if load::ROOTS[at] == "chatter" { load::own_calls(no) } else { Vec::new() },
            owed: Vec::new(),
            release: false,
            cancel_at,
            asked: None,
            not_before: 0,
        };
        self.jobs.insert(no, job);
    }

    /// Takes what the runtime said; what it promises is noted first.
    pub(crate) fn hear(&mut self, said: Said, now: u64) -> io::Result<Vec<Order>> {
        match said {
            Said::Ready => self.ready = true,
            Said::Frame(acked) => self.journal.note(&Promise::Frame(acked))?,
            Said::Ended { why } => self.faults.push(format!("the runtime ended by itself: {why}")),
            Said::Bye { order } => self.bye = Some(order),
            Said::Reply { no, reply } => match self.flying.remove(&no) {
                Some(About::Job { job, wish }) => self.moved(job, wish, reply, now)?,
                Some(About::Inbox) => return Ok(self.inbox(reply)),
                Some(About::Answered { approval, answer }) => match reply {
                    Reply::Done => self.journal.note(&Promise::Decided { approval, answer })?,
                    other => self.refused("decide", &other),
                },
                Some(About::Cancel) => match reply {
                    Reply::Done => self.cancels += 1,
                    other => self.refused("cancel", &other),
                },
                Some(About::Other) => {
                    self.answers.insert(no, reply);
                }
                None => self.faults.push(format!("an answer to no question: {reply:?}")),
            },
        }
        Ok(Vec::new())
    }

    fn moved(&mut self, no: u64, wish: Wish, reply: Reply, now: u64) -> io::Result<()> {
        let Some(job) = self.jobs.get_mut(&no) else { return Ok(()) };
        job.asked = None;
        match (wish, reply) {
            (Wish::Open { .. } | Wish::Fork { .. }, Reply::Opened { session }) => {
                self.journal.note(&Promise::Opened { session })?;
                self.roots.push(session);
                job.session = Some(session);
            }
            (Wish::Submit { session, key, .. }, Reply::Done) => {
                self.journal.note(&Promise::Accepted { session, key: key.clone() })?;
                job.to_submit.retain(|other| *other != key);
                job.owed.push(key);
            }
            (Wish::Outcome { session, key }, Reply::Outcome { turn, outcome }) => {
                let promise = Promise::Ended { session, key: key.clone(), turn, outcome };
                self.journal.note(&promise)?;
                job.owed.retain(|other| *other != key);
            }
            (Wish::Invoke { session, key, .. }, Reply::Invoked { outcome }) => {
                self.journal.note(&Promise::Invoked { session, key: key.clone(), outcome })?;
                job.to_invoke.retain(|(other, _)| *other != key);
            }
            (Wish::Release { .. }, Reply::Done) => {
                job.release = false;
                self.releases += 1;
            }
            (_, Reply::Quarantined) => {
                job.release = true;
                if job.agent != load::POISON {
                    self.faults.push(format!("off the stage: {job:?}"));
                }
            }
            (wish, other) => {
                // Let back already, or not off the stage any more: the next answer tells.
                job.release = false;
                job.not_before = now + 50;
                self.refused(&format!("{wish:?}"), &other);
            }
        }
        if self.jobs.get(&no).is_some_and(Job::is_over) {
            self.jobs.remove(&no);
            self.ended += 1;
        }
        Ok(())
    }

    fn refused(&mut self, what: &str, reply: &Reply) {
        let what: String = what.chars().take_while(|c| c.is_alphabetic()).collect();
        let why = match reply {
            Reply::Refused { why } => why.clone(),
            other => format!("{other:?}"),
        };
        // Without the numbers that make each one different.
        let why: String = why.chars().filter(|c| !c.is_ascii_digit()).take(120).collect();
        *self.refusals.entry(format!("{what}: {why}")).or_default() += 1;
    }

    /// Answers some of the open questions; the rest stay open for a while, also over a kill.
    fn inbox(&mut self, reply: Reply) -> Vec<Order> {
        let Reply::Approvals { rows } = reply else {
            self.refused("approvals", &reply);
            return Vec::new();
        };
        let mut orders = Vec::new();
        for Open { approval, agent, .. } in rows {
            let asked = |about: &About| matches!(about, About::Answered { approval: other, .. } if *other == approval);
            if agent.as_str() == load::IGNORED
                || self.flying.values().any(asked)
                || !self.chance.percent(20)
            {
                continue;
            }
            let answer = match self.chance.below(10) {
                _ if self.gentle => Answer::Once,
                0 => Answer::Reject,
                1 => Answer::Comment { text: "rather not".to_owned() },
                2 | 3 => {
                    Answer::Edit { args: Args(r#"{"note":"edited","delay_ms":9}"#.to_owned()) }
                }
                _ => Answer::Once,
            };
            let wish = Wish::Decide { approval, answer: answer.clone() };
            let order = Order { no: self.next_order, wish };
            self.next_order += 1;
            self.flying.insert(order.no, About::Answered { approval, answer });
            orders.push(order);
        }
        orders
    }
}

fn wish(job: &Job) -> Option<Wish> {
    let Some(session) = job.session else {
        return Some(match job.base {
            Some(session) => Wish::Fork { session },
            None => Wish::Open { agent: job.agent.into() },
        });
    };
    if job.release {
        return Some(Wish::Release { session });
    }
    if let Some(key) = job.to_submit.last() {
        let text = format!("do {key}");
        return Some(Wish::Submit { session, key: key.clone(), text });
    }
    if let Some((key, tool)) = job.to_invoke.last().cloned() {
        return Some(Wish::Invoke { session, key, tool });
    }
    let key = job.owed.first()?.clone();
    Some(Wish::Outcome { session, key })
}
