//! Decisions a second: everyday commands under the everyday policy, against splitting the same texts at
//! blanks; and the longest that a decision takes on texts of 128 KiB that are made to take long. Run it
//! with `cargo bench --bench permission`; `--quick` judges each command a few times.

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
        permission::{Decision, Request},
        tool::Args,
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
    let standing = Standing::new(&[]);
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
    let slowest = nasty(&policy, &standing).into_iter().max_by_key(|(took, _)| *took);
    let (took, what) = slowest.unwrap();
    println!("slowest of the nasty: {:.1} ms, {what}", took.as_secs_f64() * 1_000.0);
}

/// How long each of the texts takes that are made to take long, as a command and as a list of words.
fn nasty(policy: &Policy, standing: &Standing<'_>) -> Vec<(Duration, String)> {
    let mut all = Vec::new();
    for piece in NASTY {
        let text = piece.repeat(128 * 1024 / piece.len());
        let words: Vec<&str> = text.split(' ').collect();
        for (tool, args) in [
            ("shell", serde_json::json!({ "command": text })),
            ("exec", serde_json::json!({ "argv": words })),
            ("read_file", serde_json::json!({ "path": text })),
            ("fetch", serde_json::json!({ "url": text })),
        ] {
            let cwd = Some("/ws".to_owned());
            let request = Request { tool: tool.into(), args: Args(args.to_string()), cwd };
            let began = Instant::now();
            black_box(decide(policy, standing, &request));
            let took = began.elapsed();
            if std::env::args().any(|word| word == "--each") {
                println!("{:>8.1} ms {tool} {piece:?}", took.as_secs_f64() * 1_000.0);
            }
            all.push((took, format!("{tool} {piece:?}")));
        }
    }
    all
}

/// What a text is made of: each is repeated.
const NASTY: &[&str] = &[
    "a",
    "a ",
    "a;",
    "a|",
    "a/",
    "../",
    "*",
    "**/",
    "?[a]",
    "$(",
    "`",
    "'",
    "\"",
    "\\",
    "(",
    "{",
    "((",
    "[[ ",
    "{a,b}",
    "$((",
    "${a:-",
    "<<A\n",
    "<(",
    ">a ",
    "\n",
    "é",
    "\u{202e}",
    "sudo ",
    "env A=1 ",
    "xargs ",
    "find . -exec ",
    "bash -c '",
    "eval \"",
    "if a; then ",
    "for a in b; do ",
    "while a; do ",
    "case a in ",
    "a=$b ",
    "f() { ",
    "! ",
    "a && ",
    "cd a; ",
    "cd a || ",
    "cat .env ",
    "cat $(",
    "grep -f a/b ",
    "x=a:b@c=d ",
    "nice nice timeout 5 ",
    "--a=b ",
    "-ab ",
    "~/",
    "<a ",
    "echo $a; ",
    "a'b\"c\\d ",
    "http://a/",
];

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
