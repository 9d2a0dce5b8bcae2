//! The two policies that ship, over whole files of commands: what is everyday goes without a question,
//! what is not is stopped, and no way of writing a command weakens what is decided about it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::LazyLock;

use greenroom::config::PolicyFile;
use greenroom_actors::{
    domain::{
        permission::{Authority, Decision, Mode, Request, RulePattern, Verdict},
        tool::Args,
    },
    runtime::{Desk, Layers, Places, Policy, Standing, decide},
};
use proptest::prelude::*;

#[path = "permission/disguises.rs"]
mod disguises;
#[path = "permission/files.rs"]
mod files;

/// The commands that stand one on each line, `\n` in a here-document being a new line.
const EVERYDAY: &str = include_str!("fixtures/permission/everyday.txt");
/// A decision, a blank, a command.
const CASES: &str = include_str!("fixtures/permission/cases.txt");

fn file(name: &str) -> PolicyFile {
    let path = format!("{}/examples/permissions/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    PolicyFile::read(path.as_ref()).unwrap()
}

fn policy(file: &PolicyFile) -> Policy {
    let layers = Layers { user: file.rules.clone(), ..Layers::default() };
    let places = Places { home: Some("/home/u".to_owned()), ..Places::default() };
    Policy::compile(&layers, Desk::Staffed).unwrap().at(file.places(places, "/ws"))
}

fn verdict(policy: &Policy, command: &str) -> Verdict {
    let args = Args(serde_json::json!({ "command": command }).to_string());
    judged_of(policy, &Request { tool: "shell".into(), args, cwd: Some("/ws".to_owned()) })
}

fn judged_of(policy: &Policy, request: &Request) -> Verdict {
    let standing = Standing::new(&[]);
    decide(policy, &standing, request)
}

/// What is decided for the last of a line of agents, in a mode of this turn.
fn below(policy: &Policy, line: &[Authority], mode: Option<Mode>, command: &str) -> Decision {
    let args = Args(serde_json::json!({ "command": command }).to_string());
    let request = Request { tool: "shell".into(), args, cwd: Some("/ws".to_owned()) };
    let standing = Standing { mode, ..Standing::new(line) };
    decide(policy, &standing, &request).decision
}

fn decision(policy: &Policy, command: &str) -> Decision {
    verdict(policy, command).decision
}

fn everyday() -> impl Iterator<Item = String> {
    let lines = EVERYDAY.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| if line.contains("<<") { line.replace("\\n", "\n") } else { line.to_owned() })
}

fn cases() -> Vec<(Decision, String)> {
    let lines = CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &str| {
        let (want, command) = line.split_once(' ').unwrap();
        let want = match want {
            "allow" => Decision::Allow,
            "ask" => Decision::Ask,
            "deny" => Decision::Deny,
            other => panic!("{other} is no decision"),
        };
        (want, command.replace("\\n", "\n"))
    };
    lines.map(case).collect()
}

#[test]
fn everyday_commands_go_without_a_question() {
    let policy = policy(&file("everyday"));
    let all: Vec<String> = everyday().collect();
    let stopped: Vec<&String> =
        all.iter().filter(|command| decision(&policy, command) != Decision::Allow).collect();
    assert!(all.len() > 500, "{}", all.len());
    assert!(stopped.len() * 20 <= all.len(), "{} of {}: {stopped:#?}", stopped.len(), all.len());
}

#[test]
fn every_case_is_decided_as_it_says_and_every_question_has_reasons_and_a_proposal() {
    let policy = policy(&file("workspace"));
    for (want, command) in cases() {
        let found = verdict(&policy, &command);
        assert_eq!(found.decision, want, "{command:?}: {:?}", found.reasons);
        assert!(!found.reasons.is_empty(), "{command:?}");
        assert_eq!(found.proposal.is_some(), want == Decision::Ask, "{command:?}");
    }
}

#[test]
fn no_disguise_weakens_a_decision() {
    let policy = policy(&file("workspace"));
    for (want, command) in cases() {
        for hidden in disguises::of(&command) {
            let found = verdict(&policy, &hidden);
            assert!(found.decision >= want, "{hidden:?}: {found:?}, not {want:?}");
        }
    }
}

#[test]
fn what_is_hidden_in_quotes_weakens_no_decision() {
    let policy = policy(&file("workspace"));
    for (want, command) in cases() {
        for quoted in disguises::quoted(&command) {
            let found = verdict(&policy, &quoted);
            assert!(found.decision >= want, "{quoted:?}: {found:?}, not {want:?}");
            // Quoting what has nothing to quote changes nothing.
            if want == Decision::Allow && !command.contains('~') {
                assert_eq!(found.decision, want, "{quoted:?}: {:?}", found.reasons);
            }
        }
    }
}

#[test]
fn what_is_longer_or_deeper_than_is_read_is_asked_and_denied_for_what_came_before() {
    let policy = policy(&file("workspace"));
    let texts = [
        "; echo a".repeat(51),
        "; echo a".repeat(1_000),
        format!("; echo {}", "a".repeat(1 << 20)),
        format!("; echo {}a{}", "$(".repeat(10_000), ")".repeat(10_000)),
        format!("; {}true{}", "( ".repeat(10_000), " )".repeat(10_000)),
        format!("; {}ls", "env ".repeat(1_000)),
    ];
    for text in texts {
        let start: String = text.chars().take(20).collect();
        assert!(decision(&policy, &format!("ls{text}")) >= Decision::Ask, "{start}");
        assert_eq!(decision(&policy, &format!("curl x{text}")), Decision::Deny, "{start}");
    }
}

#[test]
fn no_depth_changes_a_decision_and_no_mode_opens_what_is_denied() {
    let policy = policy(&file("workspace"));
    for (want, command) in cases() {
        for depth in 1..=5 {
            let plain = vec![Authority::default(); depth];
            assert_eq!(below(&policy, &plain, None, &command), want, "{command:?} at {depth}");
            for mode in [
                Mode::Plan,
                Mode::DontAsk,
                Mode::Default,
                Mode::AcceptEdits,
                Mode::BypassPermissions,
            ] {
                // Whoever in the line has it: the root, or the one that asks.
                for at in [0, depth - 1] {
                    let mut links = plain.clone();
                    links[at].mode = mode;
                    for turn in [None, Some(mode)] {
                        let found = below(&policy, &links, turn, &command);
                        let floor = match (mode, want) {
                            (_, Decision::Deny) | (Mode::Plan, _) => Decision::Deny,
                            (Mode::DontAsk, Decision::Ask) => Decision::Deny,
                            (Mode::BypassPermissions, _) => Decision::Allow,
                            (_, want) => want,
                        };
                        assert!(found >= floor, "{command:?} at {depth} in {mode:?}: {found:?}");
                    }
                }
            }
        }
    }
}

/// The words of a command that has nothing for a shell to do but to part them.
fn words(command: &str) -> Option<Vec<String>> {
    let special = |c: char| "|;&<>\n{}()!`\\$#[]*?~\"".contains(c);
    if command.contains(special) || command.split(' ').next()?.contains('=') {
        return None;
    }
    let mut words = vec![String::new()];
    for (at, part) in command.split('\'').enumerate() {
        if at % 2 == 1 {
            words.last_mut()?.push_str(part);
            continue;
        }
        for (gap, word) in part.split(' ').enumerate() {
            if gap > 0 {
                words.push(String::new());
            }
            words.last_mut()?.push_str(word);
        }
    }
    words.retain(|word| !word.is_empty());
    // What the shell does itself is no program.
    let own =
        ["cd", "export", "alias", "source", ".", "eval", "unset", "read", "time", "type", "if"];
    (!own.contains(&words.first()?.as_str())).then_some(words)
}

#[test]
fn a_command_without_a_shell_is_judged_as_it_is_with_one() {
    let mut judged = 0;
    for name in ["everyday", "workspace"] {
        let policy = policy(&file(name));
        for command in everyday().chain(cases().into_iter().map(|(_, command)| command)) {
            let Some(words) = words(&command) else { continue };
            let args = Args(serde_json::json!({ "argv": words }).to_string());
            let request = Request { tool: "exec".into(), args, cwd: Some("/ws".to_owned()) };
            let (found, want) = (judged_of(&policy, &request), verdict(&policy, &command));
            assert_eq!(found.decision, want.decision, "{command:?}: {found:?}, not {want:?}");
            judged += 1;
        }
    }
    assert!(judged > 800, "{judged}");
}

fn texts() -> impl Strategy<Value = String> {
    let commands: Vec<String> = everyday().chain(cases().into_iter().map(|(_, c)| c)).collect();
    proptest::sample::select(commands)
}

const DENIES: &[&str] = &[
    "Bash(git *)",
    "Bash(ls)",
    "Bash(* --all*)",
    "Bash(cargo test *)",
    "Read(src)",
    "Read(*.md)",
    "Edit(x)",
    "Bash(cat *)",
    "Bash",
    "Read",
    "Bash(echo a)",
    "Bash(grep * src)",
    "Read(//ws/**)",
    "fetch",
];

/// The everyday policy, and the same with each rule more that denies.
static EVERYDAY_POLICY: LazyLock<Policy> = LazyLock::new(|| policy(&file("everyday")));
static TIGHTENED: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let tightened = |rule: &&str| {
        let mut file = file("everyday");
        file.rules.deny.push(RulePattern((*rule).to_owned()));
        policy(&file)
    };
    DENIES.iter().map(tightened).collect()
});
static WORKSPACE_POLICY: LazyLock<Policy> = LazyLock::new(|| policy(&file("workspace")));

/// At least so many cases, or as many as `PROPTEST_CASES` says: the slow lane, which the README names.
fn at_least(cases: u32) -> ProptestConfig {
    let said = ProptestConfig::default();
    ProptestConfig { cases: said.cases.max(cases), max_global_rejects: u32::MAX, ..said }
}

proptest! {
    #![proptest_config(at_least(2_000))]

    #[test]
    fn no_disguise_within_another_weakens_a_decision(
        case in proptest::sample::select(cases()), inner in any::<proptest::sample::Index>(),
        outer in any::<proptest::sample::Index>(), is_quoted in any::<bool>(),
    ) {
        let (want, command) = case;
        let quoted = if is_quoted { disguises::quoted(&command) } else { Vec::new() };
        let command = if quoted.is_empty() { command } else { inner.get(&quoted).clone() };
        let once = disguises::of(&command);
        prop_assume!(!once.is_empty());
        let once = inner.get(&once);
        let twice = disguises::of(once);
        prop_assume!(!twice.is_empty());
        let hidden = outer.get(&twice);
        let found = verdict(&WORKSPACE_POLICY, hidden);
        prop_assert!(found.decision >= want, "{:?}: {:?}, not {:?}", hidden, found, want);
    }

    #[test]
    fn adding_a_deny_never_weakens_what_is_decided_about_a_command(
        command in texts(), rule in 0..DENIES.len(),
    ) {
        let before = decision(&EVERYDAY_POLICY, &command);
        prop_assert!(decision(&TIGHTENED[rule], &command) >= before, "{}", DENIES[rule]);
    }

    #[test]
    fn two_commands_in_a_row_are_as_strict_as_the_stricter(
        one in texts(), other in texts(), joint in proptest::sample::select(vec!["; ", " && ", "\n"]),
    ) {
        prop_assume!(!one.contains("<<") && !one.contains("cd ") && !one.contains('#') && !one.ends_with('&'));
        // Within a quote that stays open the second is no command, and nothing of it runs.
        prop_assume!(one.matches('"').count() % 2 == 0);
        // What the first sets or defines, the second may use.
        prop_assume!(!one.contains('=') && !one.contains("()") && !one.contains("read"));
        // What bash refuses runs nothing, and which words are guessed in it hangs on what stands before.
        prop_assume!(!one.contains("< \n") && !other.contains("< \n"));
        let policy = &*EVERYDAY_POLICY;
        let stricter = decision(policy, &one).max(decision(policy, &other));
        let both = format!("{one}{joint}{other}");
        prop_assert!(decision(policy, &both) >= stricter, "{both}");
    }
}
