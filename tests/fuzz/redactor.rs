//! The redactor under any secrets, text and cuts: no value that is known comes out, in pieces it says
//! what it says at once, and where nothing was masked every byte is as it was.
#![no_main]

use greenroom::telemetry::redact::{MASK, SECRET_BYTES_MIN, Secrets};
use libfuzzer_sys::fuzz_target;

/// Secrets of one input, at most; the automaton is built for each.
const VALUES: usize = 3;

fuzz_target!(|input: (Vec<String>, Vec<(String, u8)>, Vec<u8>)| {
    let (values, parts, cuts) = input;
    let values: Vec<&str> = values
        .iter()
        .map(|value| value.trim())
        // Each line of what has several is a secret of its own; here values are whole.
        .filter(|value| value.len() >= SECRET_BYTES_MIN && !value.contains(['\n', '\r']))
        .take(VALUES)
        .collect();
    let secrets = Secrets::default();
    for value in &values {
        secrets.learn(value);
    }
    let mut text = String::new();
    for (noise, which) in &parts {
        text.push_str(noise);
        text.push_str(values.get(usize::from(*which)).unwrap_or(&""));
    }
    let whole = secrets.clean(&text).into_owned();
    for piece in whole.split(MASK) {
        for value in &values {
            assert!(!piece.contains(value), "{value:?} survives in {whole:?}");
        }
    }
    if !whole.contains(MASK) {
        assert_eq!(whole, text, "nothing was masked, and something is different");
    }
    // Pieces are not seen through where colours stand amid a secret.
    if !text.contains('\u{1b}') {
        assert_eq!(in_pieces(&secrets, &text, &cuts), whole);
    }
});

fn in_pieces(secrets: &Secrets, text: &str, cuts: &[u8]) -> String {
    let mut stream = secrets.stream();
    let (mut out, mut rest) = (String::new(), text);
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let mut at = usize::from(*cuts.next().unwrap_or(&7)).clamp(1, rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (piece, after) = rest.split_at(at);
        out += &stream.push(piece);
        rest = after;
    }
    out + &stream.finish()
}
