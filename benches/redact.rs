//! What it costs to keep secrets out of a text: a long output of a tool without any, whole and in the
//! pieces of a stream, against a copy of its bytes; and how long the first text waits until all spellings
//! are known. Run it with `cargo bench --bench redact`; `--quick` reads less.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a bench measures real time and prints"
)]

mod support;

use std::{fmt::Write as _, hint::black_box, time::Instant};

use greenroom::telemetry::redact::Secrets;
use support::{Wanted, ms};

/// What compilers, loggers and dumps print: words, numbers, quotes, lines.
fn output(bytes: usize) -> String {
    let mut text = String::new();
    let mut no = 0_u64;
    while text.len() < bytes {
        no += 1;
        let hash = no.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        writeln!(text, "   Compiling stage v{no}.2 (/house/stage) {{\"id\": \"{hash:016x}\"}}")
            .unwrap();
        writeln!(text, "warning: unused variable: `light_{no}` --> src/main.rs:{no}:9").unwrap();
    }
    text
}

fn knowing(count: u64) -> Secrets {
    let secrets = Secrets::default();
    for no in 0..count {
        let (one, two) = (no.wrapping_mul(0xD1B5_4A32_D192_ED03), no ^ 0xABCD_EF01_2345_6789);
        secrets.learn(&format!("sk-{one:016x}+{two:016x}/x="));
    }
    secrets
}

/// Megabytes a second, the best of a few.
fn rate(text: &str, mut read: impl FnMut(&str)) -> f64 {
    let rounds = (0..5).map(|_| {
        let begun = Instant::now();
        read(text);
        begun.elapsed().as_secs_f64()
    });
    let seconds = rounds.fold(f64::MAX, f64::min);
    text.len() as f64 / 1e6 / seconds
}

fn main() {
    let wanted = Wanted::of_command_line();
    let text = output(if wanted.quick { 200_000 } else { 8_000_000 });
    let copied = rate(&text, |text| drop(black_box(text.to_owned())));
    println!("a copy: {copied:.0} MB/s");
    for count in wanted.sizes(&[1, 10, 100, 1_000], &[1, 10]) {
        let secrets = knowing(count);
        let begun = Instant::now();
        black_box(secrets.clean("first"));
        let built = begun.elapsed();
        let whole = rate(&text, |text| drop(black_box(secrets.clean(text))));
        let streamed = rate(&text, |text| {
            let mut stream = secrets.stream();
            let pieces = text.as_bytes().chunks(40);
            for piece in pieces.map(|piece| std::str::from_utf8(piece).unwrap()) {
                black_box(stream.push(piece));
            }
            black_box(stream.finish());
        });
        println!(
            "{count} secrets: known after {}; whole {whole:.1} MB/s, in pieces of 40 bytes {streamed:.1} MB/s",
            ms(built)
        );
    }
}
