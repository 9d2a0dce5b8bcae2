//! The rounds of a run: self-test, random kills, kills at named points, a second runtime on the
//! same file, healing, and the verdict.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use greenroom_actors::fault;

use super::{
    chance::Chance,
    check::{self, Found},
    client::Client,
    control::{Reply, Wish},
    coverage,
    driver::{BEHIND, Came, Hits, Stage, aborted},
    facts::{self, Facts, Trouble},
    load, model, planted,
};

mod report;

use report::report;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Random kills.
    pub(crate) kills: u64,
    /// Where chance starts.
    pub(crate) seed: u64,
    /// Whether named points are struck too.
    pub(crate) aborts: bool,
    /// Whether the folder stays.
    pub(crate) keep: bool,
}

/// A kill comes at most this long after a runtime should serve, by how long the last one took:
/// work of some tens of ms is always in hand.
const WINDOW_MS: u64 = 600;
/// So many of a hundred kills aim before it serves, and as many right after.
const EARLY_PERCENT: u64 = 17;
/// Served for less than this counts as killed during recovery.
const RECOVERY_MS: u64 = 50;
/// Sessions that panic before the first kill: on a busy machine those of the load might come too
/// rarely for the run to show one.
const PANICS: u64 = 3;
/// How long a session that was let panic may take to be back: a first backoff is 200 ms.
const BACK_MS: u64 = 3_000;
/// A look at the file, as the kill left it, every so many kills.
const LOOK_EVERY: u64 = 15;
/// From so many kills on, everything in `coverage` must have come about.
const KILLS_THAT_CUT: u64 = 150;
/// From so many kills on, one must have come amid a stream; about half of them do.
const KILLS_THAT_FALL_AMID: u64 = 30;
/// From so many kills on, each kind must be among them.
const KILLS_THAT_AIM: u64 = 5;
/// Hits wanted of each point.
const HITS: u64 = 3;
/// Attempts at each point.
const TRIES: u64 = 24;
/// How long a point may take to be reached before the runtime is killed anyway.
const REACH_MS: u64 = 1_600;
/// How long an orderly end may take.
const END_MS: u64 = 12_000;
/// How long everything may take to end once nothing is killed any more.
const HEAL_MS: u64 = 90_000;
/// How long a second runtime may take to be refused.
const REFUSED_MS: u64 = 1_000;
/// Violations printed in full.
const SHOWN: usize = 40;

/// What a run has come to.
#[derive(Default)]
struct Tally {
    violations: Vec<String>,
    known: BTreeSet<(&'static str, String)>,
    seen: BTreeMap<&'static str, u64>,
    kills: u64,
    recovery: u64,
    unready: u64,
    /// Kills in a row before or right after it served, and the most of them.
    row: u64,
    longest_row: u64,
    idle: u64,
    /// Processes that a random kill ended.
    killed: BTreeSet<u32>,
}

impl Tally {
    fn wrong(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    fn check(&mut self, facts: &Facts, when: &str) {
        for (name, check) in check::ALL {
            let Found { violations, seen } = check(facts);
            *self.seen.entry(name).or_default() += seen;
            for what in violations {
                // The log keeps what was wrong, so every later look finds it again.
                if self.known.insert((name, what.clone())) {
                    self.violations.push(format!("{name}: {when}: {what}"));
                }
            }
        }
    }
}

/// Does it; the number of violations.
pub(crate) fn run(plan: &Plan) -> Result<usize, Trouble> {
    println!("seed {}", plan.seed);
    let mut tally = Tally::default();
    self_test(plan.seed, &mut tally)?;
    let mut stage = Stage::set(load::SCRIPT, plan.seed)?;
    let mut chance = Chance::new(plan.seed ^ 0x5eed);
    random_kills(plan, &mut stage, &mut chance, &mut tally)?;
    let hits =
        if plan.aborts { strike_points(&mut stage, &mut chance, &mut tally)? } else { Hits::new() };
    second_runtime(&mut stage, &mut tally)?;
    let stuck = stage.heal(HEAL_MS)?;
    tally.violations.extend(stuck.into_iter().map(|what| format!("heal: {what}")));
    tally.violations.extend(stage.client.faults.iter().map(|what| format!("client: {what}")));
    vendor_is_done(&stage)?;
    let facts = facts::collect(stage.folder.path(), true)?;
    tally.check(&facts, "healed");
    report(plan, &stage, &facts, &hits, &mut tally);
    if plan.keep || !tally.violations.is_empty() {
        println!("kept: {}", stage.folder.path().display());
        stage.folder.disable_cleanup(true);
    }
    println!("{} kills, {} violations", tally.kills, tally.violations.len());
    Ok(tally.violations.len())
}

/// A run without kills must be clean; then each checker must flag what is planted.
fn self_test(seed: u64, tally: &mut Tally) -> Result<(), Trouble> {
    let mut stage = Stage::set(load::SCRIPT, seed)?;
    stage.client.gentle = true;
    stage.start(None)?;
    let enough = load::ROOTS.len() as u64 + 4;
    let until = stage.now() + HEAL_MS;
    stage.go_on(until, |client| client.ended >= enough)?;
    let stuck = stage.heal(HEAL_MS)?;
    tally.violations.extend(stuck.into_iter().map(|what| format!("control run: {what}")));
    vendor_is_done(&stage)?;
    let facts = facts::collect(stage.folder.path(), true)?;
    let mut control = Tally::default();
    control.check(&facts, "control run");
    tally.violations.append(&mut control.violations);
    let (flagged, missed) = planted::test(&facts);
    println!("self-test: {} jobs, {flagged} planted faults flagged", stage.client.ended);
    tally.violations.extend(missed.into_iter().map(|what| format!("self-test: {what}")));
    Ok(())
}

fn random_kills(
    plan: &Plan,
    stage: &mut Stage,
    chance: &mut Chance,
    tally: &mut Tally,
) -> Result<(), Trouble> {
    stage.start(None)?;
    // The first is let live until there is something to lose.
    let until = stage.now() + HEAL_MS;
    stage.go_on(until, |client| client.ended >= 3)?;
    panics(stage, tally)?;
    while tally.kills < plan.kills {
        let aim = Aim::of(tally, chance);
        if let Came::Dead(status) = wait(stage, chance, aim)? {
            tally.wrong(format!("the runtime died of itself: {status}"));
        } else {
            match stage.served() {
                None => tally.unready += 1,
                Some(ms) if ms < RECOVERY_MS => tally.recovery += 1,
                Some(_) => {}
            }
            let recovering = stage.served().is_none_or(|ms| ms < RECOVERY_MS);
            tally.row = if recovering { tally.row + 1 } else { 0 };
            tally.longest_row = tally.longest_row.max(tally.row);
            tally.idle += u64::from(!stage.client.owes());
            tally.killed.extend(stage.pid());
            stage.kill()?;
            tally.kills += 1;
        }
        if tally.kills.is_multiple_of(LOOK_EVERY) {
            look(stage, tally, &format!("after kill {}", tally.kills))?;
        }
        stage.start(None)?;
    }
    for (count, what) in [(tally.recovery, "during recovery"), (tally.unready, "before it served")]
    {
        if count == 0 && tally.kills >= KILLS_THAT_AIM {
            tally.wrong(format!("of {} kills none came {what}", tally.kills));
        }
    }
    if tally.idle > 0 {
        tally.wrong(format!("{} kills came while no work was in hand", tally.idle));
    }
    Ok(())
}

/// When a kill is to come.
#[derive(Clone, Copy)]
enum Aim {
    /// Before the runtime serves.
    Start,
    /// While those that the last kill cut off recover.
    Recovery,
    /// Whenever.
    Work,
}

impl Aim {
    /// By chance, but that what has not come yet is aimed at until it has.
    fn of(tally: &Tally, chance: &mut Chance) -> Self {
        let drawn = chance.below(100);
        // The very first has nobody before it to recover from.
        match (tally.kills, tally.recovery, tally.unready) {
            (1.., 0, _) => Self::Recovery,
            (1.., _, 0) => Self::Start,
            _ if drawn < EARLY_PERCENT => Self::Start,
            _ if drawn < 2 * EARLY_PERCENT => Self::Recovery,
            _ => Self::Work,
        }
    }
}

/// Waits for the moment of a kill. One that hits no unfinished work shows nothing, so it waits for
/// some; what is owed is owed over a death.
fn wait(stage: &mut Stage, chance: &mut Chance, aim: Aim) -> Result<Came, Trouble> {
    let start = stage.start_ms.last().copied().unwrap_or(0).max(1);
    let after = match aim {
        Aim::Start => chance.below(start),
        Aim::Recovery => {
            let patience = stage.now() + HEAL_MS;
            if let Came::Dead(status) = stage.go_on(patience, |client| client.ready)? {
                return Ok(Came::Dead(status));
            }
            chance.below(RECOVERY_MS)
        }
        Aim::Work => chance.below(start + WINDOW_MS),
    };
    let until = stage.now() + after;
    if let Came::Dead(status) = stage.go_on(until, |_| false)? {
        return Ok(Came::Dead(status));
    }
    let patience = stage.now() + HEAL_MS;
    Ok(stage.go_on(patience, Client::owes)?)
}

/// Lets some sessions at work panic, and come back.
fn panics(stage: &mut Stage, tally: &mut Tally) -> Result<(), Trouble> {
    let (until, mut back) = (stage.now() + HEAL_MS, 0);
    while back < PANICS && stage.now() < until {
        stage.go_on(until, Client::owes)?;
        let Some(session) = stage.client.at_work() else {
            let soon = stage.now() + RECOVERY_MS;
            stage.go_on(soon, |_| false)?;
            continue;
        };
        let answer = stage.ask(Wish::Strike { session }, BACK_MS)?;
        back += u64::from(matches!(answer, Some(Reply::Done)));
    }
    if back < PANICS {
        tally.wrong(format!("{back} of {PANICS} sessions panicked and came back"));
    }
    Ok(())
}

/// Looks at the file as a kill left it.
fn look(stage: &Stage, tally: &mut Tally, when: &str) -> Result<(), Trouble> {
    let copy = tempfile::tempdir()?;
    stage.copy_store(copy.path())?;
    tally.check(&facts::collect(copy.path(), false)?, when);
    Ok(())
}

/// How a point is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By work.
    Work,
    /// By an orderly end with work in hand.
    End,
    /// By a store that does not exist yet.
    NewStore,
    /// By a read model that has not followed the logs.
    Behind,
}

fn way(point: &str) -> Way {
    match point {
        "store.migrating" => Way::NewStore,
        "catalog.replaced" => Way::Behind,
        "store.before_copy_back" | "store.copied_back" => Way::End,
        point if point.starts_with("shutdown.") => Way::End,
        _ => Way::Work,
    }
}

fn strike_points(
    stage: &mut Stage,
    chance: &mut Chance,
    tally: &mut Tally,
) -> Result<Hits, Trouble> {
    stage.kill()?;
    let mut hits = Hits::new();
    for point in fault::POINTS {
        let mut range = match way(point) {
            Way::Work => 12,
            Way::Behind => u64::from(BEHIND),
            Way::End | Way::NewStore => 1,
        };
        let mut count = 0;
        for attempt in 0..TRIES {
            if count >= HITS {
                break;
            }
            let nth = 1 + chance.below(range);
            match strike(stage, point, (nth, attempt))? {
                Some(status) if aborted(status) => count += 1,
                Some(status) => tally.wrong(format!("{point}: died as {status}")),
                // Not passed so often in this time: fewer next time.
                None => range = (range / 3).max(1),
            }
        }
        hits.insert(point, count);
        if count < HITS {
            tally.wrong(format!("{point} was reached {count} times"));
        }
    }
    look(stage, tally, "after the abort points")?;
    stage.start(None)?;
    Ok(hits)
}

/// One attempt to die at a point; how it died, if the point was reached.
fn strike(
    stage: &mut Stage,
    point: &'static str,
    (nth, attempt): (u64, u64),
) -> Result<Option<std::process::ExitStatus>, Trouble> {
    if way(point) == Way::NewStore {
        let store = format!("new-{attempt}.db");
        let (status, _) = stage.alone(&store, Some((point, nth)))?;
        let (_, serves) = stage.alone(&store, None)?;
        // What a half-made store must not do is stop the next one.
        return if serves {
            Ok(Some(status))
        } else {
            Err(format!("{store} cannot be served").into())
        };
    }
    if way(point) == Way::Behind {
        stage.fall_behind()?;
    }
    stage.start(Some((point, nth)))?;
    let mut until = stage.now() + REACH_MS;
    if way(point) == Way::End {
        let ready = stage.go_on(until, |client| client.ready)?;
        let some_work = stage.now() + 60;
        if ready == Came::There && stage.go_on(some_work, |_| false)? == Came::There {
            stage.ask_to_end();
        }
        until = stage.now() + END_MS;
    }
    match stage.go_on(until, |_| false)? {
        Came::Dead(status) => Ok(Some(status)),
        Came::There => {
            stage.kill()?;
            Ok(None)
        }
    }
}

/// C9: a second runtime on the same file is refused at once, and says who has it.
fn second_runtime(stage: &mut Stage, tally: &mut Tally) -> io::Result<()> {
    let until = stage.now() + HEAL_MS;
    stage.go_on(until, |client| client.ready)?;
    let (took, status, said) = stage.second()?;
    let names = stage.pid().is_some_and(|pid| said.contains(&format!("process {pid}")));
    if status.code() != Some(super::runtime::REFUSED) || !names {
        tally.wrong(format!("C9: a second runtime ended as {status}: {said}"));
    }
    if took > REFUSED_MS {
        tally.wrong(format!("C9: it was refused only after {took} ms"));
    }
    println!("second runtime refused after {took} ms: {}", said.trim());
    Ok(())
}

/// The vendor notices a death a moment later; nothing is compared before it has.
fn vendor_is_done(stage: &Stage) -> io::Result<()> {
    let until = stage.now() + 5_000;
    while stage.now() < until {
        let records = model::read_journal(&stage.path("model.jsonl"))?;
        if model::open_calls(&records).is_empty() {
            break;
        }
        std::thread::yield_now();
    }
    Ok(())
}
