//! When what recurs is due: cron expressions in time zones, from data that comes with the program. It
//! reads no clock; a daylight-saving gap or overlap is the zone's, and each moment is one of the wall.

use cronexpr::{MakeTimestamp, parse_crontab};
use greenroom_actors::{domain::ids::Timestamp, ports::Calendar};

/// Cron expressions of five fields, and names of zones such as `Europe/Berlin`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemCalendar;

impl Calendar for SystemCalendar {
    fn next(&self, expression: &str, zone: &str, after: Timestamp) -> Result<Timestamp, String> {
        let expected = "five fields and a zone were expected, as in \"30 6 * * 1-5\" and \
                        \"Europe/Berlin\"";
        let said = format!("read when {expression:?} in {zone:?} is due");
        let one_word = !zone.is_empty() && !zone.contains(char::is_whitespace);
        if !one_word || expression.split_whitespace().count() != 5 {
            return Err(format!("{said}: {expected}"));
        }
        let unreadable = |error: cronexpr::Error| {
            // It points into the text over several lines; the last one says what is wrong.
            let text = error.to_string();
            let why = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            format!("{said}: {}; {expected}", why.trim())
        };
        let cron = parse_crontab(&format!("{expression} {zone}")).map_err(unreadable)?;
        let after = MakeTimestamp::from_millisecond(after.0).map_err(unreadable)?;
        let next = cron.find_next(after).map_err(unreadable)?;
        Ok(Timestamp(next.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, zone: &str, after: &str) -> String {
        let after: jiff::Timestamp = after.parse().expect("a moment");
        let next = SystemCalendar.next(expression, zone, Timestamp(after.as_millisecond()));
        jiff::Timestamp::from_millisecond(next.expect("it is due").0).expect("a moment").to_string()
    }

    #[test]
    fn a_moment_is_the_next_one_of_the_zones_wall() {
        let six = |zone, after| next("30 6 * * *", zone, after);
        assert_eq!(six("UTC", "2026-01-01T00:00:00Z"), "2026-01-01T06:30:00Z");
        assert_eq!(six("UTC", "2026-01-01T06:30:00Z"), "2026-01-02T06:30:00Z", "after, not at");
        assert_eq!(six("Europe/Berlin", "2026-01-01T00:00:00Z"), "2026-01-01T05:30:00Z");
        assert_eq!(six("Europe/Berlin", "2026-07-01T00:00:00Z"), "2026-07-01T04:30:00Z");
        assert_eq!(
            next("0 9 * * 1-5", "America/New_York", "2026-01-02T15:00:00Z"),
            "2026-01-05T14:00:00Z"
        );
    }

    #[test]
    fn a_night_that_loses_an_hour_or_has_one_twice_is_one_night() {
        // In Berlin 02:30 is not there on 29 March 2026, and twice on 25 October.
        let night = |after| next("30 2 * * *", "Europe/Berlin", after);
        let gap = night("2026-03-28T12:00:00Z");
        assert!(gap.starts_with("2026-03-29") || gap.starts_with("2026-03-30"), "{gap}");
        let first = night("2026-10-24T12:00:00Z");
        assert!(first.starts_with("2026-10-25T0"), "{first}");
        let second = night(&first);
        assert!(second > first, "it goes on: {second}");
    }

    #[test]
    fn what_is_no_expression_or_no_zone_is_said_with_an_example() {
        for (expression, zone) in [
            ("every day", "UTC"),
            ("99 * * * *", "UTC"),
            ("* * * * *", "Europe/Atlantis"),
            ("* * * * *", ""),
            ("* * * *", "* UTC"),
            ("0 0 30 2 *", "UTC"),
        ] {
            let why = SystemCalendar.next(expression, zone, Timestamp(0)).expect_err(expression);
            assert!(why.contains("Europe/Berlin") && !why.contains('\n'), "{why}");
        }
    }
}
