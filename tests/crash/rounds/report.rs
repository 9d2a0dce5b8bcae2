//! What a run came to, printed, and what in it was too little to prove anything.

use super::*;

pub(super) fn report(plan: &Plan, stage: &Stage, facts: &Facts, hits: &Hits, tally: &mut Tally) {
    let client = &stage.client;
    let (ended, cancels, releases) = (client.ended, client.cancels, client.releases);
    println!("jobs ended {ended}, cancels {cancels}, releases {releases}");
    println!(
        "sessions {}, frames {}, calls at the vendor {}, effects {}",
        facts.sessions.len(),
        facts.commits.len(),
        facts.model.len() / 2,
        facts.sink.len()
    );
    let starts: Vec<u64> = stage.start_ms.clone();
    let mean = starts.iter().sum::<u64>() / starts.len().max(1) as u64;
    let most = starts.iter().max().copied().unwrap_or(0);
    println!("runtimes {}, served after {mean} ms, at most {most} ms", stage.starts);
    println!(
        "kills: {} before it served, {} within {RECOVERY_MS} ms of that, up to {} of these in a \
         row, {} without work in hand",
        tally.unready, tally.recovery, tally.longest_row, tally.idle
    );
    let amid = coverage::cut_amid(facts);
    let amid = amid.keys().filter(|process| tally.killed.contains(process)).count();
    println!("{amid} kills amid a stream");
    if amid == 0 && tally.kills >= KILLS_THAT_FALL_AMID {
        tally.wrong(format!("of {} kills none came amid a stream", tally.kills));
    }
    for (what, count) in events(facts) {
        println!("  {count:>7} {what}");
    }
    println!("what the kills cut:");
    for (what, count) in coverage::of(facts) {
        println!("  {count:>7} {what}");
        if count == 0 && tally.kills >= KILLS_THAT_CUT {
            tally.wrong(format!("the load did not bring about: {what}"));
        }
    }
    if !stage.client.refusals.is_empty() {
        println!("refusals:");
        for (why, count) in &stage.client.refusals {
            println!("  {count:>7} {why}");
        }
    }
    if plan.aborts {
        println!("abort points, hits:");
        for (point, count) in hits {
            println!("  {count:>7} {point}");
        }
    }
    println!("observations:");
    for (name, _) in check::ALL {
        let seen = tally.seen.get(name).copied().unwrap_or(0);
        println!("  {seen:>7} {name}");
        if seen == 0 {
            tally.violations.push(format!("{name}: looked at nothing"));
        }
    }
    for violation in tally.violations.iter().take(SHOWN) {
        println!("VIOLATION {violation}");
    }
    if !tally.violations.is_empty() {
        for line in stage.log_tail(20) {
            println!("runtime: {line}");
        }
    }
}

/// What happened, counted by the events' names.
fn events(facts: &Facts) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (_, _, event) in facts.events() {
        *counts.entry(event.name().to_owned()).or_default() += 1;
    }
    counts
}
