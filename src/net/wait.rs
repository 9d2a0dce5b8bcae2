//! How long a server asks to wait, in all the forms it is said: `retry-after-ms`, `retry-after` in
//! seconds with or without a fraction or as a date, a duration such as `6m0s` or `12ms`, a moment of
//! RFC 3339.

use greenroom_actors::domain::ids::Timestamp;
use jiff::SignedDuration;
use reqwest::header::HeaderMap;

/// What the headers ask for, in milliseconds, the more exact form first. Nothing where they do not
/// say, or say what nobody can read; a date that has passed is 0.
pub(crate) fn wait_ms(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("retry-after-ms")
        .and_then(|text| number(text, 1.0))
        .or_else(|| text("retry-after").and_then(|text| seconds_or_date(text, now)))
}

fn seconds_or_date(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if let Some(ms) = number(text, 1_000.0) {
        return Some(ms);
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let at = Timestamp(i64::try_from(since.as_millis()).ok()?);
    Some(at.since_ms(now))
}

/// A moment of RFC 3339, or a duration such as `1h2m`, `6m0s`, `12ms`, `34.4s` or bare seconds.
pub(crate) fn until_ms(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(at.as_millisecond()).since_ms(now));
    }
    number(text, 1_000.0).or_else(|| {
        let span = text.parse::<SignedDuration>().ok()?;
        u64::try_from(span.as_millis()).ok()
    })
}

/// A number that is not below zero, times so much, rounded up: a wait is never cut short.
fn number(text: &str, times: f64) -> Option<u64> {
    let number: f64 = text.trim().parse().ok()?;
    let ms = (number * times).ceil();
    // Above this a number is no wait any more, and the cast would be inexact.
    (0.0..=1e15).contains(&ms).then_some(ms as u64)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// 2026-01-01T00:00:00Z.
    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    #[test]
    fn every_form_of_a_wait_is_read() {
        type Pairs = &'static [(&'static str, &'static str)];
        let table: [(Pairs, Option<u64>); 12] = [
            (&[("retry-after", "7")], Some(7_000)),
            (&[("retry-after", "0.5")], Some(500)),
            (&[("retry-after", " 3 ")], Some(3_000)),
            (&[("retry-after", "0")], Some(0)),
            (&[("retry-after", "Thu, 01 Jan 2026 00:00:07 GMT")], Some(7_000)),
            (&[("retry-after", "Thu, 01 Jan 2015 00:00:07 GMT")], Some(0)),
            (&[("retry-after-ms", "1500.2"), ("retry-after", "9")], Some(1_501)),
            (&[("retry-after-ms", "soon"), ("retry-after", "9")], Some(9_000)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "1e300")], None),
            (&[], None),
        ];
        for (pairs, expected) in table {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect();
            assert_eq!(wait_ms(&headers, NOW), expected, "{pairs:?}");
        }
    }

    #[test]
    fn every_form_of_a_reset_is_read() {
        let table = [
            ("2026-01-01T00:00:05Z", Some(5_000)),
            ("2025-07-29T15:56:38Z", Some(0)),
            ("12ms", Some(12)),
            ("6m0s", Some(360_000)),
            ("1h2m3s", Some(3_723_000)),
            ("34.4s", Some(34_400)),
            ("2", Some(2_000)),
            ("whenever", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(until_ms(text, NOW), expected, "{text:?}");
        }
    }
}
