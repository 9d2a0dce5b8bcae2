//! The ledger: grants room in budgets before calls are made, and books what they came to. One
//! actor, one log per root session. It owns the grants and refuses everything else: prices, bounds
//! and usage are the sessions' and the policy's.
//!
//! Invariants:
//! 1. a grant is durable before it is answered;
//! 2. one append per tree is in flight; what is decided meanwhile goes into the next frame;
//! 3. a tree whose append was refused is dropped and read again; sessions ask again;
//! 4. at every prefix of a tree's log, spent + reserved ≤ budget;
//! 5. this actor may die at any moment: everything is in the logs.
//!
//! ```text
//! (absent) ── first use ──▶ loading ── claimed, read, reconciled ──▶ open ── idle ──▶ (absent)
//!     ▲                        │ trouble                               │ trouble
//!     └────────────────────────┴───────────────────────────────────────┘
//! ```

use std::{collections::HashMap, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::{
    domain::{
        budget::{Account, Amount, Reservation, Room},
        ids::{CallId, Position, SessionId, Timestamp},
    },
    fault, limits,
    log::Trouble,
    owned::{Ended, Owned},
    policy::budget::Warning,
    ports::{Clock, Journal, JournalError},
    protocol::{
        address::ReplyTo,
        ledger::{BudgetDecision, LedgerMsg, Loaded},
    },
};
use book::{Answer, Book};

pub(crate) use warnings::Teller;
use warnings::Untold;

mod book;
mod load;
mod warnings;

#[cfg(test)]
mod tests;

/// What the ledger needs of the world.
pub(crate) struct Ledger {
    /// Where the logs are.
    pub(crate) journal: Arc<dyn Journal>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Which boot of the runtime this is; it marks the grants.
    pub(crate) boot: u64,
    /// How a session hears that its budget passed a mark.
    pub(crate) on_warning: Teller,
    /// Who hears that the journal can no longer be trusted.
    pub(crate) on_poison: ReplyTo<JournalError>,
}

/// What it keeps in memory; all of it may be lost.
#[derive(Default)]
pub(crate) struct Books {
    books: HashMap<SessionId, Place>,
    /// Numbers the attempts to load, so that a late result of an older one is known.
    attempts: u64,
    alarm: Option<(Timestamp, Owned)>,
}

/// A tree on its way into memory, or there.
struct Place {
    attempt: u64,
    /// Loading or appending; dropped with the place.
    task: Option<Owned>,
    state: State,
    untold: Untold,
}

enum State {
    Loading {
        asks: Vec<Ask>,
        /// Something was dropped that only another reading can find again.
        again: bool,
    },
    Open(Box<Book>),
}

/// What came while its tree was being loaded.
enum Ask {
    Reserve(Box<Reservation>, ReplyTo<BudgetDecision>),
    Settle(CallId, Vec<Account>, (Amount, bool)),
}

impl Ledger {
    /// Gives an ask to its tree, loading that first if need be.
    fn ask(&self, myself: &ActorRef<LedgerMsg>, books: &mut Books, root: SessionId, ask: Ask) {
        match books.books.get_mut(&root).map(|place| &mut place.state) {
            None => self.load(myself, books, root, vec![ask]),
            Some(State::Loading { asks, again }) => match ask {
                ask if asks.len() < limits::LEDGER_QUEUE => asks.push(ask),
                // Its session asks again.
                Ask::Reserve(..) => {}
                // It is in its session's log by now, but may not have been when that was read.
                Ask::Settle(..) => *again = true,
            },
            Some(State::Open(book)) => {
                self.perform(book, ask);
                self.write(myself, books, root);
            }
        }
    }

    /// Has an open book decide, and tells what needs no writing.
    fn perform(&self, book: &mut Book, ask: Ask) {
        let now = self.clock.running();
        match ask {
            Ask::Reserve(reservation, reply) => {
                tell(book.reserve(reservation, reply, now));
            }
            Ask::Settle(call, accounts, actual) => {
                tell(book.settle(call, &accounts, actual, now));
            }
        }
    }

    /// Starts to read a tree; asks wait meanwhile.
    fn load(
        &self,
        myself: &ActorRef<LedgerMsg>,
        books: &mut Books,
        root: SessionId,
        asks: Vec<Ask>,
    ) {
        books.attempts += 1;
        let attempt = books.attempts;
        let loading = load::load(Arc::clone(&self.journal), root, self.boot);
        let late = self.clock.after(limits::LOAD_MS);
        let ledger = myself.clone();
        let task = Owned::watched(in_time(loading, late), move |ended| {
            if let Some(result) = flatten(ended) {
                // Nobody there: whoever comes next reads it again.
                drop(ledger.cast(LedgerMsg::Loaded { root, attempt, result }));
            }
        });
        let state = State::Loading { asks, again: false };
        let untold = Untold::default();
        books.books.insert(root, Place { attempt, task: Some(task), state, untold });
    }

    fn loaded(
        &self,
        myself: &ActorRef<LedgerMsg>,
        books: &mut Books,
        root: SessionId,
        loaded: Loaded,
    ) {
        let Some(place) = books.books.get_mut(&root) else { return };
        let State::Loading { asks, again } = &mut place.state else { return };
        let asks = std::mem::take(asks);
        if *again {
            return self.load(myself, books, root, asks);
        }
        let mut book = Book::new(loaded.writer, loaded.tree, self.clock.running());
        for event in loaded.reconciled {
            book.stage(vec![event]);
        }
        for ask in asks {
            self.perform(&mut book, ask);
        }
        for warning in loaded.untold {
            place.untold.add(warning, self.clock.running());
        }
        place.task = None;
        place.state = State::Open(Box::new(book));
        self.write(myself, books, root);
    }

    /// Writes what a tree has decided, unless it is writing already; sets its deadline.
    fn write(&self, myself: &ActorRef<LedgerMsg>, books: &mut Books, root: SessionId) {
        let Some(place) = books.books.get_mut(&root) else { return };
        let State::Open(book) = &mut place.state else { return };
        let now = self.clock.running();
        let attempt = place.attempt;
        place.untold.tell_due(now, |warning| self.warn(myself, (root, attempt), warning));
        let next = [book.next_deadline(), place.untold.next(), Some(now.plus_ms(limits::IDLE_MS))];
        match book.next_frame(&load::boot_mark(self.boot), self.clock.now()) {
            Ok(None) => {}
            Ok(Some(append)) => {
                fault::point("ledger.before_append");
                let appending = self.journal.append(append);
                let appending = async move { appending.await.map_err(Trouble::from) };
                let late = self.clock.after(limits::APPEND_MS);
                let (ledger, attempt) = (myself.clone(), place.attempt);
                place.task = Some(Owned::watched(in_time(appending, late), move |ended| {
                    if let Some(result) = flatten(ended) {
                        // Nobody there: whoever comes next finds it in the log.
                        drop(ledger.cast(LedgerMsg::Appended { root, attempt, result }));
                    }
                }));
            }
            Err(error) => {
                // A single record over the caps: its session's path is absurd, and stays unanswered.
                tracing::error!(%root, %error, "a grant does not fit into a frame");
                books.books.remove(&root);
            }
        }
        if let Some(at) = next.into_iter().flatten().min() {
            self.alarm_by(myself, books, at);
        }
    }

    /// Tells a session of a mark, and itself how that went.
    fn warn(
        &self,
        myself: &ActorRef<LedgerMsg>,
        (root, attempt): (SessionId, u64),
        warning: Warning,
    ) -> Owned {
        let telling = (self.on_warning)(warning);
        let late = self.clock.after(limits::APPEND_MS);
        let telling = async move {
            tokio::select! {
                biased;
                heard = telling => heard,
                () = late => false,
            }
        };
        let ledger = myself.clone();
        Owned::watched(telling, move |ended| {
            let heard = matches!(ended, Ended::Value(true));
            // Nobody there: whoever reads the tree next finds out what its sessions know.
            drop(ledger.cast(LedgerMsg::Told { root, attempt, warning, heard }));
        })
    }

    fn appended(
        &self,
        myself: &ActorRef<LedgerMsg>,
        books: &mut Books,
        root: SessionId,
        at: Position,
    ) {
        let Some(Place { state: State::Open(book), task, untold, .. }) = books.books.get_mut(&root)
        else {
            return;
        };
        *task = None;
        fault::point("ledger.granted");
        let durable = book.committed(at);
        tell(durable.answers);
        for warning in durable.warnings {
            untold.add(warning, self.clock.running());
        }
        self.write(myself, books, root);
    }

    /// Drops a tree that cannot be trusted; whoever asks next has it read again.
    fn give_up(&self, books: &mut Books, root: SessionId, trouble: Trouble) {
        books.books.remove(&root);
        match trouble {
            Trouble::Poisoned(why) => self.on_poison.send(JournalError::Poisoned { why }),
            Trouble::Damaged(_) => tracing::error!(%root, %trouble, "no grants for this tree"),
            Trouble::Fenced | Trouble::Unavailable(_) => {
                tracing::warn!(%root, %trouble, "the tree is read again when it is asked for");
            }
        }
    }

    /// Looks at every tree: whose wait is over, and what nobody has used for long.
    fn look(&self, myself: &ActorRef<LedgerMsg>, books: &mut Books) {
        let now = self.clock.running();
        books.alarm = None;
        books.books.retain(|_, place| match &place.state {
            State::Open(book) => !book.is_idle(now) || !place.untold.is_empty(),
            State::Loading { .. } => true,
        });
        let roots: Vec<SessionId> = books.books.keys().copied().collect();
        for root in roots {
            if let Some(Place { state: State::Open(book), .. }) = books.books.get_mut(&root) {
                tell(book.expire(now));
                self.write(myself, books, root);
            }
        }
    }

    /// Makes sure that somebody looks at `at` or earlier.
    fn alarm_by(&self, myself: &ActorRef<LedgerMsg>, books: &mut Books, at: Timestamp) {
        if books.alarm.as_ref().is_some_and(|(set, _)| *set <= at) {
            return;
        }
        let left_ms = at.since_ms(self.clock.running());
        let (sleep, ledger) = (self.clock.after(left_ms), myself.clone());
        let task = Owned::spawn(async move {
            sleep.await;
            // It may have gone meanwhile; then nothing waits here.
            drop(ledger.cast(LedgerMsg::Alarm));
        });
        books.alarm = Some((at, task));
    }
}

fn tell(answers: impl IntoIterator<Item = Answer>) {
    for (reply, decision) in answers {
        fault::point("ledger.before_answer");
        reply.send(decision);
    }
}

/// A piece of work on the journal, with the longest it may take.
async fn in_time<T>(
    work: impl Future<Output = Result<T, Trouble>>,
    late: impl Future<Output = ()>,
) -> Result<T, Trouble> {
    tokio::select! {
        biased;
        result = work => result,
        () = late => Err(Trouble::Unavailable("it did not answer in time".to_owned())),
    }
}

/// The result of a task; nothing when its owner, the ledger, let go of it.
fn flatten<T>(ended: Ended<Result<T, Trouble>>) -> Option<Result<T, Trouble>> {
    match ended {
        Ended::Value(result) => Some(result),
        Ended::Panicked(why) => Some(Err(Trouble::Unavailable(why))),
        Ended::Aborted => None,
    }
}

impl Books {
    fn is_current(&self, root: SessionId, attempt: u64) -> bool {
        self.books.get(&root).is_some_and(|place| place.attempt == attempt)
    }
}

impl Actor for Ledger {
    type Msg = LedgerMsg;
    type State = Books;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<LedgerMsg>,
        (): (),
    ) -> Result<Books, ActorProcessingErr> {
        Ok(Books::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<LedgerMsg>,
        message: LedgerMsg,
        books: &mut Books,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            // Without a budget on its path there is nothing to set aside, and no log to begin.
            LedgerMsg::Reserve { reservation, reply } if reservation.accounts.is_empty() => {
                let Reservation { call, bound, priced, .. } = *reservation;
                tell([(reply, BudgetDecision { call, decision: Ok(Room { bound, priced }) })]);
            }
            LedgerMsg::Reserve { reservation, reply } => {
                let root = reservation.root;
                self.ask(&myself, books, root, Ask::Reserve(reservation, reply));
            }
            // Without a budget on its path nothing was reserved, and there is nothing to book.
            LedgerMsg::Settle { accounts, .. } if accounts.is_empty() => {}
            LedgerMsg::Settle { root, call, accounts, actual, last } => {
                self.ask(&myself, books, root, Ask::Settle(call, accounts, (actual, last)));
            }
            LedgerMsg::Figures { root, reply } => {
                let figures = match books.books.get(&root).map(|place| &place.state) {
                    Some(State::Open(book)) => Some(book.figures()),
                    Some(State::Loading { .. }) => None,
                    None => {
                        self.load(&myself, books, root, Vec::new());
                        None
                    }
                };
                // A face that has gone does not want to know.
                drop(reply.send(figures));
            }
            LedgerMsg::Loaded { root, attempt, result } => {
                if books.is_current(root, attempt) {
                    match result {
                        Ok(loaded) => self.loaded(&myself, books, root, *loaded),
                        Err(trouble) => self.give_up(books, root, trouble),
                    }
                }
            }
            LedgerMsg::Appended { root, attempt, result } => {
                if books.is_current(root, attempt) {
                    match result {
                        Ok(at) => self.appended(&myself, books, root, at),
                        Err(trouble) => self.give_up(books, root, trouble),
                    }
                }
            }
            LedgerMsg::Told { root, attempt, warning, heard } => {
                if let Some(place) = books.books.get_mut(&root)
                    && place.attempt == attempt
                {
                    place.untold.told(&warning, heard, self.clock.running());
                    self.write(&myself, books, root);
                }
            }
            LedgerMsg::Alarm => self.look(&myself, books),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<LedgerMsg>,
        _event: SupervisionEvent,
        _books: &mut Books,
    ) -> Result<(), ActorProcessingErr> {
        // It has no children; ractor's default would stop it for one.
        Ok(())
    }
}
