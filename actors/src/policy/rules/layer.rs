//! One rule set, read, and what it says about a request. Layers are combined in `rules`; here is
//! what one of them finds, and the order of strictness.

use crate::domain::permission::{Decision, Rule, RulePattern, RuleSet};

use super::{
    Match, RuleError, Side,
    facts::Facts,
    fence::Ground,
    path::Bases,
    pattern::{Pattern, Spec},
    place::{Names, Target},
    subject::Subject,
};

/// A rule set, read.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) name: LayerName,
    pub(super) deny: Vec<Pattern>,
    ask: Vec<Pattern>,
    allow: Vec<Pattern>,
    /// Whether it has allow rules, readable or not.
    has_allow: bool,
    /// Rules that could not be read, of a session only.
    pub(super) broken: Vec<(Decision, RuleError)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayerName {
    BuiltIn,
    User,
    Project,
    Standing,
    Answers,
    /// A link of the authority: how many agents above the one that asks.
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
            Self::Link(0) => f.write_str("its agent"),
            Self::Link(1) => f.write_str("the agent above it"),
            Self::Link(above) => write!(f, "the agent {above} levels above it"),
        }
    }
}

impl Layer {
    /// Whether it is what people answered for always, and holds this rule.
    pub(super) fn stands(&self, rule: &Rule) -> bool {
        let list = match rule.decision {
            Decision::Deny => &self.deny,
            Decision::Ask => &self.ask,
            Decision::Allow => &self.allow,
        };
        self.name == LayerName::Standing && list.iter().any(|known| known.text == rule.pattern.0)
    }

    /// Only what tightens and is `meant`; none when nothing is. What could not be read was seen, and
    /// refused everything, when the call itself was judged.
    pub(super) fn narrowing(&self, meant: impl Fn(&Pattern) -> bool) -> Option<Self> {
        let kept = |list: &[Pattern]| -> Vec<Pattern> {
            list.iter().filter(|pattern| meant(pattern)).cloned().collect()
        };
        let (deny, ask) = (kept(&self.deny), kept(&self.ask));
        let none = deny.is_empty() && ask.is_empty();
        (!none).then(|| Self {
            name: self.name,
            deny,
            ask,
            allow: Vec::new(),
            has_allow: false,
            broken: Vec::new(),
        })
    }

    /// Whether it says what it is for.
    pub(super) const fn allows(&self) -> bool {
        self.has_allow
    }

    /// Reads a set of which every rule must have a meaning.
    pub(super) fn strict(name: LayerName, rules: &RuleSet) -> Result<Self, RuleError> {
        let mut layer = Self::lenient(name, rules);
        if layer.broken.is_empty() { Ok(layer) } else { Err(layer.broken.remove(0).1) }
    }

    /// Reads a set and keeps what has no meaning apart.
    pub(super) fn lenient(name: LayerName, rules: &RuleSet) -> Self {
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
        Self { name, deny, ask, allow, has_allow: !rules.allow.is_empty(), broken }
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
pub(super) enum Say {
    Nothing,
    Allow,
    Ask,
    FirmAsk,
    Deny,
}

/// What was said, and by which rules.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) say: Say,
    pub(super) reasons: Vec<String>,
}

impl Finding {
    pub(super) const NOTHING: Self = Self { say: Say::Nothing, reasons: Vec::new() };

    /// The stricter of both, with the reasons of that one; of both, when they agree.
    pub(super) fn or_stricter(mut self, other: Self) -> Self {
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

impl Finding {
    /// At least a firm ask, for this reason.
    pub(super) fn raised(mut self, why: Option<&str>) -> Self {
        let Some(why) = why.filter(|_| self.say != Say::Deny) else { return self };
        if !matches!(self.say, Say::Ask | Say::FirmAsk) {
            self.reasons.clear();
        }
        self.say = Say::FirmAsk;
        self.reasons.insert(0, why.to_owned());
        self
    }
}

impl Layer {
    /// The folder that its paths with `/` in front begin at.
    fn settings<'g>(&self, ground: &'g Ground) -> Option<&'g Names> {
        match self.name {
            LayerName::User => ground.user.as_ref(),
            LayerName::BuiltIn
            | LayerName::Project
            | LayerName::Standing
            | LayerName::Answers
            | LayerName::Link(_) => ground.project.as_ref(),
        }
    }

    /// Whether what tightens here, from `least` on, means a place. For who asks about a hundred
    /// thousand of them: it is what `ask_all` finds, and nothing where a rule is about more than a path.
    pub(super) fn narrows(
        &self,
        (target, cwd): (&Target, Option<&Names>),
        ground: &Ground,
        least: Say,
    ) -> Option<bool> {
        let bases = Bases { home: ground.home.as_ref(), settings: self.settings(ground), cwd };
        let ask = if least <= Say::Ask { self.ask.as_slice() } else { &[] };
        let mut found = false;
        for pattern in self.deny.iter().chain(ask) {
            let Some(Spec::Path(glob)) = &pattern.spec else { return None };
            found |= glob.matches(target, bases, Side::Tighten) != Match::No;
        }
        Some(found)
    }

    /// What this layer says, its strictest list first.
    pub(super) fn ask_all(
        &self,
        (facts, subject): (&Facts<'_>, &Subject),
        ground: &Ground,
        notes: &mut Vec<String>,
    ) -> Finding {
        let bases = facts.bases(self.settings(ground));
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
                let found = facts.fits(pattern, side, bases, subject);
                if found == Match::No {
                    continue;
                }
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
