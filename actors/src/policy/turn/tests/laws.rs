//! Laws that hold for any inputs in any order: legal, late, doubled, wrong, with crashes anywhere.

use proptest::prelude::*;
use uuid::Uuid;

use super::{outside::Watched, play::*};
use crate::{
    domain::{
        agent::{AgentSpec, InputPolicy, ModelChoice},
        budget::Shortage,
        conversation::{Reply, Stop},
        event::{CancelTarget, Event, FailureKind},
        ids::{ApprovalNo, Assignment, CallNo, ModelCallNo, SessionId, ToolCallNo, TurnId},
        outcome::{ChildOutcome, ChildReport, TurnOutcome},
        permission::{Answer, Mode, RulePattern},
        tool::{Args, Output, ToolOutcome},
    },
    policy::{
        catalog,
        turn::{Effect, Input, Run, State, apply, pending, prompt, state::Stage},
    },
};

/// One thing that may happen, with numbers that pick what it happens to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed {
    kind: u8,
    pick: u8,
    how: u8,
}

pub(super) fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = (any::<u8>(), any::<u8>(), any::<u8>());
    prop::collection::vec(deed.prop_map(|(kind, pick, how)| Deed { kind, pick, how }), 1..100)
}

/// Agents of every kind: budgets, policies, a parent or none.
fn session(kind: u8) -> Play {
    let mut agent = match kind % 3 {
        0 => agent(),
        1 => counted(),
        _ => tools_counted(),
    };
    agent.input = match kind / 3 % 3 {
        0 => InputPolicy::Queue,
        1 => InputPolicy::Interrupt,
        _ => InputPolicy::Reject,
    };
    agent.limits.steps = 6;
    agent.limits.retries = 1;
    agent.limits.width = 2;
    if kind / 9 % 2 == 1 {
        agent = agent.fall_back_to("n", Some("other".into())).fall_back_to("o", None);
    }
    if kind.is_multiple_of(2) { Play::of(agent) } else { Play::child(agent) }
}

/// The newest with most of the weight, older ones and strangers now and then.
fn one<T: Copy>(of: &[T], pick: u8, stranger: T) -> T {
    if pick % 11 == 10 {
        return stranger;
    }
    let back = usize::from(pick % 11).saturating_sub(5);
    of.len().checked_sub(1 + back).and_then(|at| of.get(at)).copied().unwrap_or(stranger)
}

fn tool_calls(pick: u8, how: u8) -> Vec<(&'static str, String)> {
    let child = |of: u8| kid(u32::from(of % 5) + 1);
    let one = |no: u8| match no % 18 {
        0 => ("read", "{}".to_owned()),
        1 => ("put", "{}".to_owned()),
        2 => ("probe", "{}".to_owned()),
        3 => ("send", "{}".to_owned()),
        4 => ("pay", "{}".to_owned()),
        5 => ("rm", "{}".to_owned()),
        6 => ("nope", "{}".to_owned()),
        7 => ("buy", "[".to_owned()),
        8 => ("buy", "{}".to_owned()),
        9 => ("await_agents", "{}".to_owned()),
        10 => ("cancel_agent", format!(r#"{{"agent_id":"{}"}}"#, child(how))),
        11 => ("send_agent", format!(r#"{{"agent_id":"{}","task":"more"}}"#, child(how))),
        12 => ("list_agents", "{}".to_owned()),
        _ => ("spawn_agent", r#"{"agent":"hand","task":"dig"}"#.to_owned()),
    };
    (0..how % 4).map(|at| one(pick.wrapping_add(at.wrapping_mul(how)))).collect()
}

fn some_reply(pick: u8, how: u8) -> Reply {
    let calls = tool_calls(pick, how);
    let calls: Vec<(&str, &str)> =
        calls.iter().map(|(name, args)| (*name, args.as_str())).collect();
    let mut said = reply(if how % 5 == 4 { "" } else { "well" }, &calls);
    if how % 7 == 6 {
        said.usage = None;
    }
    if pick % 5 == 4 {
        said.stop = Stop::Paused;
    }
    said
}

fn answer(how: u8) -> Answer {
    match how % 10 {
        0 => Answer::Once,
        1 => Answer::Turn,
        2 => Answer::Session,
        3 => Answer::Always,
        4 => Answer::All,
        5 => Answer::Edit { args: Args(if how > 99 { "{" } else { r#"{"x":1}"# }.to_owned()) },
        6 => Answer::Reject,
        7 => Answer::Never,
        8 => Answer::Comment { text: "hm".to_owned() },
        _ => Answer::Revise { feedback: "no".to_owned() },
    }
}

fn target(state: &State, pick: u8, how: u8) -> CancelTarget {
    match how % 4 {
        0 => CancelTarget::Everything,
        1 => CancelTarget::Assignment { no: Assignment(u32::from(pick % 3) + 1) },
        2 => CancelTarget::Child { child: kid(u32::from(pick % 5) + 1) },
        _ => {
            let running = state.turn.as_ref().map_or(TurnId(1), |turn| turn.id);
            CancelTarget::Turn { turn: if pick % 5 == 4 { TurnId(9) } else { running } }
        }
    }
}

fn outcome(how: u8) -> ToolOutcome {
    match how % 3 {
        0 => ToolOutcome::Done { output: Output::text("fine") },
        1 => ToolOutcome::Failed { output: Output::text("oh") },
        _ => ToolOutcome::Cancelled { effect_unknown: true },
    }
}

fn report(how: u8) -> ChildReport {
    let outcome = match how % 4 {
        0 | 3 => ChildOutcome::Quarantined { reason: "bad".to_owned(), stopped: how % 4 == 3 },
        1 => ChildOutcome::Turn { outcome: TurnOutcome::Failed { reason: "bad".to_owned() } },
        _ => {
            let (text, truncated) = ("good".to_owned(), false);
            ChildOutcome::Turn { outcome: TurnOutcome::Completed { text, truncated } }
        }
    };
    ChildReport { outcome, usage: USED }
}

fn invoked(pick: u8, how: u8) -> Input {
    let (name, args) = tool_calls(pick, 1).remove(0);
    Input::Invoked {
        key: format!("h{}", how % 4).into(),
        name: name.into(),
        args: Args(args),
        mode: (how % 5 == 4).then_some(Mode::Plan),
        cwd: None,
    }
}

/// The input that a deed stands for, at this point.
fn input(now: &Watched, Deed { kind, pick, how }: Deed) -> Input {
    let asked = &now.asked;
    let account = me();
    match kind % 32 {
        0..=2 => say(&format!("k{}", pick % 16)),
        3 => assign(u32::from(pick % 3) + 1),
        4..=9 => {
            let call = one(&asked.models, pick, ModelCallNo(99));
            let slots = (0..4).map(|bit| how >> bit & 1 == 1).collect();
            Input::ModelFinished { call, reply: Box::new(some_reply(pick, how)), slots }
        }
        10 | 11 => {
            let Input::ModelFailed { failure, .. } = fails(1, kind_of(how)) else { unreachable!() };
            Input::ModelFailed { call: one(&asked.models, pick, ModelCallNo(99)), failure }
        }
        12..=15 => {
            let call = one(&asked.room, pick, CallNo::Tool(ToolCallNo(99)));
            let short = Shortage::UnknownPrice { account };
            let decision = if how % 6 == 5 { Err(short) } else { Ok(plenty()) };
            match room_now(&now.play.state, call) {
                Input::BudgetDecided { call, asked, .. } if how % 3 > 0 => {
                    Input::BudgetDecided { call, asked, decision }
                }
                _ => decided(u32::from(how % 4), call, decision),
            }
        }
        16..=18 => Input::SlotGranted {
            call: one(&asked.slots, pick, ToolCallNo(99)),
            scripts: Vec::new(),
        },
        19 => {
            let call = one(&asked.slots, pick, ToolCallNo(99));
            Input::SlotRefused { call, reason: "full".to_owned() }
        }
        20..=22 => {
            let call = one(&asked.tools, pick, ToolCallNo(99));
            Input::ToolFinished { call, outcome: outcome(how) }
        }
        23 | 24 => {
            let no = one(&asked.people, pick, ApprovalNo(99));
            Input::ApprovalDecided { no, answer: answer(how) }
        }
        25 | 26 => {
            let stranger = (SessionId(Uuid::from_u128(9)), Assignment(1));
            let (child, assignment) = one(&asked.children, pick, stranger);
            Input::ChildFinished { child, assignment, report: report(how) }
        }
        27 => Input::TimerFired,
        28 => cancel(target(&now.play.state, pick, how)),
        29 => invoked(pick, how),
        30 => Input::Released { skip: how % 2 == 0 },
        _ => Input::Archived { archived: how.is_multiple_of(9) },
    }
}

fn kind_of(how: u8) -> FailureKind {
    match how % 7 {
        0 => FailureKind::Overloaded,
        5 => FailureKind::Quota,
        6 => FailureKind::EndedEarly,
        1 => FailureKind::RateLimited,
        2 => FailureKind::Auth,
        3 => FailureKind::Aborted,
        _ => FailureKind::Transport,
    }
}

/// One deed: time passes, rules change, the session dies, or an input comes.
fn happen(now: &mut Watched, deed: Deed) {
    let ms = match deed.how % 16 {
        15 => 90_000_000,
        14 => 30_000,
        at => u64::from(at),
    };
    now.play.now = now.play.now.plus_ms(ms);
    match deed.kind {
        // Killed before anything of its next step was written.
        240..=247 => {
            let input = input(now, Deed { kind: deed.how, ..deed });
            drop(now.play.decide(input));
            now.crash(deed.pick.is_multiple_of(2).then_some("bang"));
        }
        253 => (0..3).for_each(|_| now.crash(Some("bang"))),
        248..=252 => now.crash(deed.pick.is_multiple_of(3).then_some("bang")),
        254 => now.play.layers.user.deny.push(RulePattern("put".to_owned())),
        255 => now.play.layers.user.ask.push(RulePattern("read".to_owned())),
        140..=239 => {
            let input = input(now, deed);
            now.step(input);
        }
        // Mostly the world does what it was asked, else nothing would ever get far.
        0..=139 if now.play.state.quarantined.is_some() && deed.pick > 99 => {
            now.step(Input::Released { skip: deed.how.is_multiple_of(2) });
        }
        0..=139 => {
            let standing = pending(&now.play.state, Run::First);
            let effect = standing.get(usize::from(deed.pick) % standing.len().max(1));
            let input = effect.map_or_else(
                || Some(say(&format!("k{}", deed.pick))),
                |effect| as_asked(now, effect, deed),
            );
            if let Some(input) = input {
                now.step(input);
            }
        }
    }
}

/// What the world says to an effect that stands.
fn as_asked(now: &mut Watched, effect: &Effect, Deed { pick, how, .. }: Deed) -> Option<Input> {
    let input = match effect {
        Effect::CallModel { call } if how % 8 == 7 => fails(call.0, kind_of(how)),
        Effect::CallModel { call } => {
            let slots = (0..4).map(|bit| pick >> bit & 1 == 1).collect();
            let reply = Box::new(some_reply(pick, how));
            Input::ModelFinished { call: *call, reply, slots }
        }
        Effect::AbortModel { call } => fails(call.0, FailureKind::Aborted),
        Effect::Reserve { call } => room_now(&now.play.state, *call),
        Effect::AcquireSlot { call, .. } => Input::SlotGranted { call: *call, scripts: Vec::new() },
        Effect::RunTool { call, .. } => Input::ToolFinished { call: *call, outcome: outcome(how) },
        Effect::AbortTool { call } => Input::ToolFinished { call: *call, outcome: outcome(2) },
        Effect::AskPermission { no, .. } => Input::ApprovalDecided { no: *no, answer: answer(how) },
        Effect::SpawnChild { child, assignment }
        | Effect::CancelChild { child, assignment, .. } => {
            Input::ChildFinished { child: *child, assignment: *assignment, report: report(how) }
        }
        Effect::SetTimer { at } if how.is_multiple_of(4) => {
            now.play.now = (*at).max(now.play.now);
            Input::TimerFired
        }
        _ => return None,
    };
    Some(input)
}

/// What a session would be asked next, if it were.
fn prompt_of(state: &State) -> Option<Vec<u8>> {
    let request = prompt::request(state, ModelCallNo(1), state.updated_at)?;
    Some(request.prompt_bytes())
}

pub(super) fn played(kind: u8, deeds: &[Deed]) -> Watched {
    let mut now = Watched::new(session(kind));
    for deed in deeds {
        happen(&mut now, *deed);
    }
    now
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// The fold of the bytes is the live state after every step, each thing ends once, and nothing
    /// is done without its event: `Play` and `Books` assert it at every step.
    #[test]
    fn whatever_happens_the_log_is_the_truth(kind: u8, deeds in deeds()) {
        played(kind, &deeds);
    }

    /// And it always comes to an end: when the world answers everything, and is asked to stop.
    #[test]
    fn a_cancelled_session_comes_to_rest(kind: u8, deeds in deeds()) {
        let mut now = played(kind, &deeds);
        now.step(Input::Released { skip: false });
        now.step(cancel(CancelTarget::Everything));
        for _ in 0..400 {
            let standing = pending(&now.play.state, Run::First);
            let Some(input) = standing.iter().find_map(obeyed) else { break };
            now.step(input);
        }
        let state = &now.play.state;
        prop_assert!(state.turn.is_none() && state.queue.is_empty(), "{:?}", state.turn);
        prop_assert!(state.calls.is_empty() && state.approvals.is_empty());
        prop_assert!(!state.is_stopping() && state.live_children() == 0);
    }

    /// A crash changes no prompt, unless it took the result of a tool that is not run again.
    #[test]
    fn a_crash_changes_no_prompt(kind: u8, deeds in deeds()) {
        let now = played(kind, &deeds);
        let mut woken = now.clone();
        let before = woken.events.len();
        woken.crash(None);
        let said = woken.events.get(before..).unwrap_or_default();
        let lost = said.iter().any(|event| {
            matches!(event, Event::ToolFinished { .. } | Event::TurnFinished { .. })
        });
        if !lost {
            prop_assert_eq!(prompt_of(&now.play.state), prompt_of(&woken.play.state));
            prop_assert_eq!(&now.play.state.conversation, &woken.play.state.conversation);
        }
    }

    /// Any events in any order are folded or refused; neither that nor a look at what came of it
    /// panics.
    #[test]
    fn no_log_makes_the_fold_panic(
        kind: u8,
        deeds in deeds(),
        cuts in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..12),
    ) {
        let mut events = played(kind, &deeds).events;
        for (how, from, to) in cuts {
            let (from, to) = (usize::from(from) % events.len(), usize::from(to) % events.len());
            match how % 4 {
                0 => events.swap(from, to),
                1 => events.insert(to, events[from].clone()),
                2 => drop(events.remove(from)),
                _ => events.truncate(to.max(1)),
            }
            if events.is_empty() {
                return Ok(());
            }
        }
        let mut state = State::new(me());
        for (at, event) in events.iter().enumerate() {
            let at = crate::domain::ids::Timestamp(i64::try_from(at).unwrap());
            if apply(&mut state, event, at).is_err() {
                break;
            }
            look(&state);
        }
    }
}

fn look(state: &State) {
    let tenant = "t".into();
    let position = crate::domain::ids::Position(1);
    drop((catalog::row(state, &tenant, position), prompt_of(state)));
    for call in state.calls.values() {
        drop(State::request(call, &crate::policy::rules::Policy::default()).digest());
    }
    for run in [Run::First, Run::Again] {
        drop(pending(state, run));
    }
}

/// What a world that obeys says to a standing effect of a session that is being cancelled.
fn obeyed(effect: &Effect) -> Option<Input> {
    match effect {
        Effect::CallModel { call } | Effect::AbortModel { call } => {
            Some(fails(call.0, FailureKind::Aborted))
        }
        Effect::RunTool { call, .. } | Effect::AbortTool { call } => {
            let outcome = ToolOutcome::Cancelled { effect_unknown: true };
            Some(Input::ToolFinished { call: *call, outcome })
        }
        Effect::SpawnChild { child, assignment }
        | Effect::CancelChild { child, assignment, .. } => {
            Some(Input::ChildFinished { child: *child, assignment: *assignment, report: report(1) })
        }
        _ => None,
    }
}

/// A world whose answers depend on nothing but what is asked, so that two runs can be compared.
fn run_to_the_end(crashes: &[bool]) -> (Vec<String>, String) {
    let mut lead: AgentSpec = agent();
    lead.budget.tokens = Some(10_000_000);
    lead.fallback.push(ModelChoice { model: "n".into(), provider: None });
    let mut now = Watched::new(Play::of(lead));
    // One call waits for a person, and no call is of the kind that a crash leaves unknown.
    now.play.layers.user.ask.push(RulePattern("put".to_owned()));
    let mut prompts: Vec<String> = Vec::new();
    now.step(say("k1"));
    for at in 0..200 {
        if crashes.get(at).copied().unwrap_or(false) {
            now.crash(None);
        }
        let state = &now.play.state;
        let standing = pending(state, Run::First);
        let Some(input) = standing.iter().find_map(|effect| answered(state, effect, &mut prompts))
        else {
            break;
        };
        now.step(input);
    }
    prompts.dedup();
    (prompts, format!("{:?}", now.play.state.conversation))
}

fn answered(state: &State, effect: &Effect, prompts: &mut Vec<String>) -> Option<Input> {
    match effect {
        Effect::Reserve { call } => Some(room_now(state, *call)),
        Effect::CallModel { call } => {
            let prompt = prompt::request(state, *call, state.updated_at)?.prompt_bytes();
            prompts.push(String::from_utf8(prompt).unwrap());
            let first = state.turn.as_ref()?.model == "m".into();
            if first && state.conversation.len() == 3 {
                // From here on another model answers, whatever dies meanwhile.
                return Some(fails(call.0, FailureKind::Quota));
            }
            let said = match state.conversation.len() {
                1 => reply("", &[("read", "{}"), ("put", "{}")]),
                3 => reply("on", &[("spawn_agent", r#"{"agent":"hand","task":"dig"}"#)]),
                5 => reply("", &[("await_agents", "{}"), ("probe", "{}")]),
                _ => reply("done", &[]),
            };
            Some(Input::ModelFinished { call: *call, reply: Box::new(said), slots: Vec::new() })
        }
        Effect::AcquireSlot { call, .. } => {
            Some(Input::SlotGranted { call: *call, scripts: Vec::new() })
        }
        Effect::RunTool { call, .. } => Some(done(call.0, &format!("result of {call}"))),
        Effect::AskPermission { no, .. } => Some(person(no.0, Answer::Once)),
        Effect::SpawnChild { child, assignment } => {
            let waited = state.calls.values().any(|call| {
                call.name.as_str() == "await_agents" && matches!(call.stage, Stage::Started { .. })
            });
            let (child, assignment) = (*child, *assignment);
            waited.then(|| Input::ChildFinished { child, assignment, report: report(2) })
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Killed at any steps, a session asks its model for the very same bytes as one that was not.
    #[test]
    fn killed_at_any_steps_it_sends_the_same_prompts(crashes in prop::collection::vec(any::<bool>(), 0..40)) {
        let control = run_to_the_end(&[]);
        prop_assert!(control.0.len() >= 4, "the run is too short to say anything");
        prop_assert_eq!(control, run_to_the_end(&crashes));
    }
}
