//! The figures that the store keeps beside its lines are those that counting gives, after whatever was
//! written, rebuilt, deleted, left behind and opened again. Two count: SQL over the lines themselves, and
//! the store in memory, to which the same is told.

use greenroom_actors::{
    domain::{
        catalog::{Erasure, Wait},
        ids::{ModelCallNo, TenantId},
        usage::{NanoUsd, Usage},
    },
    testing::memory::MemoryStore,
};
use proptest::prelude::*;

use super::*;

/// What may be told of one of a few sessions.
#[derive(Clone, Debug)]
enum Told {
    /// A frame: with its line or without, and with bookings.
    Frame { n: u8, line: Option<Line>, bookings: Vec<Booking> },
    /// The read model could not follow a frame.
    Missed { n: u8, line: Line },
    /// It is told anew, by what was told last.
    Rebuilt { n: u8 },
    /// The tree is deleted.
    Deleted { n: u8 },
    /// The store is closed and opened.
    Reopened,
}

#[derive(Clone, Debug)]
struct Line {
    agent: u8,
    status: Status,
    words: Option<&'static str>,
    restarts: u64,
    is_below: bool,
}

#[derive(Clone, Debug)]
struct Booking {
    call: u32,
    model: u8,
    agent: u8,
    settlement: Settlement,
}

const SESSIONS: u8 = 6;

fn told() -> impl Strategy<Value = Told> {
    let n = 0..SESSIONS;
    prop_oneof![
        12 => (n.clone(), proptest::option::weighted(0.8, line()), proptest::collection::vec(booking(), 0..3))
            .prop_map(|(n, line, bookings)| Told::Frame { n, line, bookings }),
        1 => (n.clone(), line()).prop_map(|(n, line)| Told::Missed { n, line }),
        2 => n.clone().prop_map(|n| Told::Rebuilt { n }),
        2 => n.prop_map(|n| Told::Deleted { n }),
        1 => Just(Told::Reopened),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let words = [None, Some("model small"), Some("tool shell"), Some("2 children"), Some("budget")];
    let status = proptest::sample::select(Status::ALL.to_vec());
    let words = proptest::sample::select(words.to_vec());
    (0..2_u8, status, words, 0..4_u64, any::<bool>()).prop_map(
        |(agent, status, words, restarts, is_below)| Line {
            agent,
            status,
            words,
            restarts,
            is_below,
        },
    )
}

fn booking() -> impl Strategy<Value = Booking> {
    let exact = (0..9_u64, proptest::option::of(0..50_u64)).prop_map(|(output, cost)| {
        let usage = Usage { input: 3, cache_read: 2, cache_write: 1, output, reasoning: 1 };
        Settlement::Exact { usage, cost: cost.map(NanoUsd) }
    });
    let lost = (0..9_u64, proptest::option::of(0..50_u64)).prop_map(|(tokens_max, cost)| {
        Settlement::Unsettled { tokens_max, cost_max: cost.map(NanoUsd) }
    });
    let settlement = prop_oneof![3 => exact, 1 => lost, 1 => Just(Settlement::Free)];
    (1..4_u32, 0..2_u8, 0..2_u8, settlement).prop_map(|(call, model, agent, settlement)| Booking {
        call,
        model,
        agent,
        settlement,
    })
}

/// Whose a session is.
fn tenant(n: u8) -> TenantId {
    TenantId(format!("tenant {}", n % 2))
}

fn id(n: u8) -> SessionId {
    session(u128::from(n) + 1)
}

impl Line {
    /// One of the upper half may stand below one of the lower half.
    fn change(&self, n: u8, position: Position) -> Change {
        let up = self.is_below.then_some(n.wrapping_sub(SESSIONS / 2)).filter(|up| *up < n);
        let Change::Session(row) = row(u128::from(n) + 1, position.0) else { unreachable!() };
        Change::Session(Box::new(SessionRow {
            tenant: tenant(n),
            root: up.map_or(id(n), id),
            parent: up.map(id),
            agent: format!("agent {}", self.agent).as_str().into(),
            status: self.status,
            waiting_on: self.words.map(str::to_owned),
            restarts: self.restarts,
            ..*row
        }))
    }
}

impl Booking {
    fn change(&self) -> Change {
        Change::Usage {
            call: ModelCallNo(self.call),
            model: format!("model {}", self.model).as_str().into(),
            agent: format!("agent {}", self.agent).as_str().into(),
            settlement: self.settlement,
        }
    }
}

/// The store, and the one in memory that hears the same.
struct Pair {
    path: PathBuf,
    _folder: TempDir,
    store: Store,
    memory: MemoryStore,
    /// What each session was told since it is there.
    said: std::collections::BTreeMap<u8, Vec<Change>>,
}

impl Pair {
    async fn tell(&mut self, told: Told) {
        match told {
            Told::Frame { n, line, bookings } => {
                let position = self.tail(n).await.next();
                let mut changes: Vec<_> = bookings.iter().map(Booking::change).collect();
                changes.extend(line.map(|line| line.change(n, position)));
                self.frame(n, changes).await;
            }
            Told::Missed { n, line } => {
                self.store.raw("ALTER TABLE usage RENAME TO hidden").await;
                let position = self.tail(n).await.next();
                self.frame(n, vec![line.change(n, position), free(9)]).await;
                self.store.raw("ALTER TABLE hidden RENAME TO usage").await;
                assert_eq!(self.store.stale().await.unwrap(), [id(n)]);
                self.rebuild(n).await;
            }
            Told::Rebuilt { n } => self.rebuild(n).await,
            Told::Deleted { n } => {
                let erasure = Erasure { root: id(n), off_stage: (0..SESSIONS).map(id).collect() };
                let tree = self.store.erase(erasure.clone()).await.unwrap();
                assert_eq!(self.memory.erase(erasure).await.unwrap(), tree);
                for n in 0..SESSIONS {
                    if self.store.session(id(n)).await.unwrap().is_none()
                        && self.tail(n).await == Position(0)
                    {
                        self.said.remove(&n);
                    }
                }
            }
            Told::Reopened => {
                self.store.close();
                self.store = open(&self.path);
            }
        }
    }

    async fn tail(&self, n: u8) -> Position {
        self.store.tail(LogId::session(id(n))).await.unwrap().0
    }

    async fn frame(&mut self, n: u8, changes: Vec<Change>) {
        for journal in [&self.store as &dyn Journal, &self.memory] {
            let log = LogId::session(id(n));
            let claim = journal.claim(log).await.unwrap();
            let writer = LogWriter::new(log, claim, tenant(n), "p".into());
            journal.append(next(&writer, "told", changes.clone())).await.unwrap();
        }
        self.said.entry(n).or_default().extend(changes);
    }

    async fn rebuild(&mut self, n: u8) {
        let said = self.said.get(&n).cloned().unwrap_or_default();
        let tail = self.tail(n).await;
        for catalog in [&self.store as &dyn greenroom_actors::ports::Catalog, &self.memory] {
            assert_eq!(catalog.replace(id(n), tail, said.clone()).await, Ok(tail));
        }
    }

    /// What is kept is what is counted.
    async fn agree(&self) {
        for tenant in [None, Some(tenant(0)), Some(tenant(1)), Some("nobody".into())] {
            let kept = self.store.census(tenant.clone()).await.unwrap();
            assert_eq!(kept, self.memory.census(tenant.clone()).await.unwrap(), "{tenant:?}");
        }
        let some = |n: u8| {
            [
                TotalsOf::Tenant(tenant(n)),
                TotalsOf::Model(format!("model {n}").as_str().into()),
                TotalsOf::Agent(format!("agent {n}").as_str().into()),
                TotalsOf::Session(id(n)),
                TotalsOf::Subtree(id(n)),
            ]
        };
        for of in [TotalsOf::Runtime].into_iter().chain((0..2).flat_map(some)) {
            let kept = self.store.totals(of.clone()).await.unwrap();
            assert_eq!(kept, self.memory.totals(of.clone()).await.unwrap(), "{of:?}");
        }
        assert_eq!(self.store.door.clone().read(wrong).await, Ok(0), "rows that counting denies");
    }
}

/// Rows that are kept and that no count gives, or the other way round; rows of nothing, but for states
/// that somebody of the same agent may come back to.
fn wrong(conn: &Connection) -> Result<i64, Trouble> {
    let counted = "SELECT tenant, agent, status, coalesce(waits, ''), count(*), sum(restarts) \
                   FROM session GROUP BY 1, 2, 3, 4";
    let summed = "SELECT tenant, model, agent, sum(lines), sum(exact), sum(input), \
                  sum(cache_read), sum(cache_write), sum(output), sum(reasoning), sum(cost), \
                  sum(unpriced), sum(unsettled), sum(tokens_max), sum(cost_max) \
                  FROM booking GROUP BY 1, 2, 3";
    let kept = "SELECT * FROM census WHERE sessions <> 0 OR restarts <> 0";
    let either = |a: &str, b: &str| {
        format!("(SELECT count(*) FROM (SELECT * FROM ({a}) EXCEPT SELECT * FROM ({b})))")
    };
    let sql = format!(
        "SELECT {} + {} + {} + {}",
        either(kept, counted),
        either(counted, kept),
        either("SELECT * FROM booked", summed),
        either(summed, "SELECT * FROM booked"),
    );
    Ok(conn.query_row(&sql, [], |row| row.get(0))?)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_any_history_what_is_kept_is_what_is_counted(
        history in proptest::collection::vec(told(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, path) = folder();
            let (store, memory) = (open(&path), MemoryStore::default());
            let mut pair = Pair { path, _folder, store, memory, said: [].into() };
            for told in history {
                pair.tell(told).await;
                pair.agree().await;
            }
        });
    }
}

#[tokio::test]
async fn a_store_that_kept_no_figures_counts_once() {
    let (_folder, path) = folder();
    let store = open(&path);
    let busy = |n, status, words: Option<&str>| {
        let Change::Session(line) = row(n, 1) else { unreachable!() };
        let waiting_on = words.map(str::to_owned);
        Change::Session(Box::new(SessionRow { status, waiting_on, restarts: 2, ..*line }))
    };
    for (n, status, words) in [
        (1, Status::Running, Some("model small")),
        (2, Status::Running, Some("model large")),
        (3, Status::Waiting, None),
        (4, Status::Idle, Some("model small")),
    ] {
        let writer = claimed(&store, house(n)).await;
        store.append(next(&writer, "x", vec![busy(n, status, words), free(1)])).await.unwrap();
    }
    let (kept, booked) =
        (store.census(None).await, store.totals(TotalsOf::Tenant("t".into())).await);
    let waits: Vec<_> = kept.iter().flatten().map(|one| (one.waits, one.sessions)).collect();
    assert_eq!(waits, [(None, 1), (Some(Wait::Model), 2), (Some(Wait::Other), 1)]);
    store.close();
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(opening::WITHOUT_PLACES).unwrap();
    conn.execute_batch(opening::WITHOUT_ASKING).unwrap();
    conn.execute_batch(opening::WITHOUT_FIGURES).unwrap();
    conn.execute_batch("PRAGMA user_version = 4").unwrap();
    drop(conn);
    let store = open(&path);
    assert_eq!(store.census(None).await, kept);
    assert_eq!(store.totals(TotalsOf::Tenant("t".into())).await, booked);
    assert_eq!(store.door.clone().read(wrong).await, Ok(0));
}
