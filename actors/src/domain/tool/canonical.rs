//! Arguments in one form, whatever spaces, order of keys and escapes they were written with: what people
//! are shown and what digests are made of.
//!
//! A number has the text that it usually has, as long as that means the same; where it would mean another
//! number, a large one or one with many digits, it keeps its own. For the tool reads the text, and what was
//! approved must be what it reads. Keys are sorted here and not by the map of a library, whose order depends
//! on who else uses it in a program.

use std::collections::BTreeMap;

use serde_json::{Number, Value, value::RawValue};

/// The one form of a text; none where it is no JSON that can be read.
pub(super) fn canonical(text: &str) -> Option<String> {
    // Refuses what is too deep and too large a number; below nothing is looked for that this has not seen.
    serde_json::from_str::<Value>(text).ok()?;
    let mut out = String::with_capacity(text.len());
    write(serde_json::from_str(text).ok()?, &mut out)?;
    Some(out)
}

fn write(raw: &RawValue, out: &mut String) -> Option<()> {
    let text = raw.get();
    match text.chars().next()? {
        '{' => {
            let map: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            out.push('{');
            for (no, (key, value)) in map.into_iter().enumerate() {
                separate(no, out);
                out.push_str(&serde_json::to_string(&key).ok()?);
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
        }
        '[' => {
            let list: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push('[');
            for (no, value) in list.into_iter().enumerate() {
                separate(no, out);
                write(value, out)?;
            }
            out.push(']');
        }
        '"' => {
            let plain: String = serde_json::from_str(text).ok()?;
            out.push_str(&serde_json::to_string(&plain).ok()?);
        }
        '-' | '0'..='9' => out.push_str(&number(text)),
        _word => out.push_str(text),
    }
    Some(())
}

fn separate(no: usize, out: &mut String) {
    if no > 0 {
        out.push(',');
    }
}

/// A number as it is usually written, where that is the same one. A whole one is written in one way only.
fn number(text: &str) -> String {
    if !text.contains(['.', 'e', 'E']) {
        return text.to_owned();
    }
    let usual = serde_json::from_str::<Number>(text).map(|number| number.to_string());
    match usual {
        Ok(usual) if Decimal::of(&usual).is_some_and(|same| Decimal::of(text) == Some(same)) => {
            usual
        }
        Ok(_) | Err(_) => text.to_owned(),
    }
}

/// What a number means: digits without zeros around them, times a power of ten.
#[derive(PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: String,
    power: i64,
}

impl Decimal {
    fn of(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (text, power) = match text.split_once(['e', 'E']) {
            Some((text, power)) => (text, power.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{part}");
        let digits = digits.trim_start_matches('0');
        let short = digits.trim_end_matches('0');
        let power = match short {
            "" => 0,
            _ => power
                .checked_add_unsigned((digits.len() - short.len()) as u64)?
                .checked_sub_unsigned(part.len() as u64)?,
        };
        Some(Self { is_negative, digits: short.to_owned(), power })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, wanted: &str) {
        assert_eq!(canonical(text).as_deref(), Some(wanted), "{text}");
        assert_eq!(canonical(wanted).as_deref(), Some(wanted), "{wanted} is a form of its own");
    }

    #[test]
    fn what_differs_in_writing_alone_has_one_form() {
        check(
            r#" { "b" : [ 1 , true, null ] , "a" : "\u0061\/" } "#,
            r#"{"a":"a/","b":[1,true,null]}"#,
        );
        check(r#"{"z":{"b":1,"a":2},"é":"\n","A":""}"#, r#"{"A":"","z":{"a":2,"b":1},"é":"\n"}"#);
        for (text, wanted) in [
            ("1e2", "100.0"),
            ("1.50", "1.5"),
            ("-0", "-0"),
            ("-0.0e1", "-0.0"),
            ("0.1", "0.1"),
            ("9007199254740993", "9007199254740993"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("100000000000000000000", "100000000000000000000"),
            ("1E+20", "1e+20"),
            ("0e99", "0.0"),
        ] {
            check(text, wanted);
        }
    }

    #[test]
    fn a_number_that_would_mean_another_keeps_its_text() {
        for text in [
            "18446744073709551616",
            "18446744073709551617",
            "-9223372036854775809",
            "340282366920938463463374607431768211455",
            "0.1000000000000000055511151231257827",
            "9007199254740993.0",
            "1e-400",
            "0e99999999999999999999",
        ] {
            check(text, text);
            let inside = format!(r#"{{"list":[{text}]}}"#);
            check(&inside, &inside);
        }
    }

    #[test]
    fn what_cannot_be_read_has_no_form() {
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        for text in ["", "{", "nul", "1e999", "01", r#""\ud800""#, "[1,]", deep.as_str()] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    /// Numbers as a model may write them, of any length.
    fn numbers() -> impl Strategy<Value = String> {
        let whole = prop_oneof!["0", "[1-9][0-9]{0,45}"];
        let part = prop_oneof![2 => Just(String::new()), 1 => r"\.[0-9]{1,30}"];
        let power = prop_oneof![2 => Just(String::new()), 1 => "[eE][+-]?[0-9]{1,2}"];
        (any::<bool>(), whole, part, power).prop_map(|(is_negative, whole, part, power)| {
            format!("{}{whole}{part}{power}", if is_negative { "-" } else { "" })
        })
    }

    proptest! {
        #[test]
        fn the_form_of_a_number_means_that_number_and_no_other(
            one in numbers(), other in numbers(), whole in any::<u128>(),
        ) {
            let form = number(&one);
            prop_assert!(Decimal::of(&form) == Decimal::of(&one), "{one} became {form}");
            prop_assert_eq!(number(&form), form.clone(), "a form of its own");
            if Decimal::of(&one) != Decimal::of(&other) {
                prop_assert_ne!(number(&other), form.clone());
            }
            // Who reads a whole number from the text reads what is shown.
            let text = format!(r#"{{ "n": {whole} }}"#);
            let shown = canonical(&text).unwrap_or_default();
            let read = |text: &str| serde_json::from_str::<BTreeMap<String, u128>>(text).unwrap();
            prop_assert_eq!((read(&text), &read(&shown)["n"]), (read(&shown), &whole));
        }
    }
}
