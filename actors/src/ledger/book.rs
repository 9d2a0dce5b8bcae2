//! One tree in the ledger's memory: its fold, what is decided and not yet durable, and who waits.
//! Decides when a frame is written and who hears what; the actor does the writing and the telling.
//!
//! The fold runs ahead of the log: what is decided counts at once, so that the next decision sees
//! it, and is told only when its frame is durable. When a frame is refused the whole book is
//! thrown away, and with it everything that was ahead.
//!
//! ```text
//! reserve ─▶ granted ─▶ staged ─▶ in flight ─▶ durable ─▶ answered
//!        └─▶ waits ──────▲ (after a settle)   └─▶ refused: the book is dropped
//! ```

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    domain::{
        budget::{Account, Amount, Reservation, Room, Shortage},
        frame::EncodeError,
        grant::GrantEvent,
        ids::{CallId, CallNo, Position, SessionId, Timestamp},
        usage::NanoUsd,
    },
    limits,
    log::Writer,
    policy::budget::{self, Ruling, Tree, Warning},
    ports::Append,
    protocol::{
        address::ReplyTo,
        ledger::{AccountFigures, BudgetDecision, LedgerFigures},
    },
};

/// One tree.
#[derive(Debug)]
pub(super) struct Book {
    writer: Writer,
    tree: Tree,
    /// Decided, not durable, in the order of the decisions. The first `in_flight` are being
    /// written.
    staged: VecDeque<Staged>,
    in_flight: usize,
    /// Who hears of a staged grant.
    askers: HashMap<CallId, Asker>,
    /// Reservations that wait for room, oldest first.
    waiting: VecDeque<Waiting>,
    used_at: Timestamp,
}

/// One decision: its records go into one frame.
#[derive(Debug)]
struct Staged {
    events: Vec<GrantEvent>,
    warnings: Vec<Warning>,
}

#[derive(Debug)]
struct Asker {
    reply: ReplyTo<BudgetDecision>,
    /// Whether whoever asked knew the price.
    priced: bool,
}

#[derive(Debug)]
struct Waiting {
    reservation: Box<Reservation>,
    reply: ReplyTo<BudgetDecision>,
    since: Timestamp,
    /// Whose room it waits for.
    account: SessionId,
}

/// Something to tell somebody now.
pub(super) type Answer = (ReplyTo<BudgetDecision>, BudgetDecision);

/// The answer of a grant: the room that is held, which may be more than was asked for now.
fn granted(call: CallId, bound: Amount, asker: Asker) -> Answer {
    // A bound with money in it was asked for when there was a price.
    let priced = asker.priced || bound.nano_usd > NanoUsd(0);
    (asker.reply, BudgetDecision { call, decision: Ok(Room { bound, priced }) })
}

/// What became durable.
#[derive(Debug, Default)]
pub(super) struct Durable {
    pub(super) answers: Vec<Answer>,
    pub(super) warnings: Vec<Warning>,
}

impl Waiting {
    fn deadline(&self) -> Timestamp {
        self.since.plus_ms(limits::RESERVE_WAIT_MS)
    }
}

/// Whose room later reservations must leave to those who wait for it. Only between model calls:
/// what they wait for comes free by itself. A tool call may wait for a child's place, and the
/// child needs its own calls to get done.
#[derive(Debug, Default)]
struct Barred(HashSet<SessionId>);

impl Barred {
    fn by(&mut self, one: &Waiting) {
        if is_model(one.reservation.call) {
            self.0.insert(one.account);
        }
    }

    /// The account that bars this reservation.
    fn bars(&self, reservation: &Reservation) -> Option<SessionId> {
        let mut path = reservation.accounts.iter().map(|account| account.session);
        path.find(|account| is_model(reservation.call) && self.0.contains(account))
    }
}

const fn is_model(call: CallId) -> bool {
    matches!(call.no, CallNo::Model(_))
}

impl Book {
    pub(super) fn new(writer: Writer, tree: Tree, now: Timestamp) -> Self {
        Self {
            writer,
            tree,
            staged: VecDeque::new(),
            in_flight: 0,
            askers: HashMap::new(),
            waiting: VecDeque::new(),
            used_at: now,
        }
    }

    /// Counts a decision from now on, and has it written.
    pub(super) fn stage(&mut self, events: Vec<GrantEvent>) {
        if !events.is_empty() {
            let warnings = events.iter().flat_map(|event| self.tree.apply(event)).collect();
            self.staged.push_back(Staged { events, warnings });
        }
    }

    /// Decides on a reservation; an answer only where nothing has to be written for it.
    pub(super) fn reserve(
        &mut self,
        reservation: Box<Reservation>,
        reply: ReplyTo<BudgetDecision>,
        now: Timestamp,
    ) -> Option<Answer> {
        self.used_at = now;
        let call = reservation.call;
        let asker = Asker { reply, priced: reservation.priced };
        if let Some(asked) = self.askers.get_mut(&call) {
            // It hears of the room that is being written, and asks for more if that is too little.
            *asked = asker;
            return None;
        }
        if let Some(waiting) = self.waiting.iter_mut().find(|one| one.reservation.call == call) {
            // The room it would get now, not the room it asked for when it began to wait.
            let known = waiting.reservation.bound;
            waiting.reservation = reservation;
            waiting.reservation.bound = budget::larger(known, waiting.reservation.bound);
            waiting.reply = asker.reply;
            return None;
        }
        let mut barred = Barred::default();
        self.waiting.iter().for_each(|one| barred.by(one));
        match (budget::reserve(&self.tree, &reservation), barred.bars(&reservation)) {
            (Ruling::Standing { bound }, _) => Some(granted(call, bound, asker)),
            (Ruling::Refused(short), _) => {
                Some((asker.reply, BudgetDecision { call, decision: Err(short) }))
            }
            // Too much is in hand already: its session asks again.
            (Ruling::Granted(_) | Ruling::Wait { .. }, _) if self.is_full() => None,
            (Ruling::Granted(event), None) => {
                self.askers.insert(call, asker);
                self.stage(vec![event]);
                None
            }
            (Ruling::Wait { account }, _) | (Ruling::Granted(_), Some(account)) => {
                let reply = asker.reply;
                self.waiting.push_back(Waiting { reservation, reply, since: now, account });
                None
            }
        }
    }

    /// Books what a call came to, and lets those move up who waited for its room.
    pub(super) fn settle(
        &mut self,
        call: CallId,
        accounts: &[Account],
        actual: (Amount, bool),
        now: Timestamp,
    ) -> Vec<Answer> {
        self.used_at = now;
        // A call that is over does not wait any more, and bars nobody.
        let waited = self.waiting.len();
        self.waiting.retain(|one| one.reservation.call != call);
        let events = budget::book(&self.tree, call, accounts, actual);
        if events.is_empty() && self.waiting.len() == waited {
            return Vec::new();
        }
        self.stage(events);
        self.move_up()
    }

    fn move_up(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut barred = Barred::default();
        for mut one in std::mem::take(&mut self.waiting) {
            let (call, priced) = (one.reservation.call, one.reservation.priced);
            match (budget::reserve(&self.tree, &one.reservation), barred.bars(&one.reservation)) {
                (Ruling::Granted(event), None) => {
                    self.askers.insert(call, Asker { reply: one.reply, priced });
                    self.stage(vec![event]);
                }
                (Ruling::Wait { account }, _) | (Ruling::Granted(_), Some(account)) => {
                    one.account = account;
                    barred.by(&one);
                    self.waiting.push_back(one);
                }
                (Ruling::Standing { bound }, _) => {
                    answers.push(granted(call, bound, Asker { reply: one.reply, priced }));
                }
                (Ruling::Refused(short), _) => {
                    answers.push((one.reply, BudgetDecision { call, decision: Err(short) }));
                }
            }
        }
        answers
    }

    /// Those whose wait is over without room; the others may move up past them.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Answer> {
        let mut answers = Vec::new();
        while self.waiting.front().is_some_and(|one| one.deadline() <= now) {
            let Some(Waiting { reservation, reply, since, account }) = self.waiting.pop_front()
            else {
                break;
            };
            let short = Shortage::Waited { account, waited_ms: now.since_ms(since) };
            let decision = BudgetDecision { call: reservation.call, decision: Err(short) };
            answers.push((reply, decision));
        }
        if !answers.is_empty() {
            answers.extend(self.move_up());
        }
        answers
    }

    /// The next moment at which somebody's wait is over. The queue is in order of arrival and
    /// everybody waits equally long, so it is the first one's.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.waiting.front().map(Waiting::deadline)
    }

    /// The next frame, if something is decided and nothing is being written.
    pub(super) fn next_frame(
        &mut self,
        mark: &str,
        now: Timestamp,
    ) -> Result<Option<Append>, EncodeError> {
        if self.in_flight > 0 || self.staged.is_empty() {
            return Ok(None);
        }
        let mut decisions = self.staged.len().min(limits::LEDGER_BATCH);
        loop {
            let first = self.staged.iter().take(decisions);
            let events: Vec<&GrantEvent> = first.flat_map(|one| &one.events).collect();
            match self.writer.frame(&events, Vec::new(), Some(mark.to_owned()), now) {
                // Long paths: fewer of them in one frame.
                Err(EncodeError::FrameTooLarge { .. }) if decisions > 1 => decisions /= 2,
                Err(error) => return Err(error),
                Ok(append) => {
                    self.in_flight = decisions;
                    return Ok(Some(append));
                }
            }
        }
    }

    /// The frame in flight is durable: this may be told now.
    pub(super) fn committed(&mut self, at: Position) -> Durable {
        self.writer.tail = at;
        let mut durable = Durable::default();
        for one in self.staged.drain(..std::mem::take(&mut self.in_flight)) {
            durable.warnings.extend(one.warnings);
            for event in one.events {
                if let GrantEvent::Granted { call, bound, .. } = event
                    && let Some(asker) = self.askers.remove(&call)
                {
                    durable.answers.push(granted(call, bound, asker));
                }
            }
        }
        durable
    }

    pub(super) fn figures(&self) -> LedgerFigures {
        let accounts = self.tree.balances().map(|(account, balance)| AccountFigures {
            account: *account,
            spent: balance.spent,
            reserved: balance.reserved,
            limit: balance.limit,
        });
        LedgerFigures {
            accounts: accounts.collect(),
            open: self.tree.open_grants().count(),
            waiting: self.waiting.len(),
        }
    }

    /// Whether nothing would be lost by forgetting it now.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.staged.is_empty()
            && self.waiting.is_empty()
            && now.since_ms(self.used_at) >= limits::IDLE_MS
    }

    fn is_full(&self) -> bool {
        self.staged.len() + self.waiting.len() >= limits::LEDGER_QUEUE
            || self.tree.unsettled() >= limits::LEDGER_UNSETTLED
    }
}
