//! Decisions a second: everyday commands under the everyday policy, against splitting the same texts at
//! blanks. Run it with `cargo bench --bench permission`; `--quick` judges each command a few times.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench measures real time and prints"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use greenroom::config::PolicyFile;
use greenroom_actors::{
    domain::{
        permission::{Decision, Request, RuleSet},
        tool::{Args, EffectClass},
    },
    runtime::{Desk, Layers, Places, Policy, Standing, decide},
};

const EVERYDAY: &str = include_str!("../tests/fixtures/permission/everyday.txt");

fn main() {
    let rounds = if std::env::args().any(|word| word == "--quick") { 2 } else { 100 };
    let path = format!("{}/examples/permissions/everyday.toml", env!("CARGO_MANIFEST_DIR"));
    let file = PolicyFile::read(path.as_ref()).unwrap();
    let layers = Layers { user: file.rules.clone(), ..Layers::default() };
    let policy = Policy::compile(&layers, Desk::Staffed).unwrap();
    let policy = policy.at(file.places(Places::default(), "/ws"));
    let lines = EVERYDAY.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let request = |line: &str| Request {
        tool: "shell".into(),
        args: Args(serde_json::json!({ "command": line }).to_string()),
        cwd: Some("/ws".to_owned()),
    };
    let requests: Vec<Request> = lines.map(request).collect();
    let plain = |request: &&Request| {
        let text = request.args.object().ok().and_then(|args| args.get("command").cloned());
        let text = text.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
        text.chars().all(|c| c.is_ascii_alphanumeric() || " _-./:,@%+=".contains(c))
    };
    let (simple, other): (Vec<&Request>, Vec<&Request>) = requests.iter().partition(plain);
    let standing = Standing {
        authority: &[],
        answers: &RuleSet::default(),
        asks_waived: false,
        mode: None,
        effect: EffectClass::Once,
        raised: None,
    };
    let mut allowed = 0;
    let mut judge = |requests: &[&Request]| {
        measure(rounds, requests.len(), || {
            for request in requests {
                let verdict = decide(&policy, &standing, request);
                allowed += usize::from(verdict.decision == Decision::Allow);
                black_box(verdict);
            }
        })
    };
    let all: Vec<&Request> = requests.iter().collect();
    for (name, requests) in [("all", &all), ("plain words", &simple), ("quotes, operators", &other)]
    {
        println!("{name:20} {:>6} commands {:>9.0} decisions/s", requests.len(), judge(requests));
    }
    let split = measure(rounds, all.len(), || {
        for request in &all {
            let args = request.args.object().unwrap();
            let text = args.get("command").and_then(|text| text.as_str()).unwrap_or_default();
            black_box(text.split(' ').count());
        }
    });
    println!("{:20} {:>6} commands {split:>9.0} texts/s", "read and split alone", all.len());
    println!("allowed: {:.1} %", allowed as f64 * 50.0 / (all.len() * (rounds + 1)) as f64);
}

/// How many a second, at the median of the rounds.
fn measure(rounds: usize, items: usize, mut round: impl FnMut()) -> f64 {
    round();
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            round();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    items as f64 / times[times.len() / 2].as_secs_f64()
}
