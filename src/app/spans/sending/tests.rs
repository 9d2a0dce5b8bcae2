//! Exporters that hang, refuse and are too slow, on a clock in the test's hand.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use greenroom_actors::{
    limits,
    owned::Owned,
    testing::{clock::ManualClock, harness},
};
use opentelemetry::{
    InstrumentationScope,
    metrics::MeterProvider as _,
    trace::{SpanContext, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    metrics::{
        SdkMeterProvider,
        data::{AggregatedMetrics, MetricData, ResourceMetrics},
    },
    trace::{SpanEvents, SpanLinks},
};
use tokio::sync::mpsc;

use super::*;
use crate::clock::SystemClock;

fn span(no: usize) -> SpanData {
    let at = std::time::SystemTime::UNIX_EPOCH;
    SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: no.to_string().into(),
        start_time: at,
        end_time: at,
        attributes: vec![],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn names(spans: impl IntoIterator<Item = SpanData>) -> Vec<usize> {
    spans.into_iter().map(|span| span.name.parse().expect("a number")).collect()
}

fn filled(count: usize) -> Arc<Post> {
    let post = Arc::new(Post::default());
    (0..count).for_each(|no| post.put(span(no)));
    post
}

#[test]
fn what_waits_is_bounded_the_oldest_go_and_are_counted_and_a_lot_given_back_is_the_first_again() {
    let post = filled(HELD + 7);
    assert_eq!((post.taken(), post.taken()), (7, 0));
    let lot = post.lot();
    assert_eq!(names(lot.clone()), (7..7 + LOT).collect::<Vec<_>>());
    post.put(span(99_999));
    // There is room for all but one of it.
    post.give_back(lot, "not now");
    assert_eq!((post.taken(), names(post.lot())[0]), (1, 8));
    // Whatever is neither taken nor said is lost at the end, the lot that is being offered as well.
    assert_eq!(post.left(), (HELD as u64, "not now".to_owned()));
    post.broken("it panicked");
    let left = (HELD as u64, "it panicked".to_owned());
    assert_eq!((post.left(), post.taken()), (left, LOT as u64));
}

/// What an exporter does about each lot that it is offered.
#[derive(Clone, Copy, Debug)]
enum Whim {
    Take,
    Refuse,
    Hang,
    Panic,
}

/// An exporter with whims, which tells of each lot what it does about it.
struct Moody {
    whims: Mutex<VecDeque<Whim>>,
    told: mpsc::Sender<Offered>,
}

impl SpanTaker for Moody {
    fn belong(&mut self, _to: &Resource) {}

    fn take(&self, spans: Vec<SpanData>) -> BoxFuture<'_, OTelSdkResult> {
        Box::pin(async move {
            let whim = self.whims.lock().expect("nobody panics").pop_front().unwrap_or(Whim::Take);
            self.told.send((names(spans), whim)).await.expect("somebody hears it");
            match whim {
                Whim::Take => Ok(()),
                Whim::Refuse => Err(OTelSdkError::InternalFailure("not now".to_owned())),
                Whim::Hang => std::future::pending().await,
                Whim::Panic => panic!("of its own"),
            }
        })
    }

    fn end(&self) -> OTelSdkResult {
        Ok(())
    }
}

type Offered = (Vec<usize>, Whim);

/// A task that hands over to one with these whims: its clock, what is offered, itself, and its end.
fn sent(
    post: &Arc<Post>,
    whims: &[Whim],
) -> (ManualClock, mpsc::Receiver<Offered>, Owned, mpsc::Receiver<()>) {
    let clock = ManualClock::default();
    let (told, tells) = mpsc::channel(64);
    let moody = Moody { whims: Mutex::new(whims.iter().copied().collect()), told };
    let wait = Wait { clock: Arc::new(clock.clone()), every_ms: 1_000 };
    let sending = spans(Arc::new(moody), Arc::clone(post), wait);
    let (over, ends) = mpsc::channel(1);
    let task = Owned::spawn(async move {
        sending.await;
        over.send(()).await.ok();
    });
    (clock, tells, task, ends)
}

/// Waits until the task waits for so many moments.
async fn asleep(clock: &ManualClock, count: usize) {
    let real: Arc<dyn Clock> = Arc::new(SystemClock);
    harness::eventually(&real, "it waits", || async { (clock.sleepers() == count).then_some(()) })
        .await;
}

/// Waits until it waits for the next lot, and for nothing before.
async fn rests(clock: &ManualClock) {
    let real: Arc<dyn Clock> = Arc::new(SystemClock);
    let due = clock.now().plus_ms(1_000);
    let rests = || async { (clock.next_wake() == Some(due)).then_some(()) };
    harness::eventually(&real, "it waits for the next lot", rests).await;
}

async fn next(tells: &mut mpsc::Receiver<Offered>) -> Offered {
    harness::bounded("a lot is offered", tells.recv()).await.expect("it goes on")
}

#[tokio::test]
async fn an_exporter_that_hangs_is_given_up_in_time_and_offered_the_same_again_when_it_is_due() {
    let post = filled(3);
    let (clock, mut tells, _task, _ends) = sent(&post, &[Whim::Hang, Whim::Refuse]);
    asleep(&clock, 1).await;
    clock.advance(1_000);
    assert!(matches!(next(&mut tells).await, (lot, Whim::Hang) if lot == [0, 1, 2]));
    asleep(&clock, 1).await;
    post.put(span(3));
    // Not before the deadline of that lot, and then not before the next is due.
    for ms in [limits::EXPORT_MS - 1, 1, 999] {
        clock.advance(ms);
        asleep(&clock, 1).await;
        assert!(tells.try_recv().is_err(), "it is asked too early");
    }
    clock.advance(1);
    assert!(matches!(next(&mut tells).await, (lot, Whim::Refuse) if lot == [0, 1, 2, 3]));
}

#[tokio::test]
async fn a_full_lot_is_handed_over_at_once_but_not_to_one_who_refuses() {
    let post = filled(LOT);
    let (clock, mut tells, _task, _ends) = sent(&post, &[Whim::Refuse]);
    assert!(matches!(next(&mut tells).await, (lot, Whim::Refuse) if lot.len() == LOT));
    rests(&clock).await;
    (0..LOT).for_each(|no| post.put(span(no)));
    // Whoever would wake of that has its turn.
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    assert!(tells.try_recv().is_err(), "it is asked again before it is due");
    clock.advance(1_000);
    for _ in 0..2 {
        assert!(matches!(next(&mut tells).await, (lot, Whim::Take) if lot.len() == LOT));
    }
}

#[tokio::test]
async fn at_the_end_everything_is_offered_once_more_and_the_task_ends_whatever_comes_of_it() {
    for (whims, lots) in [(&[][..], 2), (&[Whim::Refuse][..], 1)] {
        let post = filled(LOT + 1);
        let closing = post.closing();
        closing.close();
        let (_clock, mut tells, _task, mut ends) = sent(&post, whims);
        harness::bounded("it ends", ends.recv()).await.expect("it says so");
        let mut offered = 0;
        while tells.try_recv().is_ok() {
            offered += 1;
        }
        assert_eq!(offered, lots);
    }
}

#[tokio::test]
async fn an_exporter_that_panics_loses_that_lot_and_is_offered_what_follows() {
    let post = filled(3);
    let (clock, mut tells, _task, _ends) = sent(&post, &[Whim::Panic]);
    asleep(&clock, 1).await;
    clock.advance(1_000);
    assert!(matches!(next(&mut tells).await, (lot, Whim::Panic) if lot == [0, 1, 2]));
    rests(&clock).await;
    assert_eq!(post.left().0, 3, "they are counted");
    post.put(span(3));
    clock.advance(1_000);
    assert!(matches!(next(&mut tells).await, (lot, Whim::Take) if lot == [3]));
}

/// An exporter that blocks its thread until somebody lets it go on.
struct Blocking {
    told: mpsc::Sender<Offered>,
    go: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl SpanTaker for Blocking {
    fn belong(&mut self, _to: &Resource) {}

    fn take(&self, spans: Vec<SpanData>) -> BoxFuture<'_, OTelSdkResult> {
        Box::pin(async move {
            self.told.send((names(spans), Whim::Take)).await.expect("somebody hears it");
            let go = self.go.lock().expect("nobody panics");
            let patience = std::time::Duration::from_secs(10);
            go.recv_timeout(patience).expect("whoever shares its thread comes to let it go");
            Ok(())
        })
    }

    fn end(&self) -> OTelSdkResult {
        Ok(())
    }
}

#[tokio::test]
async fn an_exporter_that_blocks_holds_nobody_up_and_what_it_takes_late_it_is_not_offered_again() {
    let post = filled(3);
    let clock = ManualClock::default();
    let (told, mut tells) = mpsc::channel(64);
    let (let_go, go) = std::sync::mpsc::sync_channel(2);
    let blocking = Blocking { told, go: Mutex::new(go) };
    let wait = Wait { clock: Arc::new(clock.clone()), every_ms: 1_000 };
    let _task = Owned::spawn(spans(Arc::new(blocking), Arc::clone(&post), wait));
    asleep(&clock, 1).await;
    clock.advance(1_000);
    assert_eq!(next(&mut tells).await.0, [0, 1, 2]);
    asleep(&clock, 1).await;
    clock.advance(limits::EXPORT_MS);
    asleep(&clock, 0).await;
    post.put(span(3));
    let_go.send(()).expect("it waits");
    // It took them, if late; the next lot is due at once, for it is the same round.
    assert_eq!(next(&mut tells).await.0, [3]);
    let_go.send(()).expect("it waits");
    rests(&clock).await;
    assert_eq!(post.left().0, 0);
}

/// Wants what is new alone, refuses the first, and tells how much there was each time.
struct NewOnly {
    told: mpsc::Sender<u64>,
    refused: AtomicBool,
}

impl MetricTaker for NewOnly {
    fn wants(&self) -> Temporality {
        Temporality::Delta
    }

    fn take<'a>(&'a self, metrics: &'a ResourceMetrics) -> BoxFuture<'a, OTelSdkResult> {
        let counts = metrics.scope_metrics().flat_map(|scope| scope.metrics()).map(|metric| {
            let AggregatedMetrics::F64(MetricData::Histogram(all)) = metric.data() else {
                panic!("{metric:?}")
            };
            all.data_points().map(|point| point.count()).sum::<u64>()
        });
        let count = counts.sum();
        Box::pin(async move {
            self.told.send(count).await.expect("somebody hears it");
            match self.refused.swap(true, Ordering::SeqCst) {
                true => Ok(()),
                false => Err(OTelSdkError::InternalFailure("not now".to_owned())),
            }
        })
    }

    fn end(&self) -> OTelSdkResult {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_new_and_was_refused_is_offered_again_and_nothing_of_it_is_lost() {
    let reader = Reader::new(Temporality::Delta);
    let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
    let lengths = provider.meter("test").f64_histogram("length").build();
    let measured = |count| (0..count).for_each(|_| lengths.record(1.0, &[]));
    let clock = ManualClock::default();
    let (told, mut tells) = mpsc::channel(64);
    let wait = Wait { clock: Arc::new(clock.clone()), every_ms: 1_000 };
    let taker = NewOnly { told, refused: AtomicBool::new(false) };
    let closing = Closing::default();
    measured(2);
    let _task = Owned::spawn(metrics(Arc::new(taker), (closing.clone(), reader), wait));
    asleep(&clock, 1).await;
    clock.advance(1_000);
    assert_eq!(harness::bounded("metrics", tells.recv()).await, Some(2));
    rests(&clock).await;
    measured(5);
    clock.advance(1_000);
    assert_eq!(harness::bounded("what was refused", tells.recv()).await, Some(2));
    assert_eq!(harness::bounded("what is new", tells.recv()).await, Some(5));
}
