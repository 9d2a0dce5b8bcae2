//! Recorded cases in every disguise: the decision about a command must not be weaker in any of them than
//! about the command as it stands.

use std::{io, path::Path};

use greenroom::config::PolicyFile;
use greenroom_actors::{
    domain::{
        permission::{Request, Verdict},
        tool::Args,
    },
    runtime::{Desk, Layers, Places, Policy, Standing, decide},
};
use serde_json::Value;

#[path = "../permission/disguises.rs"]
mod disguises;

/// How many are weaker in a disguise.
pub(crate) fn run(cases: &Path) -> io::Result<usize> {
    let path = format!("{}/examples/permissions/workspace.toml", env!("CARGO_MANIFEST_DIR"));
    let file = PolicyFile::read(path.as_ref()).map_err(io::Error::other)?;
    let layers = Layers { user: file.rules.clone(), ..Layers::default() };
    let places = Places { home: Some("/home/u".to_owned()), ..Places::default() };
    let policy = Policy::compile(&layers, Desk::Staffed).map_err(io::Error::other)?;
    let policy = policy.at(file.places(places, "/ws"));
    let (mut commands, mut tried, mut weaker) = (0, 0, 0);
    for line in std::fs::read_to_string(cases)?.lines().filter(|line| !line.is_empty()) {
        let case: Value = serde_json::from_str(line)?;
        let (Some("shell"), Some(command)) = (case["tool"].as_str(), case["input"].as_str()) else {
            continue;
        };
        commands += 1;
        let plain = verdict(&policy, command).decision;
        for hidden in disguises::of(command).into_iter().chain(disguises::quoted(command)) {
            tried += 1;
            let found = verdict(&policy, &hidden);
            if found.decision < plain {
                weaker += 1;
                println!("{}: {plain:?}, and in disguise {found:?}: {hidden:?}", case["id"]);
            }
        }
    }
    println!("{commands} commands, {tried} disguises, {weaker} weaker");
    if tried < commands * 10 {
        return Err(io::Error::other("hardly any disguises were tried"));
    }
    Ok(weaker)
}

fn verdict(policy: &Policy, command: &str) -> Verdict {
    let args = Args(serde_json::json!({ "command": command }).to_string());
    let request = Request { tool: "shell".into(), args, cwd: Some("/ws".to_owned()) };
    let standing = Standing::new(&[]);
    decide(policy, &standing, &request)
}
