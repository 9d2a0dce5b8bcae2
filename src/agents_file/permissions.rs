//! `[permissions]`, of the file and of one agent: a mode and three lists of rules. Every rule is read
//! by the runtime's own reader, so that what is accepted here means something there.

use greenroom_actors::{
    domain::permission::{Authority, Decision, Mode, Rule, RulePattern, RuleSet},
    runtime::check_rules,
};

use crate::document::Section;

const MODES: [(&str, Mode); 5] = [
    ("plan", Mode::Plan),
    ("dont_ask", Mode::DontAsk),
    ("default", Mode::Default),
    ("accept_edits", Mode::AcceptEdits),
    ("bypass_permissions", Mode::BypassPermissions),
];

/// What an agent may do: the file's rules and its own together. Rules add up, because a deny must
/// not vanish where an agent says something of its own; the mode is its own, else the file's.
pub(super) fn of(all: &Section<'_, '_>, agent: &Section<'_, '_>) -> Authority {
    let mut authority = Authority::default();
    for section in [all.section("permissions"), agent.section("permissions")].into_iter().flatten()
    {
        section.only(&["mode", "deny", "ask", "allow"]);
        authority.mode = section.choice("mode", &MODES).unwrap_or(authority.mode);
        let rules = rules(&section);
        for (decision, list) in [
            (Decision::Deny, rules.deny),
            (Decision::Ask, rules.ask),
            (Decision::Allow, rules.allow),
        ] {
            list.into_iter().for_each(|pattern| authority.rules.push(Rule { decision, pattern }));
        }
    }
    authority
}

/// The three lists of a section and of those it stands on.
pub(crate) fn rules(section: &Section<'_, '_>) -> RuleSet {
    let read = |key: &str, decision: Decision| -> Vec<RulePattern> {
        let mut patterns = Vec::new();
        for text in section.all_texts(key) {
            let pattern = RulePattern(text.value);
            let mut alone = RuleSet::default();
            alone.push(Rule { decision, pattern: pattern.clone() });
            if let Err(error) = check_rules(&alone) {
                let what = format!(
                    "rule {:?} is not understood at character {}",
                    error.pattern,
                    error.at + 1
                );
                let expected = format!("{}; {}", error.fault.expected(), error.fault.mend());
                section.sheet.note(text.span, what, expected);
                continue;
            }
            patterns.push(pattern);
        }
        patterns
    };
    RuleSet {
        deny: read("deny", Decision::Deny),
        ask: read("ask", Decision::Ask),
        allow: read("allow", Decision::Allow),
    }
}
