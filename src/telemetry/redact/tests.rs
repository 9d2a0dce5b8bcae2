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
        gone(&secrets, &said);
    }
}

/// Nothing is left of a text but a mask and a few characters, at once and in pieces.
#[track_caller]
fn gone(secrets: &Secrets, said: &str) {
    let clean = secrets.clean(said).into_owned();
    assert!(clean.contains(MASK), "{said:?} became {clean:?}");
    // A few characters of base64 belong to the neighbours as well.
    assert!(clean.len() <= MASK.len() + 16, "{said:?} became {clean:?}");
    for length in [1, 3, 7, 19] {
        assert_eq!(in_pieces(secrets, said, &[length]), clean, "{said:?} in pieces of {length}");
    }
}

/// Harder than the one above: a quote, an apostrophe, brackets, and what is not ASCII.
const ODD: &str = "p'9\"<Z>&ä=x/+w`k";

#[test]
fn what_languages_make_of_a_secret_is_found() {
    let secrets = knowing(&[ODD]);
    for said in [
        // Go, Gson, Python, PHP, and one of them in another one's error.
        r#"p'9\"\u003cZ\u003e\u0026ä=x/+w`k"#,
        r#"p\u00279\"\u003cZ\u003e\u0026ä\u003dx/+w`k"#,
        r#"p'9\"<Z>&\u00e4=x/+w`k"#,
        r#"p'9\"<Z>&\u00e4=x\/+w`k"#,
        r#"p\u00279\u0022\u003CZ\u003E\u0026\u00E4=x\/+w`k"#,
        r#"p'9\\\"\\u003cZ\\u003e\\u0026ä=x/+w`k"#,
        // Pages.
        "p'9\"&lt;Z&gt;&amp;ä=x/+w`k",
        "p&#39;9&#34;&lt;Z&gt;&amp;ä=x/+w`k",
        "p&#39;9&#34;&lt;Z&gt;&amp;ä=x/&#43;w`k",
        "p&#x27;9&quot;&lt;Z&gt;&amp;ä=x/+w`k",
        "p&#039;9&quot;&lt;Z&gt;&amp;ä=x/+w`k",
        "p&apos;9&quot;&lt;Z&gt;&amp;ä=x/+w`k",
        "p&#x27;9&quot;&lt;Z&gt;&amp;ä&#x3D;x&#x2F;+w&#x60;k",
        "p&#39;9&#34;&lt;Z&gt;&amp;&#228;=x/+w`k",
        "&#112;&#39;&#57;&#34;&#60;&#90;&#62;&#38;&#228;&#61;&#120;&#47;&#43;&#119;&#96;&#107;",
        "&#x70;&#x27;&#x39;&#x22;&#x3C;&#x5A;&#x3E;&#x26;&#xE4;&#x3D;&#x78;&#x2F;&#x2B;&#x77;&#x60;&#x6B;",
        // A file's name, a mail, bytes.
        "p'9\"<Z>&\\303\\244=x/+w`k",
        "p'9\"<Z>&=C3=A4=3Dx/+w`k",
        "p'9\"<Z>&\\xc3\\xa4=x/+w`k",
        "70 27 39 22 3C 5A 3E 26 C3 A4 3D 78 2F 2B 77 60 6B",
        "70:27:39:22:3c:5a:3e:26:c3:a4:3d:78:2f:2b:77:60:6b",
        "0x70, 0x27, 0x39, 0x22, 0x3c, 0x5a, 0x3e, 0x26, 0xc3, 0xa4, 0x3d, 0x78, 0x2f, 0x2b, 0x77, \
         0x60, 0x6b",
        "7027 3922 3c5a 3e26 c3a4 3d78 2f2b 7760 6b",
        "70 2739 223c 5a3e 26c3 a43d 782f 2b77 606b",
        "112, 39, 57, 34, 60, 90, 62, 38, 195, 164, 61, 120, 47, 43, 119, 96, 107",
        "112,39,57,34,60,90,62,38,195,164,61,120,47,43,119,96,107",
        // Base32 of `p…k`, of `up…k` and of `usp…k!`; and in the order of values.
        "OATTSIR4LI7CNQ5EHV4C6K3XMBVQ====",
        "OVYCOOJCHRND4JWDUQ6XQLZLO5QGW===",
        "OVZXAJZZEI6FUPRGYOSD26BPFN3WA2ZB",
    ] {
        gone(&secrets, said);
    }
}

#[test]
fn a_secret_that_is_broken_into_lines_is_found_in_whatever_pieces_it_comes() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    const LONG: &str = "sk-Canary-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ";
    let hex: String = LONG.bytes().map(|byte| format!("{byte:02x}")).collect();
    let secrets = knowing(&[LONG]);
    for spelt in [LONG.to_owned(), STANDARD.encode(LONG), STANDARD.encode(format!("u:{LONG}")), hex]
    {
        for end in ["\n", "\r\n", "\n    ", "\n  17\t", "\\n", "\\r\\n", "\u{1b}[0m\n\u{1b}[1m"] {
            for width in [5, 16, 64, 76] {
                let lines: Vec<String> = spelt
                    .as_bytes()
                    .chunks(width)
                    .map(|line| String::from_utf8(line.to_vec()).unwrap())
                    .collect();
                gone(&secrets, &lines.join(end));
            }
        }
    }
    // What stands around it stays, with its lines.
    let (front, back) = LONG.split_at(20);
    let text = format!("one\n{front}\n{back}\ntwo\n\nthree\n");
    assert_eq!(secrets.clean(&text), "one\n[redacted]\ntwo\n\nthree\n");
    assert_eq!(in_pieces(&secrets, &text, &[2, 5]), "one\n[redacted]\ntwo\n\nthree\n");
}

#[test]
fn what_there_is_no_room_for_is_counted_and_what_is_known_already_is_not() {
    let secrets = Secrets::default();
    for no in 0..SECRETS {
        secrets.learn(&format!("value-{no:04}"));
    }
    secrets.learn("value-0000");
    assert_eq!(secrets.beyond(), 0);
    secrets.learn("one too many");
    assert_eq!(secrets.beyond(), 1);
    let other = Secrets::default();
    other.learn_all(&secrets);
    assert_eq!(other.beyond(), 1, "who learns from it is told as well");
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
