//! For how long something is kept.

use crate::{Invalid, validated_text};

/// A number and a unit, such as `30 days`, which is also how PostgreSQL writes an interval (manual, 8.5.4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keep(String);

impl Keep {
    const UNITS: [&str; 6] = ["minute", "hour", "day", "week", "month", "year"];

    fn check(text: &str) -> Result<(), Invalid> {
        let fits = text.split_once(' ').is_some_and(|(number, unit)| {
            let digits = number.bytes().all(|b| b.is_ascii_digit());
            // PostgreSQL has no timestamp before 4713 BC.
            let counts = digits && number.len() <= 4 && number.parse::<u32>().is_ok_and(|number| number > 0);
            let years = unit.trim_end_matches('s') == "year" && number.len() > 3;
            counts && !years && Self::UNITS.contains(&unit.strip_suffix('s').unwrap_or(unit))
        });
        if fits {
            return Ok(());
        }
        let shown: String = text.chars().take(40).collect();
        Err(Invalid::new(format!(
            "{shown:?} is no time for which rows are kept; write a number from 1 to 9999 (years: 999) and minutes, hours, days, weeks, \
             months or years, such as \"30 days\""
        )))
    }
}

validated_text!(Keep);

/// For how long rows are archived: a [`Keep`], or `forever`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchiveFor(String);

impl ArchiveFor {
    const FOREVER: &str = "forever";

    fn check(text: &str) -> Result<(), Invalid> {
        if text == Self::FOREVER {
            return Ok(());
        }
        Keep::check(text).map_err(|Invalid(reason)| Invalid::new(format!("{reason}, or \"forever\"")))
    }
}

validated_text!(ArchiveFor);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for good in ["30 days", "1 day", "9999 hours", "6 months", "5 years", "90 minutes"] {
            assert!(good.parse::<Keep>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "30",
            "days",
            "0 days",
            "-1 days",
            "30days",
            "30  days",
            "30 dayss",
            "1.5 days",
            "10000 days",
            "1000 years",
            "1 day'",
        ] {
            assert!(bad.parse::<Keep>().is_err(), "{bad}");
            assert!(bad.parse::<ArchiveFor>().is_err(), "{bad}");
        }
        assert!("forever".parse::<Keep>().is_err());
        assert!("forever".parse::<ArchiveFor>().is_ok() && "5 years".parse::<ArchiveFor>().is_ok());
    }
}
