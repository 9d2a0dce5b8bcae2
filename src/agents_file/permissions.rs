//! `[permissions]`, wherever it stands: three lists of rules, in an agents file a mode, and outside of
//! agents the folders that may be used. Every rule is read by the runtime's own reader, so that what is
//! accepted here means something there.

use greenroom_actors::{
    domain::permission::{Authority, Bounds, Decision, Mode, Rule, RulePattern, RuleSet},
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
/// not vanish where an agent says something of its own; the mode is its own, else the file's. The
/// folders are the file's alone.
pub(super) fn of(all: &Section<'_, '_>, agent: &Section<'_, '_>) -> Authority {
    let mut authority = Authority::default();
    let whole = all.section("permissions");
    if let Some(section) = &whole {
        section.only(&["mode", "roots", "readable", "deny", "ask", "allow"]);
        authority.bounds = bounds(section);
    }
    let own = agent.section("permissions");
    if let Some(section) = &own {
        section.only(&["mode", "deny", "ask", "allow"]);
    }
    for section in [whole, own].into_iter().flatten() {
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

/// The folders of a section. `..` is refused: what stands before it may be a link.
pub(crate) fn bounds(section: &Section<'_, '_>) -> Bounds {
    let read = |key: &str| -> Vec<String> {
        let mut folders = Vec::new();
        for text in section.texts(key) {
            let tilde = text.value.starts_with('~') && !text.value.starts_with("~/");
            let climbs = text.value.split('/').any(|part| part == "..");
            if text.value.is_empty() || tilde || climbs || text.value.contains(char::is_control) {
                let what = format!("{:?} is no folder", text.value);
                let expected = "a path without `..`, from the working folder, `~/` or `/` on";
                section.sheet.note(text.span, what, expected.to_owned());
            } else {
                folders.push(text.value);
            }
        }
        folders
    };
    Bounds { roots: read("roots"), readable: read("readable") }
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
