//! Twenty years of every zone of the tz database, by a clock of our own.

use std::thread;

use backupd_policy::schedule::{Rule, Weekday};
use chrono::{
    DateTime, Datelike as _, NaiveDate, NaiveTime, Offset as _, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::{cron, daily, monthly, plan, utc, weekly};

const TIMES: [&str; 5] = ["00:00", "00:30", "02:30", "13:00", "23:59"];

fn start() -> DateTime<Utc> {
    utc("2010-01-01T00:00:00Z")
}

fn end() -> DateTime<Utc> {
    utc("2030-01-01T00:00:00Z")
}

/// Runs `check` for every zone, on every core.
fn for_every_zone(check: impl Fn(Tz) + Sync) {
    let cores = thread::available_parallelism().map_or(2, usize::from);
    assert!(TZ_VARIANTS.len() > 590, "{} zones", TZ_VARIANTS.len());
    thread::scope(|scope| {
        for first in 0..cores {
            let check = &check;
            scope.spawn(move || {
                TZ_VARIANTS
                    .iter()
                    .skip(first)
                    .step_by(cores)
                    .for_each(|z| check(*z))
            });
        }
    });
}

/// A date that a zone has.
struct Day {
    date: NaiveDate,
    /// The offset of its zone, where no clock is changed around it.
    quiet: Option<TimeDelta>,
}

fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    TimeDelta::seconds(offset.local_minus_utc().into())
}

/// Every date the zone has from `start` to `end`, the first and the last left out. Found by looking
/// at instants, not by what is being tested.
fn days(zone: Tz) -> Vec<Day> {
    let count = (end() - start()).num_days();
    let noons: Vec<_> = (-2..count + 3)
        .map(|n| start() + TimeDelta::days(n) + TimeDelta::hours(12))
        .map(|noon| (noon, offset(zone, noon)))
        .collect();
    let mut found: Vec<Day> = Vec::new();
    for around in noons.windows(5) {
        let (noon, offset) = around[2];
        let date = (noon + offset).date_naive();
        let quiet = around
            .iter()
            .all(|other| other.1 == offset)
            .then_some(offset);
        let last = found.last().map(|day| day.date);
        // A day that seems skipped was one if no minute around has it.
        for date in last.into_iter().flat_map(|last| last.iter_days().skip(1)) {
            if date >= (noon + offset).date_naive() {
                break;
            }
            let mut minutes = (-2880..2880).map(|n| noon + TimeDelta::minutes(n));
            if minutes.any(|at| at.with_timezone(&zone).date_naive() == date) {
                found.push(Day { date, quiet: None });
            }
        }
        if last.is_none_or(|last| date > last) {
            found.push(Day { date, quiet });
        }
    }
    found.pop();
    found.remove(0);
    found
}

/// Panics unless `run` is where a run at `at` on this day belongs.
fn check_place(zone: Tz, day: &Day, at: NaiveTime, run: DateTime<Utc>) {
    let wanted = day.date.and_time(at);
    if let Some(offset) = day.quiet {
        assert_eq!(run.naive_utc() + offset, wanted, "{zone}");
        return;
    }
    let (before, now) = (offset(zone, run - TimeDelta::hours(3)), offset(zone, run));
    let local = |at: DateTime<Utc>| at.naive_utc() + offset(zone, at);
    assert_eq!(local(run).date(), day.date, "{zone}");
    if local(run) == wanted {
        let earlier = run - (before - now);
        assert!(
            before <= now || local(earlier) != wanted,
            "{zone}: {run} comes twice"
        );
        return;
    }
    let second = TimeDelta::seconds(1);
    let after_gap = local(run - second) < wanted && wanted < local(run);
    let before_gap = local(run) < wanted
        && wanted < local(run + second)
        && local(run + second).date() > wanted.date();
    assert!(after_gap || before_gap, "{zone}: {run} is not {wanted}");
}

/// Exactly one run on each of `days`, at `at`, and no other; each later than the one before.
fn check<'a>(zone: Tz, rule: Rule, at: &str, days: impl Iterator<Item = &'a Day>) {
    let at: NaiveTime = at.parse().unwrap();
    let plan = plan(rule, zone);
    // From the last instant before the first day to the last of the last one.
    let mut days = days.peekable();
    let first = days.peek().unwrap().date.and_time(NaiveTime::MIN).and_utc();
    let mut runs = plan
        .runs_after(first - TimeDelta::days(2))
        .skip_while(|run| {
            run.with_timezone(&zone)
                .date_naive()
                .and_time(NaiveTime::MIN)
                < first.naive_utc()
        });
    let mut former = None;
    for day in days {
        let run = runs.next().unwrap();
        assert!(Some(run) > former, "{zone}: {run} is not after {former:?}");
        check_place(zone, day, at, run);
        if day.quiet.is_none() {
            // Asked anew right before, at, and after it, it is the same.
            let (second, following) = (TimeDelta::seconds(1), plan.next(run));
            assert_eq!(plan.next(run - second), Some(run), "{zone}");
            assert!(following > Some(run), "{zone}");
            assert_eq!(plan.next(run + second), following, "{zone}");
        }
        former = Some(run);
    }
}

#[test]
fn a_daily_rule_has_one_run_on_every_date_there_is() {
    for_every_zone(|zone| {
        let days = days(zone);
        for at in TIMES {
            check(zone, daily(at), at, days.iter());
        }
    });
}

#[test]
fn cron_knows_the_same_dates() {
    for_every_zone(|zone| check(zone, cron("30 2 * * *"), "02:30", days(zone).iter()));
}

#[test]
fn weeks_and_months_too() {
    for_every_zone(|zone| {
        let days = days(zone);
        let sundays = || {
            days.iter()
                .filter(|day| day.date.weekday() == chrono::Weekday::Sun)
        };
        check(
            zone,
            weekly(&[Weekday::Sunday], "00:30"),
            "00:30",
            sundays(),
        );
        check(zone, cron("30 0 * * sun"), "00:30", sundays());
        let is_last = |day: &&Day| day.date.succ_opt().is_some_and(|next| next.day() == 1);
        check(
            zone,
            monthly(31, "23:59"),
            "23:59",
            days.iter().filter(is_last),
        );
        check(
            zone,
            cron("59 23 L * *"),
            "23:59",
            days.iter().filter(is_last),
        );
    });
}

/// A clock that is put forward and back: what was handled is never handled again, nothing is left out.
#[test]
fn a_clock_that_jumps_neither_doubles_nor_loses_a_run() {
    for_every_zone(|zone| {
        let plan = plan(daily("02:30"), zone);
        let mut jumps = [40, -26, 3, 75, -1, 1, 500, -499, 24].into_iter().cycle();
        let mut now = start();
        let mut handled = start();
        let mut seen = Vec::new();
        while now < utc("2013-01-01T00:00:00Z") {
            now += TimeDelta::hours(jumps.next().unwrap());
            for run in plan.runs_between(handled, now) {
                handled = run;
                seen.push(run);
            }
        }
        let all: Vec<_> = plan.runs_between(start(), handled).collect();
        assert_eq!(seen, all, "{zone}");
    });
}
