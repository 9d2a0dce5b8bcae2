//! The two policies that ship, over whole files of commands: what is everyday goes without a question,
//! what is not is stopped, and no way of writing a command weakens what is decided about it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use greenroom::config::PolicyFile;
use greenroom_actors::{
    domain::{
        permission::{Decision, Request, RulePattern, RuleSet, Verdict},
        tool::{Args, EffectClass},
    },
    runtime::{Desk, Layers, Places, Policy, Standing, decide},
};
use proptest::prelude::*;

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
    let request = Request { tool: "shell".into(), args, cwd: Some("/ws".to_owned()) };
    let standing = Standing {
        authority: &[],
        answers: &RuleSet::default(),
        asks_waived: false,
        mode: None,
        effect: EffectClass::Once,
        raised: None,
    };
    decide(policy, &standing, &request)
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

/// Ways to hide a command, none of which may weaken what is decided about it.
const DISGUISES: &[&str] = &[
    "(@)",
    "{ @; }",
    "! @",
    "true; @",
    "true && @",
    "false || @",
    "@ ; true",
    "@ | cat",
    "echo a | { @; }",
    "echo $(@)",
    "echo \"$(@)\"",
    "echo ${x:-$(@)}",
    "cat <(@)",
    "cat <<< \"$(@)\"",
    "if true; then @; fi",
    "if @; then true; fi",
    "while @; do true; done",
    "for i in 1; do @; done",
    "f() { @; }; f",
    "f() { @; }",
    "case a in a) @;; esac",
    "echo a\n@",
    "@ &",
    "[[ -n $(@) ]]",
    "x=$(@)",
    "echo $((1+$(@)))",
    "true | @",
    "cat <<E_E\n$(@)\nE_E",
    "@ 2>/dev/null",
    "echo a; # b\n@",
    "until @; do true; done",
    "echo {a,$(@)}",
];
/// Ways to run a simple command through another one.
const WRAPPERS: &[&str] = &[
    "env @",
    "env A=1 @",
    "command @",
    "builtin @",
    "exec @",
    "nice @",
    "nice -n 5 @",
    "nohup @",
    "timeout 5 @",
    "timeout -k 1 5 @",
    "stdbuf -oL @",
    "setsid @",
    "time @",
    "xargs @",
    "find . -exec @ ';'",
    "sudo @",
    "eval @",
    "busybox @",
    "ionice -c 3 @",
    "strace @",
    "\\@",
    "A=1 @",
    "/usr/bin/env @",
    "''@",
];

fn is_simple(command: &str) -> bool {
    !command.contains([
        '|', ';', '&', '<', '>', '\n', '{', '(', ')', '"', '!', '=', '`', '\\', '$', '#', '[', '*',
    ])
}

#[test]
fn no_disguise_weakens_a_decision() {
    let policy = policy(&file("workspace"));
    let all = cases().into_iter().filter(|(want, _)| *want != Decision::Allow);
    // What closes nothing of its own closes the disguise.
    for (want, command) in
        all.filter(|(_, command)| !command.ends_with([')', '"']) || command.len() > 5)
    {
        for disguise in DISGUISES {
            // A here-document ends its own lines.
            if command.contains('\n') && !disguise.contains("\n@") {
                continue;
            }
            // Turned around or in a pipe, a `cd` leaves what follows it where it was.
            if command.contains("cd ") && matches!(*disguise, "! @" | "true | @") {
                continue;
            }
            let hidden = disguise.replace('@', &command);
            let found = verdict(&policy, &hidden);
            assert!(found.decision >= want, "{hidden:?}: {:?}, not {want:?}", found);
        }
        for wrapper in WRAPPERS.iter().filter(|_| is_simple(&command)) {
            let wrapped = wrapper.replace('@', &command);
            let found = verdict(&policy, &wrapped);
            assert!(found.decision >= want, "{wrapped:?}: {:?}, not {want:?}", found);
        }
    }
}

#[test]
fn what_is_hidden_in_quotes_weakens_no_decision() {
    let policy = policy(&file("workspace"));
    for (want, command) in cases().into_iter().filter(|(_, command)| is_simple(command)) {
        let words: Vec<&str> = command.split(' ').collect();
        if command.contains('\'') {
            continue;
        }
        let quotes: [fn(&str) -> String; 5] = [
            |word| format!("'{word}'"),
            |word| format!("\"{word}\""),
            |word| word.chars().map(|c| format!("\\{c}")).collect(),
            |word| word.chars().map(|c| format!("'{c}'")).collect(),
            |word| format!("\"\"{word}''"),
        ];
        for quote in quotes {
            let quoted = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
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
fn a_rule_for_files_holds_for_whatever_names_them() {
    let policy = policy(&file("workspace"));
    for command in [
        "cat .env",
        "cat ./.env",
        "cat a/../.env",
        "cat -- .env",
        "head -n1 .env",
        "grep -f .env x",
        "grep --file=.env x",
        "grep x .env",
        "wc <.env",
        "cat < .env",
        "cat $(echo a) .env",
        "cat /ws/.env",
        "cat .ENV",
        "tail -n 5 a/.env",
        "anything .env",
        "anything --file=.env",
        "anything -f.env",
        "anything @.env",
        "cat /proc/self/environ",
        "cat ~/.ssh/id_rsa",
        "cat \"$HOME/.ssh/id_rsa\"",
        "cat /etc/passwd",
        "cat ../x",
        "cd .. && ls",
        "for f in .env; do cat \"$f\"; done",
        "echo x > .git/config",
        "cd .git && echo x > config",
        "sed -n 'w .git/config' x",
        "sed -n 'r .env' x",
        "find . -fprint .git/hooks/x",
        "tar -xf a -C /",
        "ln -s / x",
        "dd of=.git/hooks/x",
        "git show HEAD:.env",
        "rg x /etc",
        "[ -f /etc/passwd ]",
        "cat .e?v .env",
    ] {
        assert_eq!(decision(&policy, command), Decision::Deny, "{command}");
    }
}

fn texts() -> impl Strategy<Value = String> {
    let commands: Vec<String> = everyday().chain(cases().into_iter().map(|(_, c)| c)).collect();
    proptest::sample::select(commands)
}

fn denies() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
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
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_deny_never_weakens_what_is_decided_about_a_command(command in texts(), rule in denies()) {
        let mut file = file("everyday");
        let before = decision(&policy(&file), &command);
        file.rules.deny.push(RulePattern(rule));
        prop_assert!(decision(&policy(&file), &command) >= before);
    }

    #[test]
    fn two_commands_in_a_row_are_as_strict_as_the_stricter(
        one in texts(), other in texts(), joint in proptest::sample::select(vec!["; ", " && ", "\n"]),
    ) {
        prop_assume!(!one.contains("<<") && !one.contains("cd ") && !one.contains('#') && !one.ends_with('&'));
        // What the first sets or defines, the second may use.
        prop_assume!(!one.contains('=') && !one.contains("()") && !one.contains("read"));
        let policy = policy(&file("everyday"));
        let stricter = decision(&policy, &one).max(decision(&policy, &other));
        let both = format!("{one}{joint}{other}");
        prop_assert!(decision(&policy, &both) >= stricter, "{both}");
    }
}
