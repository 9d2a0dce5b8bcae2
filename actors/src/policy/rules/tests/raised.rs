//! A tool that fails again and again: whatever would let it run without a person no longer does, and
//! whatever refused it still does, in the same words.

use super::*;

const WHY: &str = "shell failed 5 of its last 6 runs";

fn judged(text: &str, mode: Mode, desk: Desk, asks_waived: bool) -> Verdict {
    let layers = Layers { user: rules(text), ..Layers::default() };
    let chain = [link("", mode)];
    let standing = Standing { asks_waived, raised: Some(WHY), ..standing(&chain) };
    decide(&policy(&layers, desk), &standing, &request("shell ls"))
}

#[test]
fn no_rule_mode_or_waiver_runs_a_tool_that_is_raised() {
    let (yes, no) = (Decision::Ask, Decision::Deny);
    for (mode, expected) in [
        (Mode::Plan, no),
        (Mode::DontAsk, no),
        (Mode::Default, yes),
        (Mode::AcceptEdits, yes),
        (Mode::BypassPermissions, yes),
    ] {
        for waived in [false, true] {
            for text in ["allow *", "allow Bash", "ask Bash", ""] {
                let verdict = judged(text, mode, Desk::Staffed, waived);
                assert_eq!(verdict.decision, expected, "{mode:?}, {text:?}, waived: {waived}");
                assert_eq!(verdict.reasons[0], WHY, "{mode:?}, {text:?}");
                let verdict = judged(text, mode, Desk::Headless, waived);
                assert_eq!(verdict.decision, no, "nobody there: {mode:?}, {text:?}");
                assert_eq!(verdict.reasons[0], WHY, "nobody there: {mode:?}, {text:?}");
            }
        }
    }
}

#[test]
fn a_deny_stays_what_it_is_and_says_nothing_of_failures() {
    let verdict = judged("allow * | deny Bash", Mode::Default, Desk::Staffed, false);
    assert_eq!(verdict.decision, Decision::Deny);
    assert_eq!(verdict.reasons, ["user: deny Bash"]);
}

#[test]
fn a_rule_is_proposed_only_where_a_rule_would_help() {
    let allowed = judged("allow *", Mode::Default, Desk::Staffed, false);
    assert_eq!(allowed.proposal, None);
    let open = judged("", Mode::Default, Desk::Staffed, false);
    assert!(open.proposal.is_some());
}
