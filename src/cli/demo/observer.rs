//! The observer of a crash: what the store and the call sheet say once all has ended, promise by
//! promise. It counts for itself and believes no sum that the runtime made.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use greenroom_actors::{
    domain::{
        catalog::{SessionRow, Status, TotalsOf},
        event::Event,
        ids::{CallId, CallNo, ModelCallNo, Position, SessionId, ToolCallNo},
        outcome::TurnOutcome,
        tool::ToolOutcome,
        usage::Settlement,
    },
    runtime::Reading,
};
use serde::Serialize;

use crate::app;

use super::super::{
    CliError, look,
    screen::{counted as so_many, grouped},
};

/// A promise and what was seen of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    pub(super) promise: &'static str,
    pub(super) holds: bool,
    pub(super) seen: String,
}

/// What the observer counts in the logs.
#[derive(Default)]
struct Counted {
    frames: usize,
    turns: BTreeMap<SessionId, Vec<TurnOutcome>>,
    spawned: usize,
    reports: BTreeMap<SessionId, u32>,
    closures: BTreeMap<CallId, Vec<ToolOutcome>>,
    signing: BTreeSet<CallId>,
    booked: BTreeMap<(SessionId, ModelCallNo), Settlement>,
    restarts: usize,
}

/// Who had work in hand when the process died.
pub(super) async fn at_work(store: &Path) -> Result<String, CliError> {
    let Some(reading) = app::look_if_any(store)? else {
        return Ok("nothing was written yet".to_owned());
    };
    let rows = look::every(&reading, true).await?;
    let at_work = rows.iter().filter(|row| row.status == Status::Running).count();
    Ok(format!("{at_work} of {} sessions had work in hand", rows.len()))
}

/// Reads everything and says what holds.
pub(super) async fn examine(store: &Path) -> Result<(SessionId, Vec<Check>), CliError> {
    let reading = app::look(store)?;
    let rows = look::every(&reading, true).await?;
    let counted = count(&reading, &rows).await?;
    let root = rows.iter().find(|row| row.parent.is_none()).map(|row| row.session);
    let root =
        root.ok_or(CliError::NoSession { text: app::LEAD.to_owned(), store: store.to_owned() })?;
    let lines = std::fs::read_to_string(app::sheet(store)).unwrap_or_default();
    let mut checks = vec![whole(&counted, &rows), ended(&counted, root), told(&counted)];
    checks.extend([closed(&counted), signed(&counted, &lines)]);
    checks.push(paid(&reading, &counted).await?);
    Ok((root, checks))
}

async fn count(reading: &Reading, rows: &[SessionRow]) -> Result<Counted, CliError> {
    let mut counted = Counted::default();
    for row in rows {
        let session = row.session;
        let call = |no: &ToolCallNo| CallId { session, no: CallNo::Tool(*no) };
        for frame in reading.read(session, Position(0)).await? {
            counted.frames += 1;
            for event in &frame.events {
                match event {
                    Event::TurnFinished { outcome, .. } => {
                        counted.turns.entry(session).or_default().push(outcome.clone());
                    }
                    Event::ChildSpawned { .. } => counted.spawned += 1,
                    Event::ChildFinished { child, .. } => {
                        *counted.reports.entry(*child).or_default() += 1;
                    }
                    Event::ToolRequested { call: no, name, .. } => {
                        counted.closures.entry(call(no)).or_default();
                        if name.as_str() == app::SHEET {
                            counted.signing.insert(call(no));
                        }
                    }
                    Event::ToolFinished { call: no, outcome } => {
                        counted.closures.entry(call(no)).or_default().push(outcome.clone());
                    }
                    // The last word on a call is the one that counts.
                    Event::UsageSettled { call, settlement, .. } => {
                        counted.booked.insert((session, *call), *settlement);
                    }
                    Event::SessionRestarted { .. } => counted.restarts += 1,
                    _ => {}
                }
            }
        }
    }
    Ok(counted)
}

fn whole(counted: &Counted, rows: &[SessionRow]) -> Check {
    Check {
        promise: "every log is whole",
        holds: counted.frames > 0,
        seen: format!(
            "{} frames of {} sessions verify, {} restarts are in them",
            counted.frames,
            rows.len(),
            counted.restarts
        ),
    }
}

fn ended(counted: &Counted, root: SessionId) -> Check {
    let completed =
        |all: &Vec<TurnOutcome>| matches!(all.as_slice(), [TurnOutcome::Completed { .. }]);
    let well = counted.turns.values().filter(|all| completed(all)).count();
    Check {
        promise: "the tree went on and ended once",
        holds: counted.turns.contains_key(&root) && well == counted.spawned + 1,
        seen: format!("{well} of {} turns completed, each once", counted.spawned + 1),
    }
}

fn told(counted: &Counted) -> Check {
    let once = counted.reports.values().filter(|times| **times == 1).count();
    Check {
        promise: "no subagent is forgotten or told twice",
        holds: once == counted.spawned && counted.reports.len() == counted.spawned,
        seen: format!("{once} of {} were told exactly once", counted.spawned),
    }
}

fn closed(counted: &Counted) -> Check {
    let once = counted.closures.values().filter(|ends| ends.len() == 1).count();
    Check {
        promise: "every tool call closed exactly once",
        holds: once == counted.closures.len() && once > 0,
        seen: format!("{once} of {}", counted.closures.len()),
    }
}

/// The world outside against the log: never twice, and there if the log says that it was done.
fn signed(counted: &Counted, lines: &str) -> Check {
    let mut keys: BTreeMap<&str, u32> = BTreeMap::new();
    for line in lines.lines() {
        let key = line.split('\t').next().unwrap_or_default();
        *keys.entry(key).or_default() += 1;
    }
    let twice = keys.values().filter(|times| **times > 1).count();
    let ends = |call: &&CallId| counted.closures.get(call).into_iter().flatten();
    let done = |call: &&CallId| ends(call).any(|end| matches!(end, ToolOutcome::Done { .. }));
    let unknown = |call: &&CallId| ends(call).any(|end| matches!(end, ToolOutcome::OutcomeUnknown));
    let missing = counted
        .signing
        .iter()
        .filter(done)
        .filter(|call| !keys.contains_key(call.to_string().as_str()));
    let (missing, unknown) = (missing.count(), counted.signing.iter().filter(unknown).count());
    Check {
        promise: "what cannot be taken back happened at most once",
        holds: twice == 0 && missing == 0 && !keys.is_empty(),
        seen: format!(
            "{} on the call sheet, {twice} twice, {missing} claimed and missing, {unknown} cut off and said to be unknown",
            so_many(lines.lines().count() as u64, "signature")
        ),
    }
}

async fn paid(reading: &Reading, counted: &Counted) -> Result<Check, CliError> {
    let totals = reading.totals(TotalsOf::Runtime).await?;
    let mut tokens = 0;
    let mut broken = 0;
    for settlement in counted.booked.values() {
        match settlement {
            Settlement::Exact { usage, .. } => tokens += usage.tokens(),
            Settlement::Unsettled { .. } => broken += 1,
            Settlement::Free => {}
        }
    }
    Ok(Check {
        promise: "the bill is the sum of the calls",
        holds: tokens == totals.usage.tokens() && broken == totals.unsettled_calls && tokens > 0,
        seen: format!(
            "{} in the logs, {} on the bill; {} broke off, booked at a bound",
            so_many(tokens, "token"),
            grouped(totals.usage.tokens()),
            so_many(broken, "call")
        ),
    })
}

#[cfg(test)]
mod tests {
    use greenroom_actors::domain::tool::Output;
    use uuid::Uuid;

    use super::*;

    fn session(no: u128) -> SessionId {
        SessionId(Uuid::from_u128(no))
    }

    fn signing(no: u32) -> CallId {
        CallId { session: session(2), no: CallNo::Tool(ToolCallNo(no)) }
    }

    /// A tree of two that went well: one signature, one report.
    fn calm() -> (Counted, String) {
        let mut counted = Counted { frames: 9, spawned: 1, ..Counted::default() };
        for no in [1, 2] {
            let end = TurnOutcome::Completed { text: String::new(), truncated: false };
            counted.turns.insert(session(no), vec![end]);
        }
        counted.reports.insert(session(2), 1);
        counted.signing.insert(signing(1));
        let done = ToolOutcome::Done { output: Output::text("signed") };
        counted.closures.insert(signing(1), vec![done]);
        (counted, format!("{}\tlights\n", signing(1)))
    }

    #[test]
    fn each_fault_is_seen_by_the_check_it_breaks() {
        let root = session(1);
        let (counted, lines) = calm();
        for check in [ended(&counted, root), told(&counted), closed(&counted)] {
            assert!(check.holds, "{check:?}");
        }
        assert!(signed(&counted, &lines).holds);
        assert!(!signed(&counted, &format!("{lines}{lines}")).holds, "signed twice");
        assert!(!signed(&counted, "x\ty\n").holds, "claimed and not there");
        assert!(!signed(&counted, "").holds, "nobody signed");

        let (mut counted, _) = calm();
        counted.turns.insert(session(2), Vec::new());
        assert!(!ended(&counted, root).holds, "one never ended");
        let (mut counted, _) = calm();
        counted.reports.insert(session(2), 2);
        assert!(!told(&counted).holds, "told twice");
        counted.reports.clear();
        assert!(!told(&counted).holds, "forgotten");
        let (mut counted, _) = calm();
        counted.closures.insert(signing(2), Vec::new());
        assert!(!closed(&counted).holds, "a call is open");
    }
}
