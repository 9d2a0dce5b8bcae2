//! The manual clock moves only by hand, and the same seed is the same run.

use std::{pin::pin, task::Poll};

use futures_util::{FutureExt as _, poll};

use super::*;

#[tokio::test]
async fn a_sleeper_wakes_when_its_time_is_reached_and_not_before() {
    let clock = ManualClock::default();
    let mut sleep = pin!(clock.sleep_until(START.plus_ms(100)));
    assert_eq!(poll!(sleep.as_mut()), Poll::Pending);
    clock.advance(99);
    assert_eq!(poll!(sleep.as_mut()), Poll::Pending);
    assert_eq!(clock.sleepers(), 1);
    clock.advance(1);
    assert_eq!(poll!(sleep.as_mut()), Poll::Ready(()));
    assert_eq!(clock.sleepers(), 0);
}

#[tokio::test]
async fn moving_to_the_next_sleeper_passes_them_in_order() {
    let clock = ManualClock::default();
    let mut late = pin!(clock.sleep_until(START.plus_ms(20)));
    let mut early = pin!(clock.sleep_until(START.plus_ms(10)));
    assert_eq!(poll!(late.as_mut()), Poll::Pending);
    assert_eq!(poll!(early.as_mut()), Poll::Pending);
    assert!(clock.advance_to_next());
    assert_eq!(clock.now(), START.plus_ms(10));
    assert_eq!(poll!(early.as_mut()), Poll::Ready(()));
    assert_eq!(poll!(late.as_mut()), Poll::Pending);
    assert!(clock.advance_to_next());
    assert_eq!(poll!(late.as_mut()), Poll::Ready(()));
    assert!(!clock.advance_to_next());
}

#[test]
fn a_dropped_sleeper_is_forgotten_and_the_past_is_no_sleep() {
    let clock = ManualClock::default();
    let mut gone = clock.sleep_until(START.plus_ms(5));
    assert!(gone.as_mut().now_or_never().is_none());
    drop(gone);
    assert_eq!(clock.next_wake(), None);
    assert!(clock.sleep_until(START).now_or_never().is_some());
}

#[test]
fn the_same_seed_gives_the_same_ids_and_numbers() {
    let (one, same, other) = (ManualClock::new(7), ManualClock::new(7), ManualClock::new(8));
    assert_eq!(one.new_session(), same.new_session());
    assert_eq!(one.random(), same.random());
    assert_ne!(one.random(), other.random());
    assert_ne!(one.new_session(), one.new_session());
}

#[tokio::test]
async fn a_wall_that_is_set_moves_those_who_wait_for_it_and_nobody_else() {
    let clock = ManualClock::default();
    let hour = 3_600_000;
    let mut wall = pin!(clock.sleep_until(START.plus_ms(100)));
    let mut nap = pin!(clock.after(100));
    assert_eq!((poll!(wall.as_mut()), poll!(nap.as_mut())), (Poll::Pending, Poll::Pending));
    clock.set(Timestamp(START.0 - hour));
    assert_eq!((clock.running(), clock.sleepers()), (START, 2));
    clock.advance(100);
    assert_eq!((poll!(wall.as_mut()), poll!(nap.as_mut())), (Poll::Pending, Poll::Ready(())));
    let mut nap = pin!(clock.after(100));
    assert_eq!(poll!(nap.as_mut()), Poll::Pending);
    clock.set(START.plus_ms(hour.unsigned_abs()));
    assert_eq!((poll!(wall.as_mut()), poll!(nap.as_mut())), (Poll::Ready(()), Poll::Pending));
    assert!(clock.advance_to_next());
    assert_eq!(poll!(nap.as_mut()), Poll::Ready(()));
    assert_eq!(clock.running(), START.plus_ms(200));
}
