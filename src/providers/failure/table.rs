//! The decisions, as data. A row's words outrank what stands below it; see `is_said` for how they are
//! looked for. What is known of the bill decides whether it must be settled: a vendor that refused at
//! its door has done nothing, one that broke has perhaps answered all the same.

use std::ops::RangeInclusive;

use greenroom_actors::domain::event::FailureKind::{
    self, Auth, BadRequest, Malformed, Overloaded, Quota, RateLimited, TimedOut,
};

use super::Row;

/// Whether the same call may succeed later, and whether it was certainly not billed.
type Then = (bool, bool);
/// Not begun, and no use to ask again.
const REFUSED: Then = (false, true);
/// Not begun, and may go better later.
const LATER: Then = (true, true);
/// Perhaps billed, and may go better later.
const BROKEN: Then = (true, false);
/// Perhaps billed, and no use to ask again.
const SPENT: Then = (false, false);

const ANY: RangeInclusive<u16> = 0..=u16::MAX;
/// An error amid an answer: something was done before it.
const AMID: RangeInclusive<u16> = 200..=299;
const CLIENT: RangeInclusive<u16> = 400..=499;
const SERVER: RangeInclusive<u16> = 500..=599;

/// The account is empty, or has reached a limit that a short wait does not lift.
const NO_MONEY: &[&str] = &[
    "insufficient_quota",
    "insufficient_credits",
    "insufficient_balance",
    "billing",
    "spend_limit",
    "payment_required",
    "perday",
    "402",
    // Moonshot's word.
    "exceeded_current_quota",
    // Z.ai's numbers, all under a 429: no balance, the day's calls, a plan's hours, a plan that has
    // run out, a plan's week or month.
    "1113",
    "1304",
    "1308",
    "1309",
    "1310",
    "credit balance is too low",
    // xAI's sentence, under a 403.
    "used all available credits",
];
/// The credential is wrong, whatever the status.
const BAD_KEY: &[&str] = &[
    "api_key_invalid",
    "invalid_api_key",
    "authentication_error",
    "unauthenticated",
    "incorrect api key",
    "api key not valid",
];
const TOO_FAST: &[&str] = &["rate_limit", "resource_exhausted", "too_many_requests", "429"];
const BUSY: &[&str] = &["overloaded", "unavailable", "capacity"];
const NO_ACCESS: &[&str] = &["authentication", "permission", "unauthorized", "401", "403"];
const TOO_LATE: &[&str] = &["timeout", "deadline_exceeded", "408", "504"];
/// The vendor will say the same of the same request.
const WRONG: &[&str] = &[
    "invalid_request",
    "invalid_argument",
    "invalid_prompt",
    "invalid_image",
    "bad_request",
    "not_found",
    "context_length",
    "context_size",
    "too_large",
    "content_policy",
    "content_filter",
    "400",
    "404",
    "413",
    "422",
];

/// The decisions; the first row that fits.
pub(super) static TABLE: &[Row] = &[
    // No money, before all else: vendors say it with the status of a request that came too soon.
    row(AMID, NO_MONEY, Quota, SPENT),
    row(ANY, NO_MONEY, Quota, REFUSED),
    // Amid an answer there is only the vendor's word. Without a word that is known, it has broken.
    row(AMID, TOO_FAST, RateLimited, BROKEN),
    row(AMID, BUSY, Overloaded, BROKEN),
    row(AMID, BAD_KEY, Auth, SPENT),
    row(AMID, NO_ACCESS, Auth, SPENT),
    row(AMID, TOO_LATE, TimedOut, BROKEN),
    row(AMID, WRONG, BadRequest, SPENT),
    row(AMID, &[], Overloaded, BROKEN),
    // A redirect is not followed: the credential would go along.
    row(300..=399, &[], BadRequest, REFUSED),
    // Some vendors say with a plain 400 or 403 what others have a status for.
    row(CLIENT, BAD_KEY, Auth, REFUSED),
    row(400..=403, TOO_FAST, RateLimited, LATER),
    row(401..=401, &[], Auth, REFUSED),
    row(402..=402, &[], Quota, REFUSED),
    row(403..=403, WRONG, BadRequest, REFUSED),
    row(403..=403, &[], Auth, REFUSED),
    row(407..=407, &[], Auth, REFUSED),
    row(408..=408, &[], TimedOut, BROKEN),
    // Two requests in each other's way, or one too early on its connection.
    row(409..=409, &[], Overloaded, LATER),
    row(425..=425, &[], Overloaded, LATER),
    row(429..=429, &[], RateLimited, LATER),
    // Groq has no room for what is asked at a lower price.
    row(498..=498, &[], Overloaded, LATER),
    // Also a 413 that names a rate: it does not fit into a whole minute's, so waiting is in vain.
    row(CLIENT, &[], BadRequest, REFUSED),
    row(501..=501, &[], BadRequest, REFUSED),
    row(504..=504, &[], TimedOut, BROKEN),
    // Cloudflare has waited long enough for the vendor behind it.
    row(524..=524, &[], TimedOut, BROKEN),
    row(529..=529, &[], Overloaded, LATER),
    // A vendor that says it is busy has not begun. A gateway that says so may have lost the answer.
    row(503..=503, BUSY, Overloaded, LATER),
    row(SERVER, &[], Overloaded, BROKEN),
    row(ANY, &[], Malformed, SPENT),
];

const fn row(
    status: RangeInclusive<u16>,
    words: &'static [&'static str],
    kind: FailureKind,
    (retryable, unbilled): Then,
) -> Row {
    Row { status, words, kind, retryable, unbilled }
}
