//! Tool calls: each closes once, each had leave to start, and the world outside saw what the log
//! says it saw.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::domain::{
    conversation::{Block, Speaker},
    event::{Caller, Event},
    ids::{ApprovalNo, CallId, SessionId, ToolCallNo, ToolName},
    permission::{Answer, Authority, Basis, Request, RequestDigest, Subject},
    tool::{Args, EffectClass, ToolOutcome},
};

use super::{Found, fold};
use crate::{
    facts::Facts,
    sink::{self, SinkRecord},
};

/// I3: one closure per call, and a transcript that a strict vendor takes.
pub(super) fn closed(facts: &Facts) -> Found {
    let mut found = Found::default();
    for (session, frames) in &facts.sessions {
        let mut ends: BTreeMap<ToolCallNo, u64> = BTreeMap::new();
        for event in facts.of(*session) {
            match event {
                Event::ToolRequested { call, .. } => drop(ends.entry(*call).or_default()),
                Event::ToolFinished { call, .. } => *ends.entry(*call).or_default() += 1,
                _ => {}
            }
        }
        for (call, count) in ends {
            let right = count == 1 || (count == 0 && !facts.healed);
            found.must(right, || format!("{session} call {call} closed {count} times"));
        }
        match fold(facts, *session, frames) {
            Ok(state) => transcript(*session, &state, facts.healed, &mut found),
            Err(why) => found.wrong(why),
        }
    }
    found
}

/// Every call of a message is answered in the next one, each once, nothing else is.
fn transcript(
    session: SessionId,
    state: &greenroom_actors::policy::turn::State,
    healed: bool,
    found: &mut Found,
) {
    let mut asked: BTreeSet<ToolCallNo> = BTreeSet::new();
    for message in &state.conversation {
        let mut answered = BTreeSet::new();
        let mut asks = BTreeSet::new();
        for block in &message.blocks {
            match block {
                Block::ToolUse { call, .. } => drop(asks.insert(*call)),
                Block::ToolResult { call, .. } => {
                    let new = answered.insert(*call);
                    found.must(new, || format!("{session}: call {call} answered twice"));
                }
                _ => {}
            }
        }
        found.must(answered == asked, || {
            format!("{session}: calls {asked:?} are followed by answers to {answered:?}")
        });
        found.must(asks.is_empty() || message.speaker == Speaker::Assistant, || {
            format!("{session}: somebody else speaks for the model")
        });
        asked = asks;
    }
    // The last message may still wait for its answers, while its turn goes on.
    let open = !healed && state.turn.is_some();
    found.must(asked.is_empty() || open, || format!("{session}: dangling calls {asked:?}"));
}

/// A call as its session's log tells it.
#[derive(Default)]
struct Told {
    started: bool,
    class: Option<EffectClass>,
    args: Option<Args>,
    outcome: Option<ToolOutcome>,
}

fn told(facts: &Facts) -> BTreeMap<String, Told> {
    let mut all: BTreeMap<String, Told> = BTreeMap::new();
    for session in facts.sessions.keys() {
        let mut classes = BTreeMap::new();
        let mut subjects = BTreeMap::new();
        for event in facts.of(*session) {
            match event {
                Event::SessionOpened { rendered, .. } => {
                    classes = rendered.tools.iter().map(|tool| (&tool.name, tool.effect)).collect();
                }
                Event::ToolRequested { call, name, args, .. } => {
                    let told = all.entry(CallId::tool(*session, *call).to_string()).or_default();
                    told.class = classes.get(name).copied();
                    told.args = Some(args.clone());
                }
                Event::ApprovalRequested { no, ask } => {
                    if let Subject::ToolCall { call, .. } = &ask.subject {
                        subjects.insert(*no, *call);
                    }
                }
                Event::ApprovalDecided { no, answer: Answer::Edit { args }, .. } => {
                    if let Some(call) = subjects.get(no) {
                        let key = CallId::tool(*session, *call).to_string();
                        all.entry(key).or_default().args = Some(args.clone());
                    }
                }
                Event::ToolStarted { call, .. } => {
                    let key = CallId::tool(*session, *call).to_string();
                    all.entry(key).or_default().started = true;
                }
                Event::ToolFinished { call, outcome } => {
                    let key = CallId::tool(*session, *call).to_string();
                    all.entry(key).or_default().outcome = Some(outcome.clone());
                }
                _ => {}
            }
        }
    }
    all
}

/// I4: what the sink saw is what the log says, and `once` means once.
pub(super) fn outside(facts: &Facts) -> Found {
    let mut found = Found::default();
    let told = told(facts);
    let counts = sink::counts(&facts.sink);
    for (key, (class, count)) in &counts {
        let call = told.get(key);
        found.must(call.is_some_and(|call| call.started && call.class == Some(*class)), || {
            format!("{key}: an effect of {class:?} without a start in the log")
        });
        // A verifiable call is asked about before it runs again, and the sink keeps its word.
        let single = matches!(class, EffectClass::Once | EffectClass::Verifiable);
        found.must(!single || *count == 1, || format!("{key}: {class:?} was seen {count} times"));
    }
    for (key, call) in &told {
        let done = matches!(call.outcome, Some(ToolOutcome::Done { .. }));
        let refused = matches!(call.outcome, Some(ToolOutcome::Refused { .. }));
        let seen = counts.get(key).map_or(0, |(_, count)| *count);
        if call.class.is_some_and(|class| class != EffectClass::Pure) && done {
            // The built-in tools touch nothing outside.
            let own = call.args.as_ref().is_none_or(|args| !args.0.contains("\"note\""));
            found.must(seen >= 1 || own, || format!("{key}: done in the log, not outside"));
        }
        found.must(!refused || seen == 0, || format!("{key}: refused, and seen {seen} times"));
    }
    for record in &facts.sink {
        if let SinkRecord::Seen { key, payload, .. } = record {
            let args = told.get(key).and_then(|call| call.args.as_ref());
            let args =
                args.and_then(|args| serde_json::from_str::<serde_json::Value>(&args.0).ok());
            let note = args.as_ref().and_then(|args| args.get("note")?.as_str());
            found.must(note == Some(payload), || {
                format!("{key}: seen with {payload:?}, asked for with {note:?}")
            });
        }
    }
    found
}

/// What a session was allowed, and what it was told.
#[derive(Default)]
struct Leave {
    authority: Vec<Authority>,
    calls: BTreeMap<ToolCallNo, (ToolName, Args, Option<String>)>,
    asked: BTreeMap<ApprovalNo, (ToolCallNo, RequestDigest)>,
    granted: BTreeMap<ApprovalNo, Answer>,
    used: BTreeSet<ApprovalNo>,
}

/// I9: each start has an earlier leave for exactly this request; an approval is used once.
pub(super) fn allowed(facts: &Facts) -> Found {
    let mut found = Found::default();
    for session in facts.sessions.keys() {
        let mut leave = Leave::default();
        for event in facts.of(*session) {
            match event {
                Event::SessionOpened { rendered, lineage, .. } => {
                    leave.authority.clone_from(&lineage.authority);
                    leave.authority.push(rendered.agent.authority.clone());
                }
                Event::ToolRequested { call, name, args, by } => {
                    let cwd = match by {
                        Caller::Host { cwd, .. } => cwd.clone(),
                        Caller::Model { .. } => None,
                    };
                    leave.calls.insert(*call, (name.clone(), args.clone(), cwd));
                }
                Event::ApprovalRequested { no, ask } => {
                    if let Subject::ToolCall { call, .. } = &ask.subject {
                        leave.asked.insert(*no, (*call, ask.digest.clone()));
                    }
                }
                Event::ApprovalDecided { no, answer, .. } => {
                    if let (Answer::Edit { args }, Some((call, _))) = (answer, leave.asked.get(no))
                        && let Some(call) = leave.calls.get_mut(call)
                    {
                        call.1 = args.clone();
                    }
                    leave.granted.insert(*no, answer.clone());
                }
                Event::ToolStarted { call, digest, basis, .. } => {
                    let right = leave.covers(*call, digest, basis);
                    found.must(right.is_ok(), || {
                        format!("{session} call {call}: {}", right.err().unwrap_or_default())
                    });
                }
                _ => {}
            }
        }
    }
    found
}

impl Leave {
    fn covers(
        &mut self,
        call: ToolCallNo,
        digest: &RequestDigest,
        basis: &Basis,
    ) -> Result<(), String> {
        let (tool, args, cwd) = self.calls.get(&call).ok_or("started, never asked for")?.clone();
        let own = greenroom_actors::policy::turn::builtin::is_builtin(&tool);
        let request = Request { tool: tool.clone(), args, cwd };
        if request.digest() != *digest {
            return Err("what was started is not what was asked for".to_owned());
        }
        match basis {
            Basis::BuiltIn if own => Ok(()),
            Basis::BuiltIn => Err(format!("{tool} is not the runtime's own")),
            Basis::Rules { .. } => {
                let named = |list: &[greenroom_actors::domain::permission::RulePattern]| {
                    list.iter().any(|pattern| pattern.0 == tool.as_str())
                };
                let allows = |link: &Authority| {
                    named(&link.rules.allow) && !named(&link.rules.ask) && !named(&link.rules.deny)
                };
                let all = !self.authority.is_empty() && self.authority.iter().all(allows);
                if all { Ok(()) } else { Err(format!("no rule allows {tool}")) }
            }
            Basis::Approval { no } => {
                let (about, asked) = self.asked.get(no).ok_or("an approval nobody asked for")?;
                let answer = self.granted.get(no).ok_or("an approval nobody gave")?;
                let edited = matches!(answer, Answer::Edit { .. });
                if *about != call || !answer.approves() || !(edited || asked == digest) {
                    return Err(format!("approval {no} is not about this"));
                }
                let fresh = self.used.insert(*no);
                if fresh { Ok(()) } else { Err(format!("approval {no} was used before")) }
            }
        }
    }
}
