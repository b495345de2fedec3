//! Schedules: what is refused, single nights worth knowing, and twenty years of every zone.

mod cron;
mod every_zone;
mod refused;
mod spread;
mod worth_knowing;

use backupd_policy::schedule::{Plan, Rule, Schedule, Weekday};
use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;

pub fn daily(at: &str) -> Rule {
    Rule::Daily { at: at.into() }
}

pub fn weekly(days: &[Weekday], at: &str) -> Rule {
    Rule::Weekly {
        days: days.to_vec(),
        at: at.into(),
    }
}

pub fn monthly(day: u8, at: &str) -> Rule {
    Rule::Monthly { day, at: at.into() }
}

pub fn cron(expression: &str) -> Rule {
    Rule::Cron {
        expression: expression.into(),
    }
}

pub fn schedule(rule: Rule, zone: &str) -> Schedule {
    Schedule {
        rule,
        time_zone: zone.into(),
        jitter_seconds: 0,
    }
}

pub fn plan(rule: Rule, zone: Tz) -> Plan {
    Plan::new(&schedule(rule, zone.name()), "seed").unwrap()
}

pub fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The next runs as local times with their offset, from a local midnight on.
pub fn runs(rule: Rule, zone: Tz, from: &str, count: usize) -> Vec<String> {
    let from: NaiveDateTime = format!("{from}T00:00:00").parse().unwrap();
    let from = from.and_local_timezone(zone).earliest().unwrap();
    plan(rule, zone)
        .runs_after(from.to_utc() - chrono::TimeDelta::seconds(1))
        .take(count)
        .map(|run| run.with_timezone(&zone).format("%F %T %z").to_string())
        .collect()
}
