//! `[agents.NAME]`: one agent each. An agent may extend another: what it does not say itself is as
//! there, but for its part in the team, and permissions add up.

use std::path::Path;

use greenroom_actors::{
    domain::{
        agent::{
            AgentSpec, InputPolicy, Limits, ModelChoice, Reliability, RestartPolicy, Role, Sampling,
        },
        ids::AgentName,
        tool::{Args, Overlay},
    },
    limits as most,
};

use crate::document::{Placed, Section, Sheet, Span, listed, near};

use super::{
    World,
    budgets::{self, Budgets},
    models::{self, Models},
    permissions,
    tools::Tools,
};

const KEYS: [&str; 15] = [
    "extends",
    "role",
    "model",
    "fallback",
    "instructions",
    "instructions_file",
    "tools",
    "routes",
    "budget",
    "limits",
    "sampling",
    "restart",
    "reliability",
    "input",
    "permissions",
];

/// Where an agent's instructions stand: in one of these.
const INSTRUCTIONS: [&str; 2] = ["instructions", "instructions_file"];

/// What agents are put together from.
#[derive(Debug)]
pub(super) struct Parts<'p> {
    pub(super) models: &'p Models,
    pub(super) tools: &'p Tools,
    pub(super) budgets: Budgets,
}

/// An agent with the places that checks of the whole team point at.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) spec: AgentSpec,
    /// The name of its model in the file.
    pub(super) model: Option<String>,
    /// The names in the file of the models that it falls back to.
    pub(super) fallback: Vec<String>,
    pub(super) place: Span,
    pub(super) role: Span,
    pub(super) routes: Vec<Placed<String>>,
    pub(super) budget: Span,
}

/// Notes a name that is not one word of small letters: names stand in ids, rules and tables.
pub(super) fn is_word(sheet: &Sheet<'_>, what: &str, name: &Placed<String>) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let fine = name.value.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.value.chars().all(plain)
        && name.value.len() <= most::WORD_CHARS;
    if !fine {
        let what = format!("{:?} is no name for {what}", name.value);
        let expected = format!(
            "a small letter or digit, then small letters, digits, `_` or `-`, at most {}",
            most::WORD_CHARS
        );
        sheet.note(name.span.clone(), what, expected);
    }
}

pub(super) fn read(all: &Section<'_, '_>, parts: &Parts<'_>, world: &World<'_>) -> Vec<Draft> {
    let Some(section) = all.section("agents") else { return Vec::new() };
    let tables = section.named();
    let mut drafts = Vec::new();
    for (name, own) in &tables {
        is_word(section.sheet, "an agent", name);
        own.only(&KEYS);
        let (agent, is_whole) = extended(name, own, &tables);
        if is_whole && agent.nearest(&INSTRUCTIONS).is_none() {
            let what = format!("agent {:?} has no `instructions`", name.value);
            let expected = "a text that tells it what it is for, or `instructions_file`".to_owned();
            own.sheet.note(name.span.clone(), what, expected);
        }
        drafts.push(draft(all, (name, own, &agent), parts, world));
    }
    drafts
}

/// An agent on top of those that it extends, nearest first, and whether all of them were found.
fn extended<'s, 't>(
    name: &Placed<String>,
    own: &Section<'s, 't>,
    tables: &[(Placed<String>, Section<'s, 't>)],
) -> (Section<'s, 't>, bool) {
    let mut agent = own.clone();
    let mut seen = vec![name.value.clone()];
    let mut top = own;
    while let Some(base) = top.text("extends") {
        let Some((_, next)) = tables.iter().find(|(other, _)| other.value == base.value) else {
            let others = || tables.iter().filter(|(other, _)| other.value != name.value);
            let known = || others().map(|(other, _)| other.value.as_str());
            let what = format!("{:?} is no agent of this file", base.value);
            own.sheet.note_near(base.span, what, listed(known()), near(&base.value, known()));
            return (agent, false);
        };
        if seen.contains(&base.value) {
            let circle = format!("{} → {}", seen.join(" → "), base.value);
            let what = format!("agent {:?} extends itself: {circle}", name.value);
            own.sheet.note(base.span, what, "a chain that ends".to_owned());
            return (agent, false);
        }
        agent = agent.upon(next);
        seen.push(base.value);
        top = next;
    }
    (agent, true)
}

fn draft(
    all: &Section<'_, '_>,
    (name, own, agent): (&Placed<String>, &Section<'_, '_>, &Section<'_, '_>),
    parts: &Parts<'_>,
    world: &World<'_>,
) -> Draft {
    let routes = agent.texts("routes");
    let mut spec = AgentSpec::new(name.value.as_str(), "");
    let roles = [
        ("coordinator", Role::Coordinator),
        ("planner", Role::Planner),
        ("executor", Role::Executor),
        ("specialist", Role::Specialist),
    ];
    spec.role = own.choice("role", &roles).unwrap_or_default();
    let model = model(agent, parts.models, &spec);
    if let Some(model) = model {
        spec.model = model.model.clone();
        spec.provider = Some(model.provider.clone());
    }
    let fallback = fallback(agent, parts.models, &mut spec);
    spec.instructions = instructions(agent, world).unwrap_or_default();
    own_tools(agent, parts.tools, &mut spec);
    spec.routes = routes.iter().map(|route| AgentName(route.value.clone())).collect();
    spec.budget = budgets::of(agent, &parts.budgets);
    spec.limits = limits(agent);
    spec.sampling = sampling(agent);
    spec.restart = restart(agent);
    spec.reliability = reliability(agent);
    let inputs = [
        ("queue", InputPolicy::Queue),
        ("interrupt", InputPolicy::Interrupt),
        ("reject", InputPolicy::Reject),
    ];
    spec.input = agent.choice("input", &inputs).unwrap_or_default();
    spec.authority = permissions::of(all, agent);
    Draft {
        spec,
        model: model.map(|model| model.name.clone()),
        fallback,
        place: name.span.clone(),
        role: own.place("role"),
        routes,
        budget: agent.place("budget"),
    }
}

/// The model that an agent names, or the only one.
fn model<'m>(
    agent: &Section<'_, '_>,
    models: &'m Models,
    spec: &AgentSpec,
) -> Option<&'m models::Model> {
    let known = || models.names();
    if agent.has("model") {
        let name = agent.words("model")?;
        let model = models.find(&name.value);
        if model.is_none() {
            let what = format!("model {:?} does not exist", name.value);
            let expected = format!("{}, from [models.NAME]", listed(known()));
            agent.sheet.note_near(name.span, what, expected, near(&name.value, known()));
        }
        model
    } else {
        let model = models.only();
        if model.is_none() {
            let what = format!("agent {:?} does not say its `model`", spec.name.as_str());
            let expected = format!("{}, from [models.NAME]", listed(known()));
            agent.sheet.note(agent.span.clone(), what, expected);
        }
        model
    }
}

/// Models that answer where its own cannot, in this order, by their names in the file.
fn fallback(agent: &Section<'_, '_>, models: &Models, spec: &mut AgentSpec) -> Vec<String> {
    let mut kept = Vec::new();
    let named = agent.texts("fallback");
    if named.len() > most::FALLBACKS {
        let what = format!("{} models to fall back to", named.len());
        agent.sheet.note(agent.place("fallback"), what, format!("at most {}", most::FALLBACKS));
    }
    for name in named {
        let known = || models.names();
        let Some(model) = models.find(&name.value) else {
            let what = format!("model {:?} does not exist", name.value);
            let expected = format!("{}, from [models.NAME]", listed(known()));
            agent.sheet.note_near(name.span, what, expected, near(&name.value, known()));
            continue;
        };
        let choice =
            ModelChoice { model: model.model.clone(), provider: Some(model.provider.clone()) };
        if choice.model == spec.model && choice.provider == spec.provider {
            let what = format!("model {:?} is the agent's own", name.value);
            agent.sheet.note(name.span, what, "another than it has".to_owned());
            continue;
        }
        spec.fallback.push(choice);
        kept.push(name.value);
    }
    kept
}

fn instructions(agent: &Section<'_, '_>, world: &World<'_>) -> Option<String> {
    let agent = agent.nearest(&INSTRUCTIONS)?;
    if !agent.has("instructions_file") {
        return Some(agent.words("instructions")?.value);
    }
    if agent.has("instructions") {
        let what = "both `instructions` and `instructions_file` are given".to_owned();
        agent.sheet.note(agent.place("instructions_file"), what, "one of them".to_owned());
        return None;
    }
    let path = agent.words("instructions_file")?;
    let why = match (world.text)(Path::new(&path.value)) {
        Ok(text) if text.trim().is_empty() => "it is empty".to_owned(),
        Ok(text) => return Some(text),
        Err(why) => why,
    };
    let what = format!("instructions {:?}: {why}", path.value);
    agent.sheet.note(path.span, what, "a text that can be read, relative to this file".to_owned());
    None
}

/// Its tools: a list of names, or a table with a set-up for each.
fn own_tools(agent: &Section<'_, '_>, known: &Tools, spec: &mut AgentSpec) {
    let Some(agent) = agent.nearest(&["tools"]) else { return };
    let named: Vec<_> = if agent.is_table("tools") {
        let table = agent.section("tools");
        let entries = table.iter().flat_map(Section::named);
        let own = |(name, set_up): (Placed<String>, _)| {
            let own = known.own(&name.value, &set_up);
            (name, own)
        };
        entries.map(own).collect()
    } else {
        agent.texts("tools").into_iter().map(|name| (name, Overlay::new())).collect()
    };
    for (name, own) in named {
        known.check(spec.name.as_str(), &name, &agent);
        let mut overlay = known.overlay(&name.value);
        overlay.extend(own);
        spec.tools.insert(name.value.into(), overlay);
    }
}

fn limits(agent: &Section<'_, '_>) -> Limits {
    let mut limits = Limits::default();
    let Some(set) = agent.section("limits") else { return limits };
    set.only(&[
        "depth",
        "width",
        "total",
        "steps",
        "retries",
        "turn_ms",
        "model_ms",
        "tool_ms",
        "approval_ms",
    ]);
    for (key, value, range) in [
        ("depth", &mut limits.depth, 0..=most::DEPTH_MAX),
        ("width", &mut limits.width, 1..=most::WIDTH_MAX),
        ("total", &mut limits.total, 1..=most::TOTAL_MAX),
        ("steps", &mut limits.steps, 1..=most::STEPS_MAX),
        ("retries", &mut limits.retries, 0..=most::RETRIES_MAX),
    ] {
        *value = set.small(key, range).unwrap_or(*value);
    }
    for (key, value) in [
        ("turn_ms", &mut limits.turn_ms),
        ("model_ms", &mut limits.model_ms),
        ("tool_ms", &mut limits.tool_ms),
        ("approval_ms", &mut limits.approval_ms),
    ] {
        *value = set.number(key, 1..=most::TIME_MAX_MS).unwrap_or(*value);
    }
    limits
}

fn sampling(agent: &Section<'_, '_>) -> Sampling {
    let Some(set) = agent.section("sampling") else { return Sampling::default() };
    set.only(&["temperature", "output_tokens_max", "stop", "thinking_tokens", "output_schema"]);
    let temperature = "a number from 0 to 2 with at most 3 decimals";
    let stop = set.texts("stop");
    if stop.len() > most::STOPS_MAX {
        let what = format!("{} stop sequences", stop.len());
        set.sheet.note(set.place("stop"), what, format!("at most {}", most::STOPS_MAX));
    }
    Sampling {
        temperature_milli: set
            .decimal("temperature", 3, 0..=2_000, temperature)
            .and_then(|milli| u32::try_from(milli).ok()),
        output_tokens_max: set.number("output_tokens_max", 1..=most::REPLY_TOKENS_MAX),
        stop: stop.into_iter().map(|stop| stop.value).collect(),
        thinking_tokens: set.number("thinking_tokens", 1..=most::REPLY_TOKENS_MAX),
        output_schema: output_schema(&set),
    }
}

/// A JSON Schema that the agent's answers must fit.
fn output_schema(set: &Section<'_, '_>) -> Option<String> {
    let schema = set.text("output_schema")?;
    if Args(schema.value.clone()).object().is_err() {
        let what = "`output_schema` is no JSON object".to_owned();
        let expected = r#"a JSON Schema as text, such as '{"type":"object"}'"#.to_owned();
        set.sheet.note(schema.span, what, expected);
        return None;
    }
    Some(schema.value)
}

fn restart(agent: &Section<'_, '_>) -> RestartPolicy {
    let mut policy = RestartPolicy::default();
    let Some(set) = agent.section("restart") else { return policy };
    set.only(&["panics_max", "window_ms", "backoff_ms", "backoff_max_ms"]);
    let panics = set.small("panics_max", 1..=most::PANICS_MAX_MAX);
    policy.panics_max = panics.unwrap_or(policy.panics_max);
    for (key, value) in [
        ("window_ms", &mut policy.window_ms),
        ("backoff_ms", &mut policy.backoff_ms),
        ("backoff_max_ms", &mut policy.backoff_max_ms),
    ] {
        *value = set.number(key, 1..=most::TIME_MAX_MS).unwrap_or(*value);
    }
    if policy.backoff_ms > policy.backoff_max_ms {
        let what = format!("`backoff_ms` is {}, above `backoff_max_ms`", policy.backoff_ms);
        let expected = format!("at most {}", policy.backoff_max_ms);
        set.sheet.note(set.place("backoff_ms"), what, expected);
    }
    policy
}

fn reliability(agent: &Section<'_, '_>) -> Reliability {
    let mut rules = Reliability::default();
    let Some(set) = agent.section("reliability") else { return rules };
    set.only(&["runs", "failures", "window_ms", "raised_ms", "successes"]);
    for (key, value, range) in [
        ("runs", &mut rules.runs, 1..=most::TOOL_RUNS_MAX),
        ("failures", &mut rules.failures, 0..=most::TOOL_RUNS_MAX),
        ("successes", &mut rules.successes, 1..=most::TOOL_RUNS_MAX),
    ] {
        *value = set.small(key, range).unwrap_or(*value);
    }
    for (key, value) in [("window_ms", &mut rules.window_ms), ("raised_ms", &mut rules.raised_ms)] {
        *value = set.number(key, 1..=most::TIME_MAX_MS).unwrap_or(*value);
    }
    if rules.failures > rules.runs {
        let what = format!("`failures` is {}, of {} `runs`", rules.failures, rules.runs);
        let expected = format!("at most {}, or 0 for never", rules.runs);
        set.sheet.note(set.place("failures"), what, expected);
    }
    rules
}
