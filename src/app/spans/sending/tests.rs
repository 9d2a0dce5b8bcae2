//! Exporters that hang, refuse and are too slow, on a clock in the test's hand.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use greenroom_actors::{
    owned::Owned,
    testing::{clock::ManualClock, harness},
};
use opentelemetry::{
    InstrumentationScope,
    trace::{SpanContext, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
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
    assert_eq!((post.lost(), post.lost()), (7, 0));
    let lot = post.lot();
    assert_eq!(names(lot.clone()), (7..7 + LOT).collect::<Vec<_>>());
    post.put(span(99_999));
    // There is room for all but one of it.
    post.give_back(lot);
    assert_eq!((post.lost(), names(post.lot())[0]), (1, 8));
}

/// What an exporter does about each lot that it is offered.
#[derive(Clone, Copy, Debug)]
enum Whim {
    Take,
    Refuse,
    Hang,
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
    asleep(&clock, 1).await;
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
