//! Whose turn it is.

use super::*;

/// One place, a call at a time, each as long as any other: after how many calls each came in.
fn waits(desk: &mut Desk, of: impl Fn(&Claim) -> bool) -> Vec<usize> {
    let order = std::iter::from_fn(|| {
        let (no, claim) = desk.grant()?;
        desk.ended(no, End::Answered);
        Some(claim)
    });
    order.enumerate().filter(|(_, claim)| of(claim)).map(|(after, _)| after).collect()
}

fn p99(mut waits: Vec<usize>) -> usize {
    waits.sort_unstable();
    waits[(waits.len() * 99).div_ceil(100) - 1]
}

#[test]
fn one_session_with_a_thousand_huge_calls_delays_ninety_nine_others_by_less_than_they_do() {
    let others = |claim: &Claim| claim.session != session(0);
    let mut solo = Desk::new(1);
    (1..100).for_each(|who| solo.waits(claim(who, 10_000)));
    let mut beside = Desk::new(1);
    (0..1_000).for_each(|_| beside.waits(claim(0, 100_000)));
    (1..100).for_each(|who| beside.waits(claim(who, 10_000)));
    let (solo, beside) = (p99(waits(&mut solo, others)), p99(waits(&mut beside, others)));
    assert!(beside <= 2 * solo, "{beside} calls before it, alone {solo}");
}

/// Jain's index: 1 where all have the same, 1/n where one has all.
fn jain(shares: &[u64]) -> f64 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for share in shares {
        let share = f64::from(u32::try_from(*share).unwrap());
        sum += share;
        squares += share * share;
    }
    sum * sum / (squares * f64::from(u32::try_from(shares.len()).unwrap()))
}

/// Tokens that each session was granted, of agents that call again as soon as they are answered.
fn shares(desk: &mut Desk, sizes: &[u64], calls: u64) -> Vec<u64> {
    let mut shares = vec![0; sizes.len()];
    sizes.iter().enumerate().for_each(|(who, size)| desk.waits(claim(who as u128, *size)));
    for _ in 0..calls {
        let (no, claim) = desk.grant().unwrap();
        desk.ended(no, End::Answered);
        shares[claim.session.0.as_u128() as usize] += claim.tokens();
        desk.waits(claim);
    }
    shares
}

#[test]
fn a_hundred_equal_sessions_have_equal_shares() {
    let shares = shares(&mut Desk::new(1), &[10_000; 100], 950);
    assert!(jain(&shares) >= 0.9, "{shares:?}");
}

#[test]
fn sessions_with_calls_of_all_sizes_have_equal_shares_of_tokens() {
    let sizes: Vec<u64> = (1..=16).map(|size| size * limits::FAIR_ROUND).collect();
    let shares = shares(&mut Desk::new(1), &sizes, 2_000);
    assert!(jain(&shares) >= 0.9, "{shares:?}");
}

#[test]
fn no_call_weighs_nothing_or_everything() {
    assert_eq!(claim(1, 0).weight(), limits::FAIR_ROUND);
    assert_eq!(claim(1, u64::MAX).weight(), limits::GATE_WEIGHT_MAX);
    assert_eq!(Claim { input_tokens: u64::MAX, ..claim(1, 9) }.weight(), limits::GATE_WEIGHT_MAX);
}

#[test]
fn roots_go_before_their_agents_and_those_have_their_share() {
    let mut desk = Desk::new(1);
    for who in 0..400 {
        desk.waits(claim(who, 10_000));
        desk.waits(Claim { behind: true, ..claim(1_000 + who, 10_000) });
    }
    assert!(!desk.grant().unwrap().1.behind, "the first is a root's");
    let behind = (0..200).filter(|_| desk.grant().unwrap().1.behind).count();
    assert!((45..=50).contains(&behind), "{behind} of 200");
}

#[test]
fn agents_alone_have_all_and_are_owed_nothing_for_it() {
    let mut desk = Desk::new(1);
    (0..50).for_each(|who| desk.waits(Claim { behind: true, ..claim(who, 10_000) }));
    assert_eq!(desk.grants().len(), 50);
    desk.waits(Claim { behind: true, ..claim(1, 10_000) });
    desk.waits(claim(2, 10_000));
    assert!(!desk.grant().unwrap().1.behind);
}

#[test]
fn who_has_gone_does_not_cost_its_session_a_turn() {
    let mut desk = Desk::new(1);
    for who in [1, 1, 2, 2] {
        desk.waits(claim(who, 10_000));
    }
    let (no, first) = desk.grant().unwrap();
    desk.known.unused(no);
    desk.queue.give_back(&first);
    assert_eq!(desk.grant().unwrap().1.session, session(2));
    assert_eq!(desk.grant().unwrap().1.session, session(1));
}
