//! Every wait of the house ends by a deadline: each with its peer hung, and again after whoever
//! waits was started anew, by its own panic or with the whole runtime. The clock is in the test's
//! hand. The list of waits is `actors/docs/waits.md`.

use greenroom_actors::{
    domain::{
        event::Event,
        ids::{Position, SessionId, Timestamp},
        outcome::TurnOutcome,
        tool::{EffectClass, ToolOutcome},
    },
    testing::harness::{Harness, events},
};

use crate::workshop::{Prop, Still, agent, tool, until};

mod catalog;
pub(crate) mod held;
mod host;
mod jobs;
mod journal;
mod jumps;
mod ledger;
mod models;
mod people;
mod shutdown;
mod tasks;
mod tools;

/// Lives that a test goes through on one store.
const LIVES: [&str; 2] = ["the first runtime", "the one after a crash"];

/// Lets the clock run until the turn has ended, and says how long that took of the house's time.
async fn turn_takes(
    still: &Still,
    (session, key): (SessionId, &str),
    from: Timestamp,
    step_ms: u64,
) -> (TurnOutcome, u64) {
    let over = || async {
        let log = still.runtime.read(session, Position(0)).await.ok()?;
        let mut turns = log.iter().flat_map(|frame| &frame.events);
        let turn = turns.find_map(|event| match event {
            Event::TurnStarted { turn, key: of, .. } if of.0 == key => Some(*turn),
            _ => None,
        })?;
        log.iter().find_map(|frame| {
            let ended = frame.events.iter().find_map(|event| match event {
                Event::TurnFinished { turn: of, outcome } if *of == turn => Some(outcome.clone()),
                _ => None,
            });
            ended.map(|outcome| (outcome, frame.envelope.at.since_ms(from)))
        })
    };
    still.advancing("the turn ends", step_ms, over).await
}

/// The deadline was kept: not before, and soon after; the clock runs in steps.
fn kept(took_ms: u64, deadline_ms: u64, step_ms: u64) {
    assert!(took_ms >= deadline_ms, "{took_ms} ms are too early for {deadline_ms}");
    let most = deadline_ms + 100 * step_ms;
    assert!(took_ms <= most, "{took_ms} ms are too late for {deadline_ms}");
}

/// How often an event of this name is in a session's log.
async fn count(still: &Still, session: SessionId, name: &str) -> usize {
    events(&still.runtime, session).await.iter().filter(|e| e.name() == name).count()
}

async fn happened(still: &Still, session: SessionId, name: &str) {
    until(name, || async { (count(still, session, name).await > 0).then_some(()) }).await;
}

/// A session panics and is started again; the clock moves for its backoff.
async fn struck(still: &Still, session: SessionId) {
    let before = count(still, session, "session_restarted").await;
    let panic = || async { still.runtime.panic_session(session, "struck").then_some(()) };
    until("it is awake", panic).await;
    let back =
        || async { (count(still, session, "session_restarted").await > before).then_some(()) };
    still.advancing("it was started again", 10, back).await;
}

fn never_ends() -> Prop {
    tool("hangs", EffectClass::Pure, |_, _| std::future::pending::<ToolOutcome>())
}

const HANGS: &str =
    "agent model\n    hang\nagent tool\n    call hangs {}\n  then\n    say {results}\n";

fn hanging(harness: Harness) -> Harness {
    let mut model = agent("model", &[], &[]);
    model.limits.retries = 0;
    harness.tool(never_ends()).agent(model).agent(agent("tool", &["hangs"], &[]))
}

const ECHO: &str = "agent echo\n    say You said {input}.\n";

fn echo(harness: Harness) -> Harness {
    harness.agent(agent("echo", &[], &[]))
}
