//! Nights on which clocks or calendars do something.

use backupd_policy::schedule::Weekday;
use chrono_tz::{
    America::{Scoresbysund, St_Johns},
    Asia::Beirut,
    Australia::Lord_Howe,
    Europe::Berlin,
    Pacific::Apia,
    Tz::UTC,
};

use super::{cron, daily, monthly, plan, runs, utc, weekly};

#[test]
fn a_time_that_does_not_exist_is_the_first_instant_after_the_gap() {
    assert_eq!(
        runs(daily("02:30"), Berlin, "2027-03-27", 3),
        [
            "2027-03-27 02:30:00 +0100",
            "2027-03-28 03:00:00 +0200",
            "2027-03-29 02:30:00 +0200"
        ]
    );
    // Half an hour only.
    assert_eq!(
        runs(daily("02:15"), Lord_Howe, "2027-10-03", 1),
        ["2027-10-03 02:30:00 +1100"]
    );
    // At midnight.
    assert_eq!(
        runs(daily("00:00"), Beirut, "2027-03-27", 3),
        [
            "2027-03-27 00:00:00 +0200",
            "2027-03-28 01:00:00 +0300",
            "2027-03-29 00:00:00 +0300"
        ]
    );
}

#[test]
fn a_gap_up_to_midnight_keeps_the_run_on_its_date() {
    assert_eq!(
        runs(daily("23:30"), Scoresbysund, "2027-03-27", 2),
        ["2027-03-27 22:59:59 -0200", "2027-03-28 23:30:00 -0100"]
    );
    assert_eq!(
        runs(daily("00:00"), Scoresbysund, "2027-03-28", 1),
        ["2027-03-28 00:00:00 -0100"]
    );
}

#[test]
fn a_time_that_comes_twice_is_the_first_of_the_two() {
    assert_eq!(
        runs(daily("02:30"), Berlin, "2027-10-31", 2),
        ["2027-10-31 02:30:00 +0200", "2027-11-01 02:30:00 +0100"]
    );
    // Back over midnight: the evening before comes twice.
    assert_eq!(
        runs(daily("23:30"), St_Johns, "2010-11-06", 2),
        ["2010-11-06 23:30:00 -0230", "2010-11-07 23:30:00 -0330"]
    );
}

#[test]
fn asked_between_the_two_it_is_tomorrow() {
    let plan = plan(daily("02:30"), Berlin);
    // 02:10 for the second time.
    let between = utc("2027-10-31T01:10:00Z");
    assert_eq!(plan.next(between), Some(utc("2027-11-01T01:30:00Z")));
}

#[test]
fn a_date_that_was_skipped_has_no_run() {
    for rule in [daily("03:00"), cron("0 3 * * *")] {
        assert_eq!(
            runs(rule, Apia, "2011-12-29", 2),
            ["2011-12-29 03:00:00 -1000", "2011-12-31 03:00:00 +1400"]
        );
    }
    // A Friday.
    assert_eq!(
        runs(weekly(&[Weekday::Friday], "03:00"), Apia, "2011-12-25", 1),
        ["2012-01-06 03:00:00 +1400"]
    );
}

#[test]
fn the_31st_is_the_last_day_of_every_month() {
    let days: Vec<_> = runs(monthly(31, "04:00"), UTC, "2028-01-01", 5)
        .iter()
        .map(|run| run[5..10].to_owned())
        .collect();
    assert_eq!(days, ["01-31", "02-29", "03-31", "04-30", "05-31"]);
    assert_eq!(
        runs(monthly(30, "04:00"), UTC, "2027-02-01", 2),
        ["2027-02-28 04:00:00 +0000", "2027-03-30 04:00:00 +0000"]
    );
}

#[test]
fn days_of_the_week() {
    let days = [Weekday::Saturday, Weekday::Monday];
    assert_eq!(
        runs(weekly(&days, "22:00"), Berlin, "2027-05-05", 3),
        [
            "2027-05-08 22:00:00 +0200",
            "2027-05-10 22:00:00 +0200",
            "2027-05-15 22:00:00 +0200"
        ]
    );
}

#[test]
fn a_run_is_not_after_itself() {
    let plan = plan(daily("03:00"), UTC);
    let run = utc("2027-05-05T03:00:00Z");
    assert_eq!(plan.next(run), Some(utc("2027-05-06T03:00:00Z")));
    assert_eq!(plan.next(utc("2027-05-05T02:59:59.999Z")), Some(run));
    assert_eq!(plan.next(utc("2027-05-05T03:00:00.001Z")), plan.next(run));
    assert_eq!(plan.next_three(run).len(), 3);
    let between: Vec<_> = plan
        .runs_between(run, utc("2027-05-07T03:00:00Z"))
        .collect();
    assert_eq!(
        between,
        [utc("2027-05-06T03:00:00Z"), utc("2027-05-07T03:00:00Z")]
    );
}
