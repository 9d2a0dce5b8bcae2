//! How far the runtime can reach: its dependencies, as cargo resolves them, lack what would let an
//! actor speak HTTP, SQL or a command line, or open a socket or a file.

use std::process::Command;

use crate::{finds, none, tree};

/// Crates that must not be below `greenroom-actors`.
const OUT_OF_REACH: &[&str] = &[
    "reqwest",
    "hyper",
    "axum",
    "tower",
    "tower-http",
    "tonic",
    "ureq",
    "isahc",
    "curl",
    "h2",
    "http",
    "rusqlite",
    "libsqlite3-sys",
    "sqlx",
    "diesel",
    "postgres",
    "tokio-postgres",
    "async-nats",
    "clap",
    "tracing-subscriber",
    "prometheus",
    "rustls",
    "native-tls",
    "openssl",
    "tungstenite",
    "rustix",
    "nix",
    "socket2",
    "mio",
    "rand",
    "chrono",
    "time",
    "rmcp",
];
/// Features of tokio that would open a socket, a file, a process or a terminal.
const TOKIO_FEATURES: &[&str] = &["fs", "net", "process", "signal", "io-std", "full"];

/// Offences in the output of `cargo tree --prefix none -f "{p}|{f}"`.
fn offences(tree: &str) -> Vec<String> {
    let mut offences = Vec::new();
    let mut seen = 0;
    for line in tree.lines() {
        let (package, features) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        seen += usize::from(name == "ractor" || name == "greenroom-actors");
        if OUT_OF_REACH.contains(&name) {
            offences.push(format!("greenroom-actors reaches {package}"));
        }
        let features = features.trim_end_matches(" (*)").split(',');
        for feature in features.filter(|f| name == "tokio" && TOKIO_FEATURES.contains(f)) {
            offences.push(format!("greenroom-actors has tokio with `{feature}`"));
        }
    }
    if seen < 2 {
        offences.push("the list of dependencies is not one: ractor is missing".to_owned());
    }
    offences.sort();
    offences.dedup();
    offences
}

#[test]
fn the_actors_cannot_reach_the_outside() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "greenroom-actors", "-e", "normal", "--all-features"])
        .args(["--prefix", "none", "-f", "{p}|{f}", "--locked", "--offline"])
        .current_dir(tree::ROOT)
        .output()
        .expect("cargo runs: it has just built this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    none(offences(&String::from_utf8_lossy(&output.stdout)));
}

#[test]
fn a_dependency_that_reaches_outside_is_found() {
    let honest = "greenroom-actors v0.1.0|testing\nractor v0.16.5|tokio_runtime\n";
    let with = |line: &str| offences(&format!("{honest}{line}\n"));
    assert!(with("tokio v1.48.0|rt,sync,time").is_empty());
    finds(&with("hyper v1.0.0|client"), "reaches hyper");
    finds(&with("tokio v1.48.0|net,rt (*)"), "tokio with `net`");
    finds(&with("tokio v1.48.0|rt,fs (*)"), "tokio with `fs`");
    finds(&offences(""), "not one");
}
