//! What the gate makes of its vendor's words, as tasks see it. Each of these fails where the gate is
//! only so many places.

use std::sync::Mutex;

use super::*;
use crate::{
    domain::model::{Allowance, RateLimits},
    policy::gate::{End, Stage},
};

/// Who was let in, and how.
type Came = (u128, Pass);

const BROKEN: End = End::Broken { retry_after_ms: None };

/// The first call at a gate, and what its vendor said of requests beside the answer; who comes to the gate
/// next goes the same way.
async fn told(house: &House, requests: Allowance) -> (mpsc::Sender<Came>, mpsc::Receiver<Came>) {
    let (to, mut passes) = mpsc::channel(100);
    drop(house.task(0, FAR, &to));
    let (_, pass) = next(&mut passes).await;
    pass.heard(&RateLimits { requests: Some(requests), ..RateLimits::default() });
    pass.ended(End::Answered);
    (to, passes)
}

/// One place and a crowd: who was let in, in order, if each goes as soon as it is in.
async fn order(house: &House, claims: Vec<Claim>) -> Vec<u128> {
    let (to, mut passes) = mpsc::channel(2_000);
    let blocker = house.task(9_999, FAR, &to);
    let (_, held) = next(&mut passes).await;
    blocker.await.unwrap().unwrap();
    let many = claims.len();
    for claim in claims {
        drop(house.claims(claim, FAR, &to));
    }
    house.waiting(many).await;
    drop(held);
    let mut order = Vec::with_capacity(many);
    for _ in 0..many {
        order.push(next(&mut passes).await.0);
    }
    order
}

#[tokio::test]
async fn a_thousand_huge_calls_of_one_session_do_not_keep_the_others_waiting() {
    let others = || (1..100).map(|who| Claim { output_tokens: 10_000, ..claim(who) });
    let p99 = |order: &[u128]| {
        let places = order.iter().enumerate().filter(|(_, who)| **who > 0).map(|(at, _)| at);
        let mut places: Vec<usize> = places.collect();
        places.sort_unstable();
        places[(places.len() * 99).div_ceil(100) - 1]
    };
    let solo = p99(&order(&House::new(1).await, others().collect()).await);
    let huge = (0..1_000).map(|_| Claim { output_tokens: 100_000, ..claim(0) });
    let beside = p99(&order(&House::new(1).await, huge.chain(others()).collect()).await);
    assert!(beside <= 2 * solo, "{beside} before the last of them, alone {solo}");
}

#[tokio::test]
async fn a_vendor_that_says_nothing_is_left_is_not_called_before_its_window_ends() {
    let mut house = House::new(64).await;
    let none = Allowance { limit: 1_000, remaining: 0, reset_ms: 5_000 };
    let (to, mut passes) = told(&house, none).await;
    for who in 1..=10 {
        drop(house.task(who, FAR, &to));
    }
    house.waiting(10).await;
    for ms in [1_000, 3_000, 5_999] {
        house.clock.forward_to(Timestamp(ms));
        House::quiet().await;
        assert!(passes.try_recv().is_err(), "nothing is left at {ms}");
    }
    // It holds over a restart as well.
    house.restart().await;
    house.waiting(10).await;
    House::quiet().await;
    assert!(passes.try_recv().is_err());
    house.clock.forward_to(Timestamp(6_000));
    for _ in 0..10 {
        drop(next(&mut passes).await);
    }
}

/// On threads, for the pause must be told amid the actor's work. Where it falls is chance, so there
/// are many rounds: a gate that books a call under another lock than that under which it was decided
/// fails one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_is_told_while_a_crowd_is_let_in_holds_whoever_is_not_in() {
    const CROWD: usize = 40;
    for round in 0..200 {
        let house = House::new(64).await;
        let none = Allowance { limit: 1_000, remaining: 0, reset_ms: 1_000 };
        let (to, mut passes) = told(&house, none).await;
        (1..=CROWD as u128).for_each(|who| drop(house.task(who, FAR, &to)));
        house.waiting(CROWD).await;
        house.clock.forward_to(Timestamp(2_000));
        eventually(|| house.gate.figures().waiting <= CROWD - round % CROWD).await;
        house.gate.pause(10_000);
        // All who were let in have heard of it, so nothing is booked any more.
        let mut inside = Vec::new();
        while inside.len() < CROWD - house.gate.figures().waiting {
            inside.push(next(&mut passes).await);
        }
        let mut another = Queue::new(1);
        another.put(0, claim(999), ());
        let next = house.gate.known().next(&another, Timestamp(2_000));
        let Next::Wait { until: Some(until) } = next else { panic!("{round}: {next:?}") };
        assert!(until >= Timestamp(12_000), "{round}: {until:?}");
    }
}

#[tokio::test]
async fn what_little_a_vendor_has_left_is_spread_over_its_window() {
    let house = House::new(64).await;
    let little = Allowance { limit: 1_000, remaining: 10, reset_ms: 10_000 };
    let (to, mut passes) = told(&house, little).await;
    for who in 1..=10 {
        drop(house.task(who, FAR, &to));
    }
    house.waiting(9).await;
    let mut by_second = Vec::new();
    for second in 0..10 {
        house.clock.forward_to(Timestamp(1_000 + 1_000 * second + 500));
        House::quiet().await;
        by_second.push(std::iter::from_fn(|| passes.try_recv().ok()).count());
    }
    assert_eq!(by_second, [1; 10]);
}

/// Opens the breaker: so many fail in a row. Who comes to the gate next goes the same way.
async fn break_down(house: &House) -> (mpsc::Sender<Came>, mpsc::Receiver<Came>) {
    let (to, mut passes) = mpsc::channel(100);
    for who in 0..u128::from(limits::GATE_FAILURES) {
        drop(house.task(who, FAR, &to));
        next(&mut passes).await.1.ended(BROKEN);
    }
    assert!(matches!(house.gate.bars().breaker, Stage::Open { .. }));
    (to, passes)
}

#[tokio::test]
async fn while_a_vendor_is_down_one_calls_at_a_time_and_when_it_is_back_all_do() {
    let mut house = House::new(64).await;
    let (to, mut passes) = break_down(&house).await;
    let mut tasks: Vec<_> = (100..150).map(|who| house.task(who, FAR, &to)).collect();
    house.waiting(50).await;
    House::quiet().await;
    assert!(passes.try_recv().is_err(), "nobody calls");
    // The first look fails.
    house.clock.forward_to(Timestamp(3_000));
    let (_, probe) = next(&mut passes).await;
    House::quiet().await;
    assert!(passes.try_recv().is_err(), "one calls, the others wait");
    let waits: Vec<_> = (100..150).filter_map(|who| house.gate.waits_for(session(who))).collect();
    assert_eq!(waits.len(), 49, "the one that calls does not wait");
    assert_eq!(waits[0], "gate key: the vendor is down, a probe is on its way");
    assert!(matches!(house.gate.bars().breaker, Stage::Probing { .. }));
    probe.ended(BROKEN);
    // The second is broken off, and the gate's actor dies before the third.
    house.clock.forward_to(Timestamp(6_000));
    let (_, lost) = next(&mut passes).await;
    House::quiet().await;
    assert!(passes.try_recv().is_err(), "the others wait for the second");
    house.restart().await;
    House::quiet().await;
    assert!(passes.try_recv().is_err(), "also at the next actor");
    drop(lost);
    let (_, probe) = next(&mut passes).await;
    House::quiet().await;
    assert!(passes.try_recv().is_err(), "again one");
    probe.ended(End::Answered);
    house.clock.forward_to(Timestamp(10_000));
    for _ in 0..47 {
        drop(next(&mut passes).await);
    }
    for task in tasks.drain(..) {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_probe_whose_task_had_gone_before_its_turn_is_none() {
    let house = House::new(64).await;
    let (to, mut passes) = break_down(&house).await;
    let gone = house.task(100, FAR, &to);
    drop(house.task(101, FAR, &to));
    house.waiting(2).await;
    gone.abort();
    house.waiting(1).await;
    house.clock.forward_to(Timestamp(3_000));
    assert_eq!(next(&mut passes).await.0, 101);
}

#[tokio::test]
async fn a_probe_whose_answer_comes_as_a_whole_keeps_nobody_until_its_deadline() {
    let house = House::new(64).await;
    let (to, mut passes) = break_down(&house).await;
    drop(house.task(100, FAR, &to));
    house.waiting(1).await;
    house.clock.forward_to(Timestamp(3_000));
    let (_, silent) = next(&mut passes).await;
    drop(house.task(101, FAR, &to));
    house.waiting(1).await;
    house.clock.forward_to(Timestamp(3_000).plus_ms(limits::GATE_PROBE_MAX_MS));
    let (who, another) = next(&mut passes).await;
    assert_eq!(who, 101);
    another.began();
    assert_eq!(house.gate.bars().breaker, Stage::Closed);
    drop(silent);
}

#[tokio::test]
async fn who_waits_for_a_probe_waits_no_longer_than_its_own_deadline() {
    let house = House::new(64).await;
    let (to, mut passes) = break_down(&house).await;
    drop(house.task(100, FAR, &to));
    house.waiting(1).await;
    house.clock.forward_to(Timestamp(3_000));
    let (_, probe) = next(&mut passes).await;
    let late = house.task(101, Timestamp(4_000), &to);
    house.waiting(1).await;
    house.clock.forward_to(Timestamp(4_000));
    assert!(matches!(late.await.unwrap(), Err(GateRefused::TimedOut { .. })));
    drop(probe);
}

/// Calls that a vendor saw: when, and whether it was made before.
type Seen = Arc<Mutex<Vec<(i64, bool)>>>;

/// An agent that calls until it is answered; the vendor takes 300 ms for each call.
#[expect(clippy::disallowed_methods, reason = "a test needs the task's result")]
fn agent(house: &House, who: u128, seen: &Seen, fails: fn(i64) -> Option<End>) -> JoinHandle<()> {
    let (gate, clock, seen) = (house.gate.clone(), Arc::clone(&house.clock), Arc::clone(seen));
    tokio::spawn(async move {
        for attempt in 0.. {
            let claim = Claim { attempt, ..claim(who) };
            let call = CallId::model(session(who), ModelCallNo(attempt));
            let pass = gate.acquire(claim, call, FAR).await.unwrap();
            seen.lock().unwrap().push((clock.now().0, attempt > 0));
            clock.after(300).await;
            match fails(clock.now().0) {
                None => return pass.ended(End::Answered),
                Some(end) => pass.ended(end),
            }
        }
    })
}

/// 500 agents at a gate, until all are answered: what the vendor saw.
async fn storm(step_ms: i64, fails: fn(i64) -> Option<End>) -> Vec<(i64, bool)> {
    let house = House::new(limits::GATE_CALLS).await;
    let seen = Seen::default();
    let agents: Vec<_> = (0..500).map(|who| agent(&house, who, &seen, fails)).collect();
    for step in 0.. {
        assert!(step < 20_000, "they never come to an end");
        House::quiet().await;
        if agents.iter().all(JoinHandle::is_finished) {
            break;
        }
        house.clock.forward_to(Timestamp(1_000 + step_ms * step));
    }
    for agent in agents {
        agent.await.unwrap();
    }
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[tokio::test]
async fn five_hundred_agents_spend_a_tenth_more_calls_on_three_minutes_of_outage() {
    let seen = storm(100, |now| (now < 181_000).then_some(BROKEN)).await;
    let again = seen.iter().filter(|(_, again)| *again).count();
    println!("{} calls, {again} made again, the last at {:?}", seen.len(), seen.last());
    assert!(again <= 500 / 10 + limits::GATE_AGAIN_FLOOR as usize, "{again}");
    // Nobody pounds on it meanwhile: what is seen then are the first ones and probes.
    let meanwhile = seen.iter().filter(|(at, _)| (2_000..181_000).contains(at)).count();
    assert!(meanwhile <= 12, "{meanwhile}");
}

#[tokio::test]
async fn five_hundred_agents_keep_away_for_as_long_as_a_refusal_said() {
    let seen = storm(25, |now| {
        (now < 8_000).then_some(End::Refused { retry_after_ms: Some((8_000 - now) as u64) })
    })
    .await;
    let again = seen.iter().filter(|(_, again)| *again).count();
    assert!(again <= 50, "{again}");
    let (first, rest): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(at, _)| *at < 1_500);
    assert_eq!(first.len(), limits::GATE_CALLS as usize, "those in flight when it was said");
    assert!(rest.iter().all(|(at, _)| *at >= 8_000), "nobody calls before");
    let mut seconds = std::collections::BTreeMap::<i64, usize>::new();
    for (at, _) in &rest {
        *seconds.entry((at - 8_000) / 1_000).or_default() += 1;
    }
    let peak = *seconds.values().max().unwrap();
    let mean = rest.len() / seconds.len();
    println!("{again} again; {} seconds, peak {peak}, mean {mean}", seconds.len());
    assert!(peak <= 2 * mean, "{seconds:?}");
}
