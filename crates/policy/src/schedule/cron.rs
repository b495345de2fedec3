//! The cron library behind a wall: it is asked about plain local times, as if they were UTC, and
//! never hears of a zone. What happens when clocks change is decided in one place (`instant`).

use std::str::FromStr as _;

use backupd_base::{Code, Error, Result};
use chrono::NaiveDateTime;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// Longer ones are no rule somebody wrote.
const LONGEST: usize = 200;

/// Reads an expression.
///
/// # Errors
/// `Invalid` for one that is none, or never matches.
pub fn parse(expression: &str) -> Result<Cron> {
    let refused = |why: &str| {
        Err(Error::new(
            Code::Invalid,
            format!(
                "cron expression is {expression:?} ({why}); allowed are five fields (minute, hour, \
                 day of month, month, day of week) such as \"30 2 * * mon-fri\", or @hourly, \
                 @daily, @weekly, @monthly, @yearly"
            ),
        ))
    };
    if expression.len() > LONGEST {
        return refused("it is too long");
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let cron = match parser.parse(expression) {
        Ok(cron) => cron,
        Err(why) => return refused(&why.to_string()),
    };
    // Years repeat themselves: what does not match from here on never does.
    let start = NaiveDateTime::from_str("2000-01-01T00:00:00").unwrap_or_default();
    if next(&cron, start, true).is_none() {
        return refused("no date matches it");
    }
    Ok(cron)
}

/// The first match after `local`, or at it.
pub fn next(cron: &Cron, local: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
    let found = cron
        .find_next_occurrence(&local.and_utc(), inclusive)
        .ok()?;
    Some(found.naive_utc())
}
