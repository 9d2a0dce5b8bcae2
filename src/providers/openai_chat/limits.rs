//! What the headers say of limits: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`.

use greenroom_actors::domain::{
    ids::Timestamp,
    model::{Allowance, RateLimits},
};
use reqwest::header::HeaderMap;

use crate::net::until_ms;

/// The longest window of those vendors that do not say when theirs ends.
const WINDOW_MS: u64 = 60_000;
/// From here on a number is no wait but a moment since 1970, in seconds.
const MOMENT_S: i64 = 1_000_000_000;

pub(super) fn read(headers: &HeaderMap, now: Timestamp) -> Option<RateLimits> {
    let limits = RateLimits {
        requests: allowance(headers, "requests", now),
        tokens: allowance(headers, "tokens", now),
        input_tokens: None,
        output_tokens: None,
    };
    (limits != RateLimits::default()).then_some(limits)
}

fn allowance(headers: &HeaderMap, what: &str, now: Timestamp) -> Option<Allowance> {
    let text = |part: &str| {
        let value = headers.get(format!("x-ratelimit-{part}-{what}"));
        value.and_then(|value| value.to_str().ok()).map(str::trim)
    };
    let limit = text("limit")?.parse().ok()?;
    let remaining = text("remaining")?.parse().ok()?;
    let reset_ms = text("reset").and_then(|text| reset(text, now)).unwrap_or(WINDOW_MS);
    Some(Allowance { limit, remaining, reset_ms })
}

fn reset(text: &str, now: Timestamp) -> Option<u64> {
    match text.parse::<i64>() {
        // A thousand times that is a moment in milliseconds.
        Ok(moment) if moment >= MOMENT_S.saturating_mul(1_000) => {
            Some(Timestamp(moment).since_ms(now))
        }
        Ok(moment) if moment >= MOMENT_S => Some(Timestamp(moment * 1_000).since_ms(now)),
        Ok(_) | Err(_) => until_ms(text, now),
    }
}
