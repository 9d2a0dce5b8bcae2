//! Figures as vendors write them. A count may come as a fraction, as text or as nothing, and its
//! details as something else altogether; an answer is worth more than its figures, so one that cannot
//! be read is one that was not said, and says nothing against those beside it.

use serde::{Deserialize as _, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Above this a number counts no tokens, and a fraction of it would be inexact.
const MOST: f64 = 1e15;

/// A count, where it is one.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    <&RawValue>::deserialize(from).map(|raw| read(raw.get()))
}

/// What has figures of its own, where it can be read.
pub(super) fn details<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<T, D::Error> {
    let raw = <&RawValue>::deserialize(from)?;
    Ok(serde_json::from_str::<Option<T>>(raw.get()).ok().flatten().unwrap_or_default())
}

/// A figure as it was written.
pub(super) fn read(json: &str) -> Option<u64> {
    let text = json.trim_matches('"').trim();
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        (0.0..=MOST).contains(&number).then_some(number.round() as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_read_however_it_is_written_and_nothing_is_made_of_what_is_none() {
        let table = [
            ("12", Some(12)),
            ("12.0", Some(12)),
            ("1.5e1", Some(15)),
            ("\"12\"", Some(12)),
            ("18446744073709551615", Some(u64::MAX)),
            ("-1", None),
            ("1e99", None),
            ("null", None),
            ("\"\"", None),
            ("\"NaN\"", None),
            ("true", None),
            ("{}", None),
            ("[1]", None),
        ];
        for (json, expected) in table {
            assert_eq!(read(json), expected, "{json}");
        }
    }
}
