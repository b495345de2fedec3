//! Which local times a rule names, one after the other.

use backupd_base::{Code, Error, Result};
use chrono::{Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime};
use croner::Cron;

use super::{Rule, Weekday, cron};

/// A rule that was checked.
#[derive(Debug, Clone)]
pub enum Local {
    Dates(Dates, NaiveTime),
    Cron(Box<Cron>),
}

/// Dates a rule names.
#[derive(Debug, Clone)]
pub enum Dates {
    Every,
    /// Bit 0 is Monday.
    Weekdays(u8),
    /// Or the last one of a shorter month.
    DayOfMonth(u8),
}

impl Local {
    /// # Errors
    /// `Invalid`, with the value and what is allowed.
    pub fn new(rule: &Rule) -> Result<Self> {
        Ok(match rule {
            Rule::Daily { at } => Self::Dates(Dates::Every, time(at)?),
            Rule::Weekly { days, at } => Self::Dates(weekdays(days)?, time(at)?),
            Rule::Monthly { day, at } => Self::Dates(day_of_month(*day)?, time(at)?),
            Rule::Cron { expression } => Self::Cron(Box::new(cron::parse(expression)?)),
        })
    }

    /// The first one after `local`; `None` at the end of the calendar.
    pub fn after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::Cron(cron) => cron::next(cron, local, false),
            Self::Dates(dates, at) => {
                let mut date = local.date();
                if *at <= local.time() {
                    date = date.succ_opt()?;
                }
                Some(dates.from(date)?.and_time(*at))
            }
        }
    }
}

impl Dates {
    /// The first one at or after `date`.
    fn from(&self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Every => Some(date),
            Self::Weekdays(days) => (0..7)
                .filter_map(|ahead| date.checked_add_days(Days::new(ahead)))
                .find(|date| days & 1 << date.weekday().num_days_from_monday() != 0),
            Self::DayOfMonth(day) => {
                let first = date.with_day(1)?;
                let this = in_month(first, *day)?;
                if this >= date {
                    return Some(this);
                }
                in_month(first.checked_add_months(chrono::Months::new(1))?, *day)
            }
        }
    }
}

fn in_month(first: NaiveDate, day: u8) -> Option<NaiveDate> {
    first.with_day(u32::from(day).min(u32::from(first.num_days_in_month())))
}

fn time(at: &str) -> Result<NaiveTime> {
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    at.split_once(':')
        .and_then(|(hour, minute)| NaiveTime::from_hms_opt(two(hour)?, two(minute)?, 0))
        .ok_or_else(|| {
            let why = format!("time of day is {at:?}; allowed is HH:MM from 00:00 to 23:59");
            Error::new(Code::Invalid, why)
        })
}

fn weekdays(days: &[Weekday]) -> Result<Dates> {
    if days.is_empty() {
        let why = "days of the week are none; allowed are one or more of monday to sunday";
        return Err(Error::new(Code::Invalid, why));
    }
    let bits = days.iter().map(|day| 1 << day.from_monday());
    Ok(Dates::Weekdays(bits.fold(0, |all, bit: u8| all | bit)))
}

fn day_of_month(day: u8) -> Result<Dates> {
    if (1..=31).contains(&day) {
        return Ok(Dates::DayOfMonth(day));
    }
    let why = format!("day of the month is {day}; allowed is 1 to 31 (31 is every last day)");
    Err(Error::new(Code::Invalid, why))
}
