//! Two frames side by side. What the machine cannot know is taken from the log, and nothing else is.

use serde_json::Value;

use crate::domain::{event::Event, outcome::TurnOutcome, permission::Subject, usage::Settlement};

use super::Differs;

/// How a turn ends whose model asks for more time than the turn has; then follows a moment with a
/// random part.
const PATIENCE: &str = "the model asks to wait until ";

pub(super) fn compare(recorded: &[Event], written: Vec<Event>) -> Result<(), Differs> {
    let mut written = written.into_iter();
    for (no, event) in recorded.iter().enumerate() {
        let differs = |why: String| Err(Differs { event: no + 1, why });
        let Some(mut machine) = written.next() else {
            return differs(format!("the machine writes no {} here", event.name()));
        };
        take_what_is_given(&mut machine, event);
        if machine.name() != event.name() {
            let (log, machine) = (event.name(), machine.name());
            return differs(format!("the log has {log}, the machine writes {machine}"));
        }
        if let Some(why) = misdigested(event) {
            return differs(why);
        }
        if machine != *event {
            let place = place(event, &machine);
            return differs(format!("{}: the machine writes another {place}", event.name()));
        }
    }
    match written.next() {
        Some(more) => {
            let why = format!("the frame ends, and the machine writes {} as well", more.name());
            Err(Differs { event: recorded.len() + 1, why })
        }
        None => Ok(()),
    }
}

/// Prices and digests of what rules allowed are not in the log: what follows from them is given.
fn take_what_is_given(machine: &mut Event, log: &Event) {
    match (machine, log) {
        (
            Event::ModelCallStarted { bound, priced, .. },
            Event::ModelCallStarted { bound: noted, priced: known, .. },
        ) => (bound.nano_usd, *priced) = (noted.nano_usd, *known),
        (
            Event::UsageSettled { settlement: Settlement::Exact { cost, .. }, .. },
            Event::UsageSettled { settlement: Settlement::Exact { cost: noted, .. }, .. },
        ) => *cost = *noted,
        (Event::ToolStarted { digest, .. }, Event::ToolStarted { digest: noted, .. }) => {
            digest.clone_from(noted);
        }
        (Event::ApprovalRequested { ask, .. }, Event::ApprovalRequested { ask: noted, .. }) => {
            ask.digest.clone_from(&noted.digest);
            if let (Subject::ToolCall { request, .. }, Subject::ToolCall { request: noted, .. }) =
                (&mut ask.subject, &noted.subject)
            {
                request.cwd.clone_from(&noted.cwd);
            }
        }
        (
            Event::TurnFinished { outcome: TurnOutcome::Failed { reason }, .. },
            Event::TurnFinished { outcome: TurnOutcome::Failed { reason: noted }, .. },
        ) if reason.starts_with(PATIENCE) && noted.starts_with(PATIENCE) => {
            reason.clone_from(noted);
        }
        _ => {}
    }
}

/// A question whose digest is not that of what it shows.
fn misdigested(event: &Event) -> Option<String> {
    let Event::ApprovalRequested { ask, .. } = event else { return None };
    let Subject::ToolCall { request, .. } = &ask.subject else { return None };
    let right = request.digest_with(&ask.scripts) == ask.digest;
    (!right)
        .then(|| "approval_requested: its digest is not of the request that it shows".to_owned())
}

/// The first field in which two events differ.
fn place(log: &Event, machine: &Event) -> String {
    let value = |event| serde_json::to_value(event).unwrap_or_default();
    deepest(&value(log), &value(machine)).join(".")
}

fn deepest(log: &Value, machine: &Value) -> Vec<String> {
    let different = |key: &String, log: Option<&Value>, machine: Option<&Value>| {
        if log == machine {
            return None;
        }
        let below = match (log, machine) {
            (Some(log), Some(machine)) => deepest(log, machine),
            _ => Vec::new(),
        };
        Some(std::iter::once(key.clone()).chain(below).collect())
    };
    match (log, machine) {
        (Value::Object(log), Value::Object(machine)) => {
            let keys = log.keys().chain(machine.keys());
            let mut found = keys.filter_map(|key| different(key, log.get(key), machine.get(key)));
            found.next().unwrap_or_default()
        }
        (Value::Array(log), Value::Array(machine)) => {
            let all = 0..log.len().max(machine.len());
            let mut found =
                all.filter_map(|at| different(&at.to_string(), log.get(at), machine.get(at)));
            found.next().unwrap_or_default()
        }
        _ => Vec::new(),
    }
}
