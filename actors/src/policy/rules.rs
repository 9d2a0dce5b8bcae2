//! Permission. One question, [`decide`]: may this tool run with these arguments, must a person
//! answer, or not at all. It refuses to guess: what no rule decides is asked, what cannot be read
//! is not allowed, and a deny holds at every depth and in every mode.
//!
//! How a verdict comes about:
//!
//! 1. The runtime's layers (built-in, user, project, standing) and the session's remembered
//!    answers are one list: all denies, then all asks, then all allows; the first list with a
//!    match decides. The project's allows are not read: a project may only tighten.
//! 2. Each link of the authority, root to self, is that list with the link's rules added. The
//!    strictest link wins. A link without allow rules closes only what its deny and ask rules
//!    match; with one or more it has said what it is for, and anything else is asked.
//! 3. Where no link speaks, the runtime's layers alone decide; without a match that is ask.
//! 4. The mode, the strictest of all links and of the override, then the waiver, then the desk
//!    treat an *ask*. Only `plan` touches an allow. Nothing touches a deny.
//!
//! A rule that tightens and cannot be compared with the request makes a *firm* ask: a person may
//! answer it, but no mode and no waiver does. A rule of a session that cannot be read denies when
//! it was meant to tighten, and is left out when it was meant to allow.

mod facts;
mod glob;
mod path;
mod pattern;
mod remember;
mod shell;
mod tools;
mod url;

#[cfg(test)]
mod tests;

pub use path::Places;
pub use pattern::{Fault, RuleError};
pub use remember::remember;

use crate::{
    domain::{
        ids::ToolName,
        permission::{Authority, Decision, Mode, Request, Rule, RulePattern, RuleSet, Verdict},
        tool::EffectClass,
    },
    limits,
};

use facts::Facts;
use path::Bases;
use pattern::Pattern;

/// The rules that hold for every session of a runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// Those that come with the runtime.
    pub builtin: RuleSet,
    /// The user's.
    pub user: RuleSet,
    /// The project's; its allow list is ignored, with a reason.
    pub project: RuleSet,
    /// What people answered for always.
    pub standing: RuleSet,
}

/// Whether a person can answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Desk {
    /// Somebody is there.
    #[default]
    Staffed,
    /// Nobody is: ask becomes deny.
    Headless,
}

/// The runtime's rules, compiled.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    layers: Vec<Layer>,
    desk: Desk,
    places: Places,
}

/// What one session adds to the policy.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Its authority, root first, itself last; every link must allow.
    pub authority: &'a [Authority],
    /// What was answered for this session.
    pub answers: &'a RuleSet,
    /// Whether an answer for the whole turn or for everything is in force.
    pub asks_waived: bool,
    /// A mode for this turn or call; only a stricter one counts.
    pub mode: Option<Mode>,
    /// What running the tool twice would do.
    pub effect: EffectClass,
}

/// Whether a rule narrows or widens what may run: doubt goes against it in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Tighten,
    Allow,
}

/// Whether a pattern means a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    No,
    Unclear(&'static str),
    Yes,
}

impl Match {
    const fn when(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Side {
    const fn unless_allowing(self, found: Match) -> Match {
        match self {
            Self::Tighten => found,
            Self::Allow => Match::No,
        }
    }
}

/// A rule set, read.
#[derive(Clone, Debug)]
struct Layer {
    name: LayerName,
    deny: Vec<Pattern>,
    ask: Vec<Pattern>,
    allow: Vec<Pattern>,
    /// Rules that could not be read, of a session only.
    broken: Vec<(Decision, RuleError)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LayerName {
    BuiltIn,
    User,
    Project,
    Standing,
    Answers,
    Link(usize),
}

impl std::fmt::Display for LayerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in"),
            Self::User => f.write_str("user"),
            Self::Project => f.write_str("project"),
            Self::Standing => f.write_str("standing"),
            Self::Answers => f.write_str("session answers"),
            Self::Link(depth) => write!(f, "authority {depth}"),
        }
    }
}

impl Policy {
    /// Reads every layer.
    ///
    /// # Errors
    /// When a rule cannot be read.
    pub fn compile(layers: &Layers, desk: Desk) -> Result<Self, RuleError> {
        let layers = [
            (LayerName::BuiltIn, &layers.builtin),
            (LayerName::User, &layers.user),
            (LayerName::Project, &layers.project),
            (LayerName::Standing, &layers.standing),
        ];
        let layers = layers
            .into_iter()
            .map(|(name, rules)| Layer::strict(name, rules))
            .collect::<Result<_, _>>()?;
        Ok(Self { layers, desk, places: Places::default() })
    }

    /// The same policy with known folders, so that rules relative to them can allow.
    #[must_use]
    pub fn at(mut self, places: Places) -> Self {
        self.places = places;
        self
    }

    /// The same policy with one more standing rule.
    ///
    /// # Errors
    /// When the rule cannot be read.
    pub fn with_standing(&self, rule: &Rule) -> Result<Self, RuleError> {
        let mut rules = RuleSet::default();
        rules.push(rule.clone());
        let mut next = self.clone();
        next.layers.push(Layer::strict(LayerName::Standing, &rules)?);
        Ok(next)
    }
}

/// Whether every rule of a set can be read.
///
/// # Errors
/// The first that cannot.
pub fn check(rules: &RuleSet) -> Result<(), RuleError> {
    let layer = Layer::lenient(LayerName::Answers, rules);
    match layer.broken.into_iter().next() {
        None => Ok(()),
        Some((_, error)) => Err(RuleError { layer: None, ..error }),
    }
}

impl Layer {
    fn strict(name: LayerName, rules: &RuleSet) -> Result<Self, RuleError> {
        let mut layer = Self::lenient(name, rules);
        if layer.broken.is_empty() { Ok(layer) } else { Err(layer.broken.remove(0).1) }
    }

    fn lenient(name: LayerName, rules: &RuleSet) -> Self {
        let mut broken = Vec::new();
        let mut read = |decision: Decision, list: &[RulePattern]| -> Vec<Pattern> {
            let mut patterns = Vec::with_capacity(list.len());
            for pattern in list {
                match Pattern::read(pattern) {
                    Ok(pattern) => patterns.push(pattern),
                    Err(error) => {
                        let layer = Some(format!("{name}, {}", word(decision)));
                        broken.push((decision, RuleError { layer, ..error }));
                    }
                }
            }
            patterns
        };
        let deny = read(Decision::Deny, &rules.deny);
        let ask = read(Decision::Ask, &rules.ask);
        let allow = read(Decision::Allow, &rules.allow);
        Self { name, deny, ask, allow, broken }
    }
}

const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    }
}

/// What a list of layers says, from nothing to never. The order is the strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Say {
    Nothing,
    Allow,
    Ask,
    FirmAsk,
    Deny,
}

/// What was said, and by which rules.
#[derive(Clone, Debug)]
struct Finding {
    say: Say,
    reasons: Vec<String>,
}

impl Finding {
    const NOTHING: Self = Self { say: Say::Nothing, reasons: Vec::new() };

    /// The stricter of both, with the reasons of that one; of both, when they agree.
    fn or_stricter(mut self, other: Self) -> Self {
        match self.say.cmp(&other.say) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => {
                self.reasons.extend(other.reasons);
                self
            }
        }
    }
}

/// What a request may do.
#[must_use]
pub fn decide(policy: &Policy, standing: &Standing<'_>, request: &Request) -> Verdict {
    let facts = Facts::of(request);
    let mut shared = Finding::NOTHING;
    let mut notes = Vec::new();
    let answers = Layer::lenient(LayerName::Answers, standing.answers);
    for layer in policy.layers.iter().chain([&answers]) {
        let found = layer.ask_all(&facts, &policy.places, &mut notes);
        // Within one list the strictest match is the first list that matches.
        shared = shared.or_stricter(found);
    }
    let mut spoken: Option<Finding> = None;
    for (depth, link) in standing.authority.iter().enumerate() {
        let layer = Layer::lenient(LayerName::Link(depth), &link.rules);
        let own = layer.ask_all(&facts, &policy.places, &mut notes);
        let mut found = shared.clone().or_stricter(own.clone());
        if found.say == Say::Nothing && !link.rules.allow.is_empty() {
            let reason = format!("{}: none of its allow rules matches", layer.name);
            found = Finding { say: Say::Ask, reasons: vec![reason] };
        } else if own.say == Say::Nothing && link.rules.allow.is_empty() {
            continue;
        }
        spoken = Some(spoken.map_or(found.clone(), |so_far| so_far.or_stricter(found)));
    }
    let mut finding = spoken.unwrap_or(shared);
    if finding.say == Say::Nothing {
        let reason = format!("no rule decides about {}, so it is asked", request.tool);
        finding = Finding { say: Say::Ask, reasons: vec![reason] };
    }
    let mut verdict = settle(policy.desk, standing, &facts, finding);
    if verdict.decision != Decision::Allow {
        verdict.reasons.extend(notes);
    }
    dedup(&mut verdict.reasons);
    if verdict.decision == Decision::Ask {
        verdict.proposal = Some(remember(request, Decision::Allow).pattern.0);
    }
    verdict
}

fn dedup(reasons: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    reasons.retain(|reason| seen.insert(reason.clone()));
    reasons.truncate(limits::REASONS);
}

impl Layer {
    /// What this layer says, its strictest list first.
    fn ask_all(&self, facts: &Facts<'_>, places: &Places, notes: &mut Vec<String>) -> Finding {
        let settings = match self.name {
            LayerName::User => places.user.as_deref(),
            LayerName::BuiltIn
            | LayerName::Project
            | LayerName::Standing
            | LayerName::Answers
            | LayerName::Link(_) => places.project.as_deref(),
        };
        let bases = Bases { home: places.home.as_deref(), settings, cwd: None };
        let mut finding = Finding::NOTHING;
        for (decision, error) in &self.broken {
            match decision {
                Decision::Allow => notes.push(format!("left out: {error}")),
                Decision::Ask | Decision::Deny => {
                    finding = finding
                        .or_stricter(Finding { say: Say::Deny, reasons: vec![error.to_string()] });
                }
            }
        }
        for (decision, list) in [
            (Decision::Deny, &self.deny),
            (Decision::Ask, &self.ask),
            (Decision::Allow, &self.allow),
        ] {
            for pattern in list {
                let side = match decision {
                    Decision::Allow => Side::Allow,
                    Decision::Ask | Decision::Deny => Side::Tighten,
                };
                let found = facts.fits(pattern, side, bases);
                let rule = format!("{}: {} {}", self.name, word(decision), pattern.text);
                if found == Match::Yes
                    && decision == Decision::Allow
                    && self.name == LayerName::Project
                {
                    notes.push(format!("{rule} is ignored: a project may only tighten"));
                    continue;
                }
                finding = finding.or_stricter(judge(decision, found, rule));
            }
        }
        finding
    }
}

fn judge(decision: Decision, found: Match, rule: String) -> Finding {
    let (say, reason) = match (decision, found) {
        (_, Match::No) => return Finding::NOTHING,
        (Decision::Allow, Match::Unclear(_)) => return Finding::NOTHING,
        (Decision::Allow, Match::Yes) => (Say::Allow, rule),
        (Decision::Ask, Match::Yes) => (Say::Ask, rule),
        (Decision::Ask, Match::Unclear(why)) => (Say::Ask, format!("{rule} may match: {why}")),
        (Decision::Deny, Match::Yes) => (Say::Deny, rule),
        (Decision::Deny, Match::Unclear(why)) => (Say::FirmAsk, format!("{rule} may match: {why}")),
    };
    Finding { say, reasons: vec![reason] }
}

/// The modes of every link and of the override, strictest first. Plan and DontAsk narrow different
/// things, so one does not stand for the other.
fn modes(standing: &Standing<'_>) -> Vec<Mode> {
    let mut modes: Vec<Mode> = standing.authority.iter().map(|link| link.mode).collect();
    if modes.is_empty() {
        modes.push(Mode::default());
    }
    modes.extend(standing.mode);
    modes.sort_unstable();
    modes.dedup();
    modes
}

/// Applies the modes, the waiver and the desk to what the rules said.
fn settle(desk: Desk, standing: &Standing<'_>, facts: &Facts<'_>, finding: Finding) -> Verdict {
    let Finding { mut say, mut reasons } = finding;
    let modes = modes(standing);
    let strictest = modes.first().copied().unwrap_or_default();
    let edits = facts.row().is_some_and(|row| row.edits);
    let asks = matches!(say, Say::Nothing | Say::Ask | Say::FirmAsk);
    let plain_ask = asks && say != Say::FirmAsk;
    let turned = if say == Say::Deny {
        None
    } else if strictest == Mode::Plan && standing.effect != EffectClass::Pure {
        Some((Say::Deny, "mode plan: only tools that change nothing may run"))
    } else if asks && modes.contains(&Mode::DontAsk) {
        Some((Say::Deny, "mode dont_ask: nothing is asked"))
    } else if plain_ask && strictest == Mode::BypassPermissions {
        Some((Say::Allow, "mode bypass_permissions: what would be asked is allowed"))
    } else if plain_ask && strictest == Mode::AcceptEdits && edits {
        Some((Say::Allow, "mode accept_edits: edits that would be asked are allowed"))
    } else if plain_ask && standing.asks_waived {
        Some((Say::Allow, "an answer covers everything that would be asked"))
    } else {
        None
    };
    if let Some((to, why)) = turned {
        say = to;
        reasons.push(why.to_owned());
    }
    if matches!(say, Say::Nothing | Say::Ask | Say::FirmAsk) && desk == Desk::Headless {
        say = Say::Deny;
        reasons.push("headless: nobody can be asked".to_owned());
    }
    let decision = match say {
        Say::Allow => Decision::Allow,
        Say::Nothing | Say::Ask | Say::FirmAsk => Decision::Ask,
        Say::Deny => Decision::Deny,
    };
    Verdict { decision, reasons, proposal: None }
}

/// Whether the model does not even see a tool: a deny rule names it without a spec.
#[must_use]
pub fn hidden(policy: &Policy, standing: &Standing<'_>, tool: &ToolName) -> bool {
    let row = tools::row(tool.as_str());
    let bare = |layer: &Layer| {
        layer.deny.iter().any(|pattern| {
            pattern.spec.is_none() && facts::names(&pattern.name, tool.as_str(), row, Side::Tighten)
        })
    };
    policy.layers.iter().any(bare)
        || bare(&Layer::lenient(LayerName::Answers, standing.answers))
        || standing
            .authority
            .iter()
            .enumerate()
            .any(|(depth, link)| bare(&Layer::lenient(LayerName::Link(depth), &link.rules)))
}
