//! When something is due: a cron expression in a time zone.
//!
//! Five fields as in `crontab(5)`, read by `croner`. Where clocks are put forward, a time that there is not is due when the gap is over;
//! where they are put back, one that there is twice is due the first time. What is due every so often is due in real time.

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use time::OffsetDateTime;

/// When something is due.
#[derive(Debug, Clone)]
pub struct Cadence {
    cron: Cron,
    zone: TimeZone,
}

/// Why a cadence is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CadenceError {
    /// The expression cannot be read.
    #[error(
        "cron expression {0:?} cannot be read: {1}; give minute, hour, day of the month, month and day of the week, such as \
         \"30 3 * * 1-5\" for 3:30 from Monday to Friday"
    )]
    Expression(String, String),
    /// No time will ever fit.
    #[error("cron expression {0:?} never comes; give one that does, such as \"0 0 1 * *\" for the first of each month")]
    Never(String),
    /// Nobody has heard of the zone.
    #[error(
        "time zone {0:?} is not known; give a name of the IANA time zone database, such as \"America/Sao_Paulo\" or \"UTC\""
    )]
    Zone(String),
}

impl Cadence {
    /// Reads an expression and the name of a zone.
    pub fn read(cron: &str, zone: &str) -> Result<Self, CadenceError> {
        let unreadable = |why: String| CadenceError::Expression(shown(cron), why);
        // Schedules are looked at every second or so; finer would be a promise that nobody keeps.
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|error| unreadable(told(&error)))?;
        let zone = TimeZone::get(zone).map_err(|_| CadenceError::Zone(shown(zone)))?;
        Ok(Self { cron: parsed, zone })
    }

    /// The first time after a moment; none if there is none in the next thousands of years.
    #[must_use]
    pub fn after(&self, moment: OffsetDateTime) -> Option<OffsetDateTime> {
        let from = Timestamp::from_nanosecond(moment.unix_timestamp_nanos()).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&from, false).ok()?.timestamp();
        // What is not later than what has been would be due for ever.
        let next = OffsetDateTime::from_unix_timestamp_nanos(next.as_nanosecond()).ok()?;
        Some(next).filter(|next| *next > moment)
    }
}

fn told(error: &CronError) -> String {
    match error {
        CronError::EmptyPattern => "it is empty".to_owned(),
        CronError::InvalidPattern(why) | CronError::IllegalCharacters(why) | CronError::ComponentError(why) => {
            why.trim_end_matches('.').to_owned()
        }
        other => other.to_string().trim_end_matches('.').to_owned(),
    }
}

/// Not all of what may be very long.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use time::format_description::well_known::Rfc3339;

    use super::*;

    fn times(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let cadence = Cadence::read(cron, zone).expect(cron);
        let mut at = OffsetDateTime::parse(from, &Rfc3339).expect(from);
        let mut next = || {
            at = cadence.after(at).expect("a next time");
            at.format(&Rfc3339).expect("a time")
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn the_next_time_is_later_than_the_last_by_the_clock_of_the_zone() {
        let hourly = ["2026-03-01T13:00:00Z", "2026-03-01T14:00:00Z"];
        assert_eq!(times("0 * * * *", "UTC", "2026-03-01T12:00:00Z", 2), hourly, "the moment itself has been");
        assert_eq!(times("0 * * * *", "UTC", "2026-03-01T12:00:00.25Z", 2), hourly);
        assert_eq!(times("0 * * * *", "UTC", "2026-03-01T12:59:59.999999Z", 2), hourly);
        // São Paulo is three hours behind all the year.
        assert_eq!(times("30 3 * * 1-5", "America/Sao_Paulo", "2026-02-27T06:30:00Z", 1), ["2026-03-02T06:30:00Z"]);
        assert_eq!(times("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
        assert_eq!(times("@daily", "utc", "2026-01-01T05:00:00Z", 1), ["2026-01-02T00:00:00Z"]);
    }

    #[test]
    fn what_there_is_not_when_clocks_go_forward_comes_when_the_gap_is_over() {
        // In New York 2:00 became 3:00 on 8 March 2026.
        let got = times("30 2 * * *", "America/New_York", "2026-03-07T08:00:00Z", 2);
        assert_eq!(got, ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]);
        let got = times("*/30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", 3);
        assert_eq!(got, ["2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"]);
    }

    #[test]
    fn what_there_is_twice_when_clocks_go_back_comes_once() {
        // In New York 2:00 became 1:00 on 1 November 2026, at 6:00 in UTC.
        let got = times("30 1 * * *", "America/New_York", "2026-11-01T04:00:00Z", 2);
        assert_eq!(got, ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
        // Also for who was away the first time, and looks between the two or within the second.
        for late in ["2026-11-01T05:45:00Z", "2026-11-01T06:10:00Z", "2026-11-01T06:45:00Z"] {
            let next = times("30 1 * * *", "America/New_York", late, 1);
            assert_eq!(next, ["2026-11-02T06:30:00Z"], "after {late}");
        }
        let got = times("*/30 * * * *", "America/New_York", "2026-11-01T05:00:00Z", 4);
        assert_eq!(
            got,
            ["2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:00:00Z"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_an_example() {
        for (cron, zone, told) in [
            ("", "UTC", "\"30 3 * * 1-5\""),
            ("* * * *", "UTC", "\"* * * *\""),
            ("0 * * * * *", "UTC", "minute, hour"),
            ("61 * * * *", "UTC", "61"),
            ("x * * * *", "UTC", "such as"),
            ("* * * * *", "Mars/Base", "\"Mars/Base\" is not known"),
            ("* * * * *", "", "America/Sao_Paulo"),
            ("* * * * *", "../../etc/passwd", "is not known"),
        ] {
            let refusal = Cadence::read(cron, zone).expect_err(cron).to_string();
            assert!(refusal.contains(told), "{cron:?}: {refusal}");
        }
        let never = Cadence::read("0 0 30 2 *", "UTC").expect("an expression");
        assert_eq!(never.after(OffsetDateTime::UNIX_EPOCH), None);
    }
}
