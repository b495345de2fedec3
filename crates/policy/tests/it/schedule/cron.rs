//! Cron expressions, in zones.

use chrono_tz::{Europe::Berlin, Tz::UTC};

use super::{cron, runs};

#[test]
fn the_usual_ones() {
    assert_eq!(
        runs(cron("30 2 * * mon-fri"), UTC, "2027-05-08", 2),
        ["2027-05-10 02:30:00 +0000", "2027-05-11 02:30:00 +0000"]
    );
    assert_eq!(
        runs(cron("0 0 29 2 *"), UTC, "2027-05-08", 2),
        ["2028-02-29 00:00:00 +0000", "2032-02-29 00:00:00 +0000"]
    );
    assert_eq!(
        runs(cron("@weekly"), UTC, "2027-05-08", 1),
        ["2027-05-09 00:00:00 +0000"]
    );
    // As in every cron: the day of the month or the day of the week.
    assert_eq!(
        runs(cron("0 3 13 * fri"), UTC, "2027-05-11", 2),
        ["2027-05-13 03:00:00 +0000", "2027-05-14 03:00:00 +0000"]
    );
}

#[test]
fn many_times_in_one_gap_are_one_run() {
    assert_eq!(
        runs(cron("*/20 1-3 * * *"), Berlin, "2027-03-28", 7),
        [
            "2027-03-28 01:00:00 +0100",
            "2027-03-28 01:20:00 +0100",
            "2027-03-28 01:40:00 +0100",
            "2027-03-28 03:00:00 +0200",
            "2027-03-28 03:20:00 +0200",
            "2027-03-28 03:40:00 +0200",
            "2027-03-29 01:00:00 +0200",
        ]
    );
}

#[test]
fn an_hour_that_comes_twice_runs_once() {
    assert_eq!(
        runs(cron("0 1-3 * * *"), Berlin, "2027-10-31", 4),
        [
            "2027-10-31 01:00:00 +0200",
            "2027-10-31 02:00:00 +0200",
            "2027-10-31 03:00:00 +0100",
            "2027-11-01 01:00:00 +0100",
        ]
    );
}
