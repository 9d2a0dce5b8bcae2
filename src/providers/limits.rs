//! What vendors say about a credential's rate in headers that many of them share. Where a vendor has
//! headers of its own, its adapter reads them.

use greenroom_actors::domain::{
    ids::Timestamp,
    model::{Allowance, RateLimits},
};
use reqwest::header::HeaderMap;

use crate::net::until_ms;

/// Vendors of this family count by the minute; one that does not say when the count begins again is
/// taken to mean a whole one.
const WINDOW_MS: u64 = 60_000;
/// From here on a number is no wait but a moment, in seconds.
const MOMENT_S: i64 = 1_000_000_000;

/// `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`: OpenAI's, and of most who are compatible
/// with it.
pub(super) fn x_ratelimit(headers: &HeaderMap, now: Timestamp) -> Option<RateLimits> {
    let allowance = |kind: &str| allowance(headers, kind, now);
    let limits = RateLimits {
        requests: allowance("requests"),
        tokens: allowance("tokens"),
        input_tokens: allowance("input-tokens"),
        output_tokens: allowance("output-tokens"),
    };
    (limits != RateLimits::default()).then_some(limits)
}

/// One kind; half of a word about it is none.
fn allowance(headers: &HeaderMap, kind: &str, now: Timestamp) -> Option<Allowance> {
    let text = |what: &str| headers.get(format!("x-ratelimit-{what}-{kind}"))?.to_str().ok();
    let number = |what: &str| text(what)?.trim().parse().ok();
    let reset_ms = text("reset").and_then(|text| reset(text, now)).unwrap_or(WINDOW_MS);
    Some(Allowance { limit: number("limit")?, remaining: number("remaining")?, reset_ms })
}

/// How long until the reset. Some vendors say the moment, in seconds or milliseconds since 1970.
fn reset(text: &str, now: Timestamp) -> Option<u64> {
    match text.trim().parse::<i64>() {
        Ok(moment) if moment >= MOMENT_S.saturating_mul(1_000) => {
            Some(Timestamp(moment).since_ms(now))
        }
        Ok(moment) if moment >= MOMENT_S => Some(Timestamp(moment * 1_000).since_ms(now)),
        Ok(_) | Err(_) => until_ms(text, now),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Option<RateLimits> {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        x_ratelimit(&headers, Timestamp(0))
    }

    #[test]
    fn requests_and_tokens_are_read_with_their_resets() {
        let limits = read(&[
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-limit-tokens", "160000"),
            ("x-ratelimit-remaining-tokens", "159970"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        let expected = RateLimits {
            requests: Some(Allowance { limit: 5_000, remaining: 4_999, reset_ms: 12 }),
            tokens: Some(Allowance { limit: 160_000, remaining: 159_970, reset_ms: 360_000 }),
            ..RateLimits::default()
        };
        assert_eq!(limits, Some(expected));
    }

    #[test]
    fn without_a_reset_the_window_is_a_minute() {
        let limits =
            read(&[("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "59")]);
        let requests = Some(Allowance { limit: 60, remaining: 59, reset_ms: 60_000 });
        assert_eq!(limits, Some(RateLimits { requests, ..RateLimits::default() }));
    }

    #[test]
    fn what_is_incomplete_or_unreadable_says_nothing() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("x-ratelimit-limit-requests", "60")]), None);
        assert_eq!(
            read(
                &[("x-ratelimit-limit-tokens", "many"), ("x-ratelimit-remaining-tokens", "some"),]
            ),
            None
        );
    }
}
