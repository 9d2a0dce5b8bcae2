//! The shell analyser under any text: it never panics, it ends, and the laws hold that make its answer
//! worth something. A command in front is found whatever follows it; what is allowed is understood to
//! its end; one more deny weakens nothing; no program is allowed that does not stand in the text.
#![no_main]

use std::sync::LazyLock;

use greenroom::config::PolicyFile;
use greenroom_actors::{
    domain::{
        permission::{Decision, Request, RulePattern},
        tool::Args,
    },
    policy::foresight::foretell,
    runtime::{Desk, Layers, Places, Policy, Standing, decide},
};
use libfuzzer_sys::fuzz_target;

/// The policies that ship, each with the same and one more deny.
static POLICIES: LazyLock<Vec<(Policy, Policy)>> = LazyLock::new(|| {
    let both = ["workspace", "everyday"].map(|name| {
        let path = format!("{}/../../examples/permissions/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let mut file = PolicyFile::read(path.as_ref()).expect("a policy that ships is one");
        file.rules.deny.push(RulePattern("Bash(curl *)".to_owned()));
        let before = policy(&file);
        for deny in ["Bash(ls *)", "Read(src/**)", "Bash(* -n*)"] {
            file.rules.deny.push(RulePattern(deny.to_owned()));
        }
        (before, policy(&file))
    });
    both.into()
});

fn policy(file: &PolicyFile) -> Policy {
    let layers = Layers { user: file.rules.clone(), ..Layers::default() };
    let places = Places { home: Some("/home/u".to_owned()), ..Places::default() };
    let policy = Policy::compile(&layers, Desk::Staffed).expect("its rules can be read");
    policy.at(file.places(places, "/ws"))
}

fn decision(policy: &Policy, command: &str) -> Decision {
    let standing = Standing::new(&[]);
    let args = Args(serde_json::json!({ "command": command }).to_string());
    decide(policy, &standing, &Request { tool: "shell".into(), args, cwd: Some("/ws".to_owned()) })
        .decision
}

fuzz_target!(|text: &str| {
    // A program's argument has no null.
    if text.contains('\0') {
        return;
    }
    for (policy, stricter) in &*POLICIES {
        let found = decision(policy, text);
        assert!(decision(stricter, text) >= found, "one more deny weakens it");
        let behind = decision(policy, &format!("{text}\n\ncurl http://x"));
        assert!(behind > Decision::Allow, "a denied command behind it is allowed");
        let front = decision(policy, &format!("curl http://x\n{text}"));
        assert_eq!(front, Decision::Deny, "a denied command in front of it is not denied");
        if found == Decision::Allow {
            assert_eq!(behind, Decision::Deny, "what is allowed is not understood to its end");
            named(text);
        }
    }
});

/// Every program stands in the text, once quotes are gone; what a loop puts in, or a code stands for,
/// does not.
fn named(text: &str) {
    if text.contains('$') {
        return;
    }
    let plain = text.replace("\\\n", "").replace(['\'', '"', '\\'], "");
    for program in foretell(text, "/ws").programs {
        assert!(plain.contains(&program) || program == "echo", "{program:?} is not in it");
    }
}
