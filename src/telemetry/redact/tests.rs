//! No spelling survives any cut, what is no secret stays, and the two nets hold what they should.

use proptest::prelude::*;

use super::*;

const KEY: &str = "sk-Canary/7+q=Ω 42&x";

fn knowing(values: &[&str]) -> Secrets {
    let secrets = Secrets::default();
    for value in values {
        secrets.learn(value);
    }
    secrets
}

/// The text as its reader gets it when it comes in pieces of these lengths, over and over.
fn in_pieces(secrets: &Secrets, text: &str, lengths: &[usize]) -> String {
    let mut stream = secrets.stream();
    let (mut out, mut rest) = (String::new(), text);
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let mut at = (*length).clamp(1, rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (piece, after) = rest.split_at(at);
        out += &stream.push(piece);
        rest = after;
    }
    out + &stream.finish()
}

#[test]
fn a_secret_is_found_in_every_spelling() {
    use base64::{Engine as _, engine::general_purpose};
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let unicode: String = KEY.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    let percent: String = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut table = vec![
        KEY.to_owned(),
        KEY.to_ascii_uppercase(),
        KEY.to_ascii_lowercase(),
        json(KEY),
        json(&json(KEY)),
        format!("{KEY:?}"),
        hex.to_ascii_uppercase(),
        hex,
        unicode.to_ascii_lowercase().replace("\\U", "\\u"),
        unicode,
        percent.to_ascii_lowercase(),
        percent,
        "sk-Canary%2F7%2Bq%3D%CE%A9%2042%26x".to_owned(),
        "sk-Canary%2F7%2Bq%3D%CE%A9+42%26x".to_owned(),
        "sk-Canary/7+q=%CE%A9%2042&x".to_owned(),
        "sk-Canary/7+q=\\u03a9 42&x".to_owned(),
        "sk-Canary/7+q=Ω 42&amp;x".to_owned(),
        "sk-\u{1b}[31mCanary/7+\u{1b}[0mq=Ω 42&x".to_owned(),
        format!("/home/{KEY}/file"),
    ];
    for before in ["", "u", "us", "user:"] {
        for after in ["", "!", "!!"] {
            let whole = format!("{before}{KEY}{after}");
            table.push(general_purpose::STANDARD.encode(&whole));
            table.push(general_purpose::URL_SAFE_NO_PAD.encode(&whole));
        }
    }
    let secrets = knowing(&[KEY]);
    for said in table {
        let clean = secrets.clean(&said).into_owned();
        assert!(clean.contains(MASK), "{said:?} became {clean:?}");
        // A few characters of base64 belong to the neighbours as well.
        assert!(clean.len() <= MASK.len() + 16, "{said:?} became {clean:?}");
    }
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let secrets = knowing(&[KEY, "short", "", "       x       "]);
    for text in ["", "short words stay", "sk-Canary/7", "[31m\u{1b}[0m", "Ωmega"] {
        assert!(matches!(secrets.clean(text), Cow::Borrowed(same) if same == text), "{text:?}");
    }
    assert!(matches!(Secrets::default().clean(KEY), Cow::Borrowed(_)));
}

#[test]
fn secrets_that_overlap_are_both_gone() {
    let secrets = knowing(&["abcdefgh", "efghijkl", "abcdefghij"]);
    assert_eq!(secrets.clean("<abcdefghijkl>"), "<[redacted]>");
    assert_eq!(secrets.clean("abcdefghabcdefgh"), "[redacted][redacted]");
}

#[test]
fn each_line_of_a_long_secret_is_one() {
    let secrets =
        knowing(&["-----BEGIN X-----\nMIIabcdefghijklmn\nopqrstuvwxyz0123\n-----END X-----"]);
    assert_eq!(secrets.clean("> opqrstuvwxyz0123"), "> [redacted]");
    assert_eq!(secrets.clean("-----BEGIN X-----"), "-----BEGIN X-----");
}

#[test]
fn credentials_that_are_renewed_are_remembered_for_a_while_and_others_for_good() {
    let secrets = knowing(&["lasting-one"]);
    for no in 0..=PASSING {
        secrets.learn_passing(&format!("passing-{no:04}-end"));
    }
    let text = format!("lasting-one passing-0000-end passing-{PASSING:04}-end");
    assert_eq!(secrets.clean(&text), "[redacted] passing-0000-end [redacted]");
}

#[test]
fn the_password_of_an_address_is_learnt_as_it_stands_and_as_it_is_meant() {
    let secrets = Secrets::default();
    secrets.learn_address("http://me:p%40ssw0rd%21@proxy:8080/x@y");
    assert_eq!(secrets.clean("p@ssw0rd! p%40ssw0rd%21 proxy"), "[redacted] [redacted] proxy");
}

#[test]
fn what_is_called_a_secret_is_masked_and_its_neighbours_are_not() {
    let check = |text: &str, expected: &str| assert_eq!(by_name(text), expected);
    check("Authorization: Bearer abc.def x\nnext", "Authorization: [redacted]\nnext");
    check("authorization=Basic dXNlcg== ", "authorization=[redacted]");
    check(r#"{"x-api-key": "k1", "a": 1}"#, r#"{"x-api-key": "[redacted]", "a": 1}"#);
    check(r#"{\"password\":\"hush\",\"a\":1}"#, r#"{\"password\":\"[redacted]\",\"a\":1}"#);
    check("password=hush&user=me", "password=[redacted]&user=me");
    check("GET /v1?key=AIza&alt=sse", "GET /v1?key=[redacted]&alt=sse");
    check("GET /v1?alt=sse&key=AIza", "GET /v1?alt=sse&key=[redacted]");
    check("http://me:hush@host/x", "http://me:[redacted]@host/x");
    check("http://hush@host/x", "http://[redacted]@host/x");
    check("sent Bearer abcdefghijklmnopq.", "sent Bearer [redacted]");
    check("OPENAI_API_KEY=sk-1 ran", "OPENAI_API_KEY=[redacted] ran");
    check("password: [redacted]", "password: [redacted]");
    for same in [
        "the password is wrong",
        "a bearer of news",
        "monkey=banana ?keys=1",
        "http://host/a@b",
        "tokens=512 total_tokens: 7",
        "session=s1 restarts=2 session restarted",
    ] {
        assert!(matches!(by_name(same), Cow::Borrowed(text) if text == same), "{same:?}");
    }
}

#[test]
fn a_log_line_leaves_without_secrets_in_any_field() {
    use std::{io::Write as _, sync::Mutex};
    use tracing_subscriber::fmt::MakeWriter as _;

    let secrets = knowing(&["hush-hush-hush"]);
    let written = Mutex::new(Vec::new());
    let sink = Masking::new(secrets, written);
    let line = b"INFO said=\"hush-hush-hush\" password=other \xff\n";
    sink.make_writer().write_all(line).unwrap();
    let text = String::from_utf8(sink.to.into_inner().unwrap()).unwrap();
    assert_eq!(text, "INFO said=\"[redacted]\" password=[redacted] \u{fffd}\n");
}

proptest! {
    // Each case builds an automaton of its own, which is slow without optimisation.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_secret_survives_any_cut_and_pieces_say_what_the_whole_says(
        values in prop::collection::vec("[ab%/+\\\\Ω\"]{8,12}", 1..4),
        picks in prop::collection::vec((0..4_usize, 0..40_usize, "[ab% Ω]{0,6}"), 0..12),
        lengths in prop::collection::vec(1..30_usize, 1..6),
    ) {
        let values: Vec<&str> = values.iter().map(|value| value.trim()).collect();
        let secrets = knowing(&values);
        let mut text = String::new();
        for (which, how, noise) in &picks {
            let value = values[which % values.len()];
            let spellings: Vec<String> = spellings::all(value).into_iter().collect();
            text += &spellings[how % spellings.len()];
            text += noise;
        }
        let whole = secrets.clean(&text).into_owned();
        prop_assert_eq!(&in_pieces(&secrets, &text, &lengths), &whole);
        for piece in whole.split(MASK) {
            let left = secrets.finder().map_or_else(Vec::new, |finder| finder.spans(piece));
            prop_assert!(left.is_empty(), "{:?} holds {:?}", piece, left);
        }
    }

    #[test]
    fn any_text_with_any_secret_is_cleaned_alike_in_pieces(
        value in "\\PC{8,20}", text in "(?s).{0,200}", at in 0..200_usize, length in 1..9_usize,
    ) {
        let secrets = knowing(&[&value]);
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (before, after) = text.split_at(at);
        let text = format!("{before}{value}{after}");
        // A colour may stand anywhere in such a text, which pieces need not see through.
        prop_assume!(!text.contains('\u{1b}'));
        prop_assume!(value.trim().len() >= SECRET_BYTES_MIN);
        let whole = secrets.clean(&text).into_owned();
        prop_assert_eq!(in_pieces(&secrets, &text, &[length]), whole.clone());
        prop_assert!(!whole.contains(value.trim()) || MASK.contains(value.trim()));
    }
}
