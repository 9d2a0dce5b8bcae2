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
//! A tool that fails again and again is raised (`policy::reliability`): what would be allowed is then
//! a firm ask too. So where nothing is asked it is denied, and no waiver covers it.
//!
//! A rule that tightens and cannot be compared with the request makes a *firm* ask: a person may
//! answer it, but no mode and no waiver does. A rule of a session that cannot be read denies when
//! it was meant to tighten, and is left out when it was meant to allow.

mod arguments;
mod facts;
mod fence;
mod glob;
mod guess;
mod layer;
mod path;
mod pattern;
mod place;
mod remember;
mod shell;
mod sight;
mod spelling;
mod subject;
mod tools;
mod url;

#[cfg(test)]
mod tests;

pub use fence::Places;
pub use pattern::{Fault, RuleError};
pub use remember::remember;
pub use sight::Sight;

use std::sync::Arc;

use crate::{
    domain::{
        ids::ToolName,
        permission::{Authority, Decision, Mode, Request, Rule, RuleSet, Verdict},
        tool::EffectClass,
    },
    limits,
};

use facts::{Facts, Own};
use fence::{Fences, Ground};
use layer::{Finding, Layer, LayerName, Say};
use subject::Subject;
use tools::Kind;

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
    ground: Arc<Ground>,
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
    /// Why a person must answer although rules allow it: the tool failed again and again.
    pub raised: Option<&'a str>,
}

impl<'a> Standing<'a> {
    /// One that nobody has answered anything, before a tool of which nothing better is known.
    #[must_use]
    pub const fn new(authority: &'a [Authority]) -> Self {
        const NO_ANSWERS: &RuleSet =
            &RuleSet { deny: Vec::new(), ask: Vec::new(), allow: Vec::new() };
        Self {
            authority,
            answers: NO_ANSWERS,
            asks_waived: false,
            mode: None,
            effect: EffectClass::Once,
            raised: None,
        }
    }
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
        Ok(Self { layers, desk, ground: Arc::default() })
    }

    /// The same policy with known folders, so that rules relative to them can allow.
    #[must_use]
    pub fn at(mut self, places: Places) -> Self {
        self.ground = Arc::new(Ground::new(places));
        self
    }

    /// The folder that a call works in: its own, from the workspace on, or the workspace itself.
    #[must_use]
    pub fn folder(&self, own: Option<&str>) -> Option<String> {
        let workspace = self.ground.places.workspace.as_deref();
        match (own, workspace) {
            (Some(own), Some(workspace)) if !own.starts_with('/') => {
                Some(format!("{workspace}/{own}"))
            }
            (Some(own), _) => Some(own.to_owned()),
            (None, workspace) => workspace.map(str::to_owned),
        }
    }

    /// The same policy with one more standing rule.
    ///
    /// # Errors
    /// When the rule cannot be read.
    pub fn with_standing(&self, rule: &Rule) -> Result<Self, RuleError> {
        let mut next = self.clone();
        if self.layers.iter().any(|layer| layer.stands(rule)) {
            return Ok(next);
        }
        let mut rules = RuleSet::default();
        rules.push(rule.clone());
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

/// What a request may do.
#[must_use]
pub fn decide(policy: &Policy, standing: &Standing<'_>, request: &Request) -> Verdict {
    let facts = Facts::of(request, &policy.ground);
    let mut notes = Vec::new();
    let answers = Layer::lenient(LayerName::Answers, standing.answers);
    let links: Vec<_> =
        standing.authority.iter().zip((0..standing.authority.len()).rev()).collect();
    let links: Vec<Layer> = links
        .into_iter()
        .map(|(link, above)| Layer::lenient(LayerName::Link(above), &link.rules))
        .collect();
    let fences = policy.ground.fences(standing.authority);
    let asked = Asked { policy, answers: &answers, links: &links, fences, facts: &facts };
    let found: Vec<(usize, Finding)> = facts
        .subjects()
        .iter()
        .enumerate()
        .map(|(at, subject)| (at, asked.about(subject, &mut notes)))
        .collect();
    let proposal = facts.proposal(&found);
    let strictest = found.into_iter().map(|(_, found)| found).reduce(Finding::or_stricter);
    let finding = strictest.unwrap_or(Finding::NOTHING);
    // No rule would allow what is asked about only because its tool fails.
    let has_proposal = standing.raised.is_none() || finding.say != Say::Allow;
    let finding = finding.raised(standing.raised);
    let mut verdict = settle(policy.desk, standing, &facts, finding);
    if verdict.decision != Decision::Allow {
        verdict.reasons.extend(notes);
    }
    dedup(&mut verdict.reasons);
    if verdict.decision == Decision::Ask && has_proposal {
        verdict.proposal = Some(match proposal {
            Some(rule) => format!("{}({})", request.tool, glob::escape_all_but_end(&rule)),
            None => remember(request, Decision::Allow).pattern.0,
        });
    }
    verdict
}

/// The files whose content decides what a request does, as absolute paths: scripts, programs named by
/// their path, and what build tools read.
#[must_use]
pub fn scripts(request: &Request) -> Vec<String> {
    match tools::row(request.tool.as_str()).map(|row| row.kind) {
        Some(Kind::Shell | Kind::Argv) => Facts::of(request, &Ground::default()).into_runs(),
        Some(Kind::Path | Kind::Url) | None => Vec::new(),
    }
}

/// One request under one policy, asked about subject by subject.
#[derive(Debug)]
struct Asked<'a> {
    policy: &'a Policy,
    answers: &'a Layer,
    links: &'a [Layer],
    fences: Fences,
    facts: &'a Facts<'a>,
}

impl Asked<'_> {
    /// What the layers and the links say about one subject.
    fn about(&self, subject: &Subject, notes: &mut Vec<String>) -> Finding {
        let ground = &*self.policy.ground;
        let own = self.facts.own(subject, &self.fences);
        let mut shared = Finding::NOTHING;
        for layer in self.policy.layers.iter().chain([self.answers]) {
            let found = layer.ask_all((self.facts, subject), ground, notes);
            // Within one list the strictest match is the first list that matches.
            shared = shared.or_stricter(found);
        }
        let mut spoken: Option<Finding> = None;
        for link in self.links {
            let said = link.ask_all((self.facts, subject), ground, notes);
            let mut found = shared.clone().or_stricter(said.clone());
            if found.say == Say::Nothing && link.allows() && !matches!(own, Own::Fine) {
                let reason = format!("{}: none of its allow rules matches", link.name);
                found = Finding { say: Say::Ask, reasons: vec![reason] };
            } else if said.say == Say::Nothing && !link.allows() {
                continue;
            }
            spoken = Some(spoken.map_or(found.clone(), |so_far| so_far.or_stricter(found)));
        }
        let finding = spoken.unwrap_or(shared);
        let with = |say, reason| Finding { say, reasons: vec![reason] };
        match (own, finding.say) {
            (Own::Firm(say, why), _) => finding.or_stricter(with(say, why)),
            (Own::Open(..) | Own::Nothing | Own::Fine, Say::Allow) => finding,
            (Own::Open(say, why), _) => finding.or_stricter(with(say, why)),
            (Own::Fine, Say::Nothing) => Finding { say: Say::Allow, reasons: Vec::new() },
            (Own::Nothing, Say::Nothing) => {
                let tool = self.facts.tool();
                with(Say::Ask, format!("no rule decides about {tool}, so it is asked"))
            }
            (Own::Fine | Own::Nothing, _) => finding,
        }
    }
}

fn dedup(reasons: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    reasons.retain(|reason| seen.insert(reason.clone()));
    reasons.truncate(limits::REASONS);
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
