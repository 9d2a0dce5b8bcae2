//! Prompts, as the vendor noted them: the same log asks the same bytes, whichever incarnation of a
//! session asks. The vendor lives through every kill, so its journal has what each of them sent.

use std::collections::BTreeMap;

use greenroom_actors::{
    domain::{
        event::Event,
        ids::{CallId, ModelCallNo, Timestamp, Token, TurnId},
    },
    policy::turn::{self, State, prompt},
};

use super::{Found, begin};
use crate::{
    facts::{Facts, Frame},
    model::ModelRecord,
};

/// What stands behind the messages in a prompt's bytes.
const BEHIND: &str = "],\"sampling\":";
/// What stands behind them in a body's: all agents here have tools.
const BEHIND_SENT: &str = "],\"tools\":";

/// A step of a session: its turn, and how many answers it has read before. The log between two
/// calls of one step adds nothing that a model reads.
pub(crate) type Step = (TurnId, u64);

/// The calls of a session's steps, in the order of the log, each with the incarnation that began it.
pub(crate) fn steps(frames: &[Frame<Event>]) -> BTreeMap<Step, Vec<(ModelCallNo, Token)>> {
    let (mut steps, mut answers) = (BTreeMap::<Step, Vec<_>>::new(), 0);
    for frame in frames {
        for event in &frame.events {
            match event {
                Event::ModelCallStarted { call, turn, .. } => {
                    let calls = steps.entry((*turn, answers)).or_default();
                    calls.push((*call, frame.envelope.token));
                }
                Event::ModelCallFinished { .. } => answers += 1,
                _ => {}
            }
        }
    }
    steps
}

/// The prompts that came to the vendor.
pub(crate) fn arrived(facts: &Facts) -> BTreeMap<CallId, &str> {
    let prompts = facts.model.iter().filter_map(|record| match record {
        ModelRecord::Arrived { call, prompt, .. } => Some((*call, prompt.as_str())),
        _ => None,
    });
    prompts.collect()
}

/// I15 through the adapter: whichever incarnation sends a prompt, and whichever process's adapter
/// writes it, the vendor's cache sees the same bytes; and from one step to the next the messages
/// in them are carried on.
pub(super) fn sent(facts: &Facts) -> Found {
    let mut found = Found::default();
    let mut bodies: BTreeMap<&str, (CallId, &str)> = BTreeMap::new();
    let mut of_call: BTreeMap<CallId, &str> = BTreeMap::new();
    for record in &facts.model {
        let ModelRecord::Arrived { call, prompt, body, .. } = record else { continue };
        let (first, same) = *bodies.entry(prompt).or_insert((*call, body));
        found.must(same == body, || format!("{call} sends what {first} asked in other bytes"));
        of_call.insert(*call, body);
    }
    for (session, frames) in &facts.sessions {
        let mut before: Option<(ModelCallNo, &str)> = None;
        for calls in steps(frames).values() {
            // That all of a step are the same is seen above.
            let first = calls.iter().find_map(|(call, _)| {
                Some((*call, *of_call.get(&CallId::model(*session, *call))?))
            });
            if let (Some((old, one)), Some((new, other))) = (before, first) {
                found.must(carries_on((one, other), BEHIND_SENT), || {
                    format!("{session}: {new} does not carry on what {old} has sent")
                });
            }
            before = first.or(before);
        }
    }
    found
}

/// I15: within a step all prompts are the same bytes; from one step to the next the messages are
/// carried on, and nothing else changes; and each is what the log alone gives, read by somebody
/// who never was the session.
pub(super) fn same(facts: &Facts) -> Found {
    let mut found = Found::default();
    let arrived = arrived(facts);
    for (session, frames) in &facts.sessions {
        let mut before: Option<(ModelCallNo, &str)> = None;
        for calls in steps(frames).values() {
            let mut asked: Option<(ModelCallNo, &str)> = None;
            for (call, _) in calls {
                // A call that a death took on its way came to nobody.
                let Some(prompt) = arrived.get(&CallId::model(*session, *call)) else { continue };
                match asked {
                    Some((first, same)) => found.must(same == *prompt, || {
                        format!("{session}: {call} asks for {first} again in other bytes")
                    }),
                    None => asked = Some((*call, prompt)),
                }
            }
            if let (Some((old, one)), Some((new, other))) = (before, asked) {
                found.must(carries_on((one, other), BEHIND), || {
                    format!("{session}: {new} does not carry on what {old} has asked")
                });
            }
            before = asked.or(before);
        }
        // The log of a session at work is read here at its end; once is enough.
        if facts.healed {
            match begin(facts, *session, frames) {
                Ok(state) => derived(state, frames, &arrived, &mut found),
                Err(why) => found.wrong(why),
            }
        }
    }
    found
}

/// Whether a later text begins with all messages of an earlier one, adds at least one, and has
/// the same around them; `behind` stands between the messages and the rest, and nowhere else
/// within a text's quotes.
fn carries_on((earlier, later): (&str, &str), behind: &str) -> bool {
    match (earlier.rsplit_once(behind), later.rsplit_once(behind)) {
        (Some((messages, rest)), Some((longer, same))) => {
            let added = longer.strip_prefix(messages);
            rest == same && added.is_some_and(|added| added.starts_with(','))
        }
        _ => false,
    }
}

/// Every prompt is the one that the log gives at the place where its call begins.
fn derived(
    mut state: State,
    frames: &[Frame<Event>],
    arrived: &BTreeMap<CallId, &str>,
    found: &mut Found,
) {
    let session = state.session;
    for frame in frames {
        if let Err(error) = turn::fold(&mut state, &frame.events, frame.envelope.at) {
            return found.wrong(format!("{session} cannot be folded: {error}"));
        }
        for event in &frame.events {
            let Event::ModelCallStarted { call, .. } = event else { continue };
            let Some(sent) = arrived.get(&CallId::model(session, *call)) else { continue };
            // When it is asked is no part of the prompt.
            let given = prompt::request(&state, *call, Timestamp(0));
            let same = given.is_some_and(|given| given.prompt_bytes() == sent.as_bytes());
            found.must(same, || format!("{session}: {call} asks other bytes than its log gives"));
        }
    }
}
