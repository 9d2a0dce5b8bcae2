//! The ledger over a journal that can hang, lose its answers and refuse: nothing is told before it
//! is durable, and nothing is granted twice or above a limit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use self::memory::{Memory, Mood};
use super::*;
use crate::{
    domain::{
        budget::{Account, Budget, Dimension, Shortage},
        event::Event,
        frame::{LogId, SCHEMA_VERSION},
        grant::GrantEvent,
        ids::{ModelCallNo, ModelName, PrincipalId, TenantId, ToolCallNo, TurnId},
        usage::Settlement,
    },
    log::{self, Writer},
    protocol::ledger::{LedgerFigures, LedgerHandle},
};

mod memory;
mod reading;
mod warnings;

/// Time that moves when a test says so.
struct Hand(watch::Sender<i64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.borrow())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let mut now = self.0.subscribe();
        Box::pin(async move { drop(now.wait_for(|now| *now >= at.0).await) })
    }

    fn running(&self) -> Timestamp {
        self.now()
    }

    fn after(&self, ms: u64) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now().plus_ms(ms))
    }

    fn random(&self) -> u64 {
        4
    }

    fn new_session(&self) -> SessionId {
        session(4)
    }
}

fn session(no: u128) -> SessionId {
    SessionId(Uuid::from_u128(no))
}

/// The root of every tree here; its budget is the one that all draw on.
fn root() -> SessionId {
    session(1)
}

fn model_call(of: u128, no: u32) -> CallId {
    CallId::model(session(of), ModelCallNo(no))
}

fn tokens(tokens: u64) -> Amount {
    Amount { tokens, ..Amount::default() }
}

fn reservation(call: CallId, limit: u64, bound: u64) -> Reservation {
    let budget = Budget { tokens: Some(limit), ..Budget::default() };
    let accounts = vec![Account { session: root(), budget }];
    Reservation { call, root: root(), accounts, bound: tokens(bound), priced: true }
}

struct House {
    journal: Arc<Memory>,
    clock: Arc<Hand>,
    ledger: LedgerHandle,
    seat: watch::Sender<Option<ActorRef<LedgerMsg>>>,
    actor: ActorRef<LedgerMsg>,
    reply: ReplyTo<BudgetDecision>,
    decisions: mpsc::Receiver<BudgetDecision>,
    warnings: mpsc::Receiver<Warning>,
    /// Whether sessions have room for a warning.
    ears: Arc<AtomicBool>,
    poison: mpsc::Receiver<JournalError>,
    hooks: Hooks,
}

type Hooks = (Teller, ReplyTo<JournalError>);

fn hook<T: Send + 'static>() -> (ReplyTo<T>, mpsc::Receiver<T>) {
    let (sender, receiver) = mpsc::channel(10_000);
    (ReplyTo::new(move |value| drop(sender.try_send(value))), receiver)
}

impl House {
    async fn new() -> Self {
        Self::with(Memory::new(), 1).await
    }

    async fn with(journal: Arc<Memory>, boot: u64) -> Self {
        let clock = Arc::new(Hand(watch::channel(1_000).0));
        let (reply, decisions) = hook();
        let (warned, warnings) = hook();
        let ears = Arc::new(AtomicBool::new(true));
        let open = Arc::clone(&ears);
        let on_warning: Teller = Arc::new(move |warning| {
            warned.send(warning);
            let heard = open.load(SeqCst);
            Box::pin(async move { heard })
        });
        let (on_poison, poison) = hook();
        let hooks = (on_warning, on_poison);
        let (seat, ledger) = LedgerHandle::channel();
        let actor = spawn(&journal, &clock, boot, &hooks).await;
        seat.send_replace(Some(actor.clone()));
        Self {
            journal,
            clock,
            ledger,
            seat,
            actor,
            reply,
            decisions,
            warnings,
            ears,
            poison,
            hooks,
        }
    }

    async fn restart(&mut self, boot: u64) {
        self.actor.kill();
        self.actor.wait(None).await.unwrap();
        self.actor = spawn(&self.journal, &self.clock, boot, &self.hooks).await;
        self.seat.send_replace(Some(self.actor.clone()));
    }

    fn ask(&self, call: CallId, limit: u64, bound: u64) {
        assert!(self.ledger.reserve(reservation(call, limit, bound), self.reply.clone()));
    }

    fn settle(&self, call: CallId, actual: u64) {
        let accounts = reservation(call, 0, 0).accounts;
        assert!(self.ledger.settle(root(), call, accounts, (tokens(actual), false)));
    }

    async fn hear(&mut self) -> BudgetDecision {
        in_time(self.decisions.recv()).await.unwrap()
    }

    async fn granted(&mut self, call: CallId) {
        let heard = self.hear().await;
        assert!(heard.call == call && heard.decision.is_ok(), "{heard:?}");
    }

    fn hears_nothing(&mut self) {
        assert_eq!(self.decisions.try_recv().ok(), None);
    }

    /// The tree's balance once the ledger has loaded it.
    async fn figures(&self) -> LedgerFigures {
        in_time(async {
            loop {
                if let Some(figures) = self.ledger.figures(root()).await {
                    return figures;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    async fn balance(&self) -> (u64, u64) {
        let figures = self.figures().await;
        figures.accounts.first().map_or((0, 0), |one| (one.spent.tokens, one.reserved.tokens))
    }

    fn port(&self) -> Arc<dyn Journal> {
        Arc::<Memory>::clone(&self.journal)
    }

    fn log(&self) -> Vec<Vec<GrantEvent>> {
        let frames = self.journal.frames(LogId::ledger(root()));
        frames.iter().map(|frame| serde_json::from_str(&frame.body).unwrap()).collect()
    }

    fn grants(&self, of: CallId) -> usize {
        let events = self.log().into_iter().flatten();
        events
            .filter(|event| matches!(event, GrantEvent::Granted { call, .. } if *call == of))
            .count()
    }
}

async fn spawn(
    journal: &Arc<Memory>,
    clock: &Arc<Hand>,
    boot: u64,
    hooks: &Hooks,
) -> ActorRef<LedgerMsg> {
    let ledger = Ledger {
        journal: Arc::<Memory>::clone(journal),
        clock: Arc::<Hand>::clone(clock),
        boot,
        on_warning: Arc::clone(&hooks.0),
        on_poison: hooks.1.clone(),
    };
    Actor::spawn(None, ledger, ()).await.unwrap().0
}

/// A test that hangs ends here.
#[expect(clippy::disallowed_methods, reason = "the bound of a test's patience is real time")]
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("it never happened")
}

/// Lets every task run until none of them can go on; tests here run on one thread.
async fn quiet() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

/// Writes a session's log, as its actor would have.
async fn write_session(journal: &Arc<Memory>, of: u128, events: &[Event]) {
    let log = LogId::session(session(of));
    let claim = journal.claim(log).await.unwrap();
    let (tenant, principal) = (TenantId::from("t"), PrincipalId::from("p"));
    let writer = Writer::new(log, claim, tenant, principal);
    journal.append(writer.frame(events, vec![], None, Timestamp(1)).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_grant_is_durable_before_it_is_answered() {
    let mut house = House::new().await;
    house.journal.set(Mood::Hanging);
    house.ask(model_call(2, 1), 100, 10);
    quiet().await;
    house.hears_nothing();
    // Asked again while it is being written: still nothing durable, still nothing heard.
    house.ask(model_call(2, 1), 100, 10);
    quiet().await;
    house.hears_nothing();
    house.journal.set(Mood::Working);
    house.granted(model_call(2, 1)).await;
    assert_eq!(house.grants(model_call(2, 1)), 1);
    quiet().await;
    house.hears_nothing();
}

#[tokio::test]
async fn every_answer_says_the_room_that_is_held_and_not_what_was_asked_for() {
    let mut house = House::new().await;
    let call = model_call(2, 1);
    let held = |tokens: u64| Ok(Room { bound: self::tokens(tokens), priced: true });
    house.ask(call, 100, 60);
    assert_eq!(house.hear().await.decision, held(60));
    house.ask(call, 100, 10);
    assert_eq!(house.hear().await.decision, held(60), "it stands");
    house.restart(1).await;
    house.ask(call, 100, 10);
    assert_eq!(house.hear().await.decision, held(60), "also after a death");
    house.ask(call, 100, 80);
    assert_eq!(house.hear().await.decision, held(80), "the difference was added");
    // While a frame is being written somebody asks for more: told what that frame says.
    house.journal.set(Mood::Hanging);
    house.ask(call, 100, 90);
    quiet().await;
    house.ask(call, 100, 95);
    quiet().await;
    house.journal.set(Mood::Working);
    assert_eq!(house.hear().await.decision, held(90));
    house.ask(call, 100, 95);
    assert_eq!(house.hear().await.decision, held(95));
}

#[tokio::test]
async fn who_asks_for_more_while_it_waits_gets_more() {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 100, 80);
    house.granted(model_call(2, 1)).await;
    house.ask(model_call(3, 1), 100, 30);
    house.ask(model_call(3, 1), 100, 50);
    quiet().await;
    house.hears_nothing();
    house.settle(model_call(2, 1), 10);
    assert_eq!(house.hear().await.decision, Ok(Room { bound: tokens(50), priced: true }));
}

#[tokio::test]
async fn killed_between_grant_and_answer_it_gives_the_same_grant_again() {
    let mut house = House::new().await;
    house.journal.set(Mood::Mute);
    house.ask(model_call(2, 1), 100, 60);
    quiet().await;
    assert_eq!(house.grants(model_call(2, 1)), 1, "durable");
    house.hears_nothing();
    house.journal.set(Mood::Working);
    house.restart(1).await;
    house.ask(model_call(2, 1), 100, 60);
    house.granted(model_call(2, 1)).await;
    assert_eq!(house.grants(model_call(2, 1)), 1, "not granted twice");
    assert_eq!(house.balance().await, (0, 60));
}

#[tokio::test]
async fn a_restart_rebuilds_equal_balances() {
    let mut house = House::new().await;
    for no in 1..=20 {
        house.ask(model_call(2, no), 1_000, 30);
        house.granted(model_call(2, no)).await;
        if no % 3 > 0 {
            house.settle(model_call(2, no), u64::from(no));
        }
    }
    quiet().await;
    let before = house.figures().await;
    assert_eq!(before.open, 6);
    house.restart(1).await;
    assert_eq!(house.figures().await, before);
}

#[tokio::test]
async fn decisions_made_while_a_frame_is_written_share_the_next_one() {
    let mut house = House::new().await;
    house.journal.set(Mood::Hanging);
    for no in 1..=100 {
        house.ask(model_call(2, no), 10_000, 10);
        quiet().await;
    }
    house.settle(model_call(2, 1), 5);
    house.journal.set(Mood::Working);
    for no in 1..=100 {
        house.granted(model_call(2, no)).await;
    }
    quiet().await;
    let sizes: Vec<usize> = house.log().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 100], "one append in flight, everything else behind it in one frame");
}

#[tokio::test]
async fn many_reservations_at_once_never_exceed_the_limit_at_any_prefix() {
    const LIMIT: u64 = 100;
    let mut house = House::new().await;
    let mut open = BTreeSet::new();
    for who in 2..80 {
        let call = model_call(who, 1);
        open.insert(call);
        house.ask(call, LIMIT, 7 + u64::try_from(who).unwrap() % 9);
    }
    let mut granted = 0;
    while !open.is_empty() {
        let BudgetDecision { call, decision } = house.hear().await;
        assert!(open.remove(&call), "one answer each");
        if decision.is_ok() {
            granted += 1;
            house.settle(call, 2);
        }
    }
    assert!(granted >= 40, "{granted} calls of 2 tokens fit until the bounds no longer do");
    quiet().await;
    let (mut bounds, mut spent) = (BTreeMap::new(), 0);
    for event in house.log().into_iter().flatten() {
        match event {
            GrantEvent::Granted { call, bound, .. } => {
                assert_eq!(bounds.insert(call, bound.tokens), None);
            }
            GrantEvent::Settled { call, actual, .. } => {
                assert!(bounds.remove(&call).is_some());
                spent += actual.tokens;
            }
        }
        assert!(spent + bounds.values().sum::<u64>() <= LIMIT);
    }
}

#[tokio::test]
async fn a_reservation_waits_for_room_that_others_hold_and_then_gets_it() {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 100, 80);
    house.granted(model_call(2, 1)).await;
    house.ask(model_call(3, 1), 100, 60);
    // It would fit, but somebody was here before it: the big one is not starved by small ones.
    house.ask(model_call(4, 1), 100, 5);
    quiet().await;
    house.hears_nothing();
    assert_eq!(house.figures().await.waiting, 2);
    house.settle(model_call(2, 1), 10);
    house.granted(model_call(3, 1)).await;
    house.granted(model_call(4, 1)).await;
    assert_eq!(house.balance().await, (10, 65));
}

#[tokio::test]
async fn a_tool_call_that_waits_for_room_does_not_bar_the_calls_that_free_it() {
    let mut house = House::new().await;
    let budget = Budget { tokens: Some(100), tool_calls: Some(1), ..Budget::default() };
    let tool = |no| Reservation {
        call: CallId::tool(root(), ToolCallNo(no)),
        root: root(),
        accounts: vec![Account { session: root(), budget }],
        bound: Amount { tool_calls: 1, ..Amount::default() },
        priced: true,
    };
    assert!(house.ledger.reserve(tool(1), house.reply.clone()));
    house.granted(tool(1).call).await;
    assert!(house.ledger.reserve(tool(2), house.reply.clone()));
    house.ask(model_call(2, 1), 100, 10);
    house.granted(model_call(2, 1)).await;
    house.settle(tool(1).call, 0);
    house.granted(tool(2).call).await;
}

#[tokio::test]
async fn who_asks_when_too_many_wait_is_not_heard_and_asks_again() {
    let mut house = House::new().await;
    let (limit, most) = (u64::MAX / 2, limits::LEDGER_QUEUE as u32);
    house.journal.set(Mood::Hanging);
    for no in 1..=most + 50 {
        house.ask(model_call(2, no), limit, 1);
    }
    quiet().await;
    house.journal.set(Mood::Working);
    let mut heard = BTreeSet::new();
    for _ in 0..most {
        heard.insert(house.hear().await.call);
    }
    quiet().await;
    house.hears_nothing();
    let dropped = (1..=most + 50).map(|no| model_call(2, no)).find(|call| !heard.contains(call));
    let dropped = dropped.expect("not all were heard");
    house.ask(dropped, limit, 1);
    house.granted(dropped).await;
}

#[tokio::test]
async fn what_can_never_fit_is_refused_at_once() {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 100, 101);
    assert!(matches!(house.hear().await.decision, Err(Shortage::Exhausted { bound: 101, .. })));
    assert!(house.log().is_empty());
}

#[tokio::test]
async fn without_a_budget_nothing_is_written() {
    let mut house = House::new().await;
    let call = model_call(2, 1);
    let reservation = Reservation { accounts: vec![], ..reservation(call, 0, 10) };
    assert!(house.ledger.reserve(reservation, house.reply.clone()));
    assert!(house.ledger.settle(root(), call, vec![], (tokens(5), true)));
    house.granted(call).await;
    quiet().await;
    assert_eq!(house.journal.tail(LogId::ledger(root())).await.unwrap().1.0, 0, "never claimed");
}

#[tokio::test]
async fn a_wait_ends_at_its_deadline_also_when_its_session_asks_again() {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 100, 80);
    house.granted(model_call(2, 1)).await;
    house.ask(model_call(3, 1), 100, 60);
    quiet().await;
    let wait = i64::try_from(limits::RESERVE_WAIT_MS).unwrap();
    house.clock.0.send_replace(1_000 + wait - 1);
    house.ask(model_call(3, 1), 100, 60);
    quiet().await;
    house.hears_nothing();
    house.clock.0.send_replace(1_000 + wait);
    let short = Shortage::Waited { account: root(), waited_ms: limits::RESERVE_WAIT_MS };
    assert_eq!(house.hear().await.decision, Err(short));
    quiet().await;
    house.hears_nothing();
}

#[tokio::test]
async fn a_released_reservation_does_not_wait_any_more() {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 100, 80);
    house.granted(model_call(2, 1)).await;
    house.ask(model_call(3, 1), 100, 60);
    let accounts = reservation(model_call(3, 1), 0, 0).accounts;
    assert!(house.ledger.release(root(), model_call(3, 1), accounts.clone()));
    assert!(house.ledger.release(root(), model_call(2, 1), accounts));
    quiet().await;
    house.hears_nothing();
    assert_eq!(house.balance().await, (0, 0));
}

#[tokio::test]
async fn a_tree_that_was_fenced_is_read_again_on_the_next_question() {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 100, 10);
    house.granted(model_call(2, 1)).await;
    house.journal.claim(LogId::ledger(root())).await.unwrap();
    house.ask(model_call(2, 2), 100, 10);
    quiet().await;
    house.hears_nothing();
    house.ask(model_call(2, 2), 100, 10);
    house.granted(model_call(2, 2)).await;
    assert_eq!(house.balance().await, (0, 20));
}

#[tokio::test]
async fn an_unavailable_journal_costs_an_answer_and_a_poisoned_one_is_reported() {
    let mut house = House::new().await;
    house.journal.set(Mood::Refusing(JournalError::Unavailable { why: "full".to_owned() }));
    house.ask(model_call(2, 1), 100, 10);
    quiet().await;
    house.hears_nothing();
    house.journal.set(Mood::Working);
    house.ask(model_call(2, 1), 100, 10);
    house.granted(model_call(2, 1)).await;
    assert!(house.poison.try_recv().is_err());
    let poisoned = JournalError::Poisoned { why: "sync failed".to_owned() };
    house.journal.set(Mood::Refusing(poisoned.clone()));
    house.ask(model_call(2, 2), 100, 10);
    assert_eq!(house.poison.recv().await, Some(poisoned));
    house.hears_nothing();
}

#[tokio::test]
async fn a_journal_that_does_not_answer_is_unavailable_after_a_while() {
    let mut house = House::new().await;
    house.journal.set(Mood::Hanging);
    house.ask(model_call(2, 1), 100, 10);
    quiet().await;
    house.clock.0.send_modify(|now| *now += i64::try_from(limits::APPEND_MS).unwrap());
    quiet().await;
    house.journal.set(Mood::Working);
    house.ask(model_call(2, 1), 100, 10);
    house.granted(model_call(2, 1)).await;
    assert_eq!(house.grants(model_call(2, 1)), 1);
}

#[tokio::test]
async fn an_idle_tree_leaves_memory_and_comes_back_the_same() {
    let mut house = House::new().await;
    house.ask(model_call(2, 1), 100, 30);
    house.granted(model_call(2, 1)).await;
    let before = house.figures().await;
    house.clock.0.send_modify(|now| *now += i64::try_from(limits::IDLE_MS).unwrap());
    quiet().await;
    assert_eq!(house.ledger.figures(root()).await, None, "it left; asking brings it back");
    assert_eq!(house.figures().await, before);
}
