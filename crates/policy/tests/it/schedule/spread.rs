//! The spread of runs.

use std::collections::HashSet;

use backupd_policy::schedule::{Plan, Rule};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::{cron, daily, schedule, utc};

fn spread(rule: Rule, seconds: u32, seed: &str) -> Plan {
    let mut schedule = schedule(rule, "Europe/Berlin");
    schedule.jitter_seconds = seconds;
    Plan::new(&schedule, seed).unwrap()
}

fn january() -> DateTime<Utc> {
    utc("2027-01-01T00:00:00Z")
}

#[test]
fn it_is_within_its_bound_and_differs_by_source_and_night() {
    let exact: Vec<_> = spread(daily("03:00"), 0, "a")
        .runs_after(january())
        .take(50)
        .collect();
    let mut offsets = HashSet::new();
    for seed in ["a", "b", "c"] {
        let plan = spread(daily("03:00"), 1800, seed);
        for (base, run) in exact.iter().zip(plan.runs_after(january())) {
            assert!((0..1800).contains(&(run - base).num_seconds()), "{run}");
            offsets.insert(run - base);
        }
    }
    assert!(
        offsets.len() > 100,
        "{} different offsets of 150",
        offsets.len()
    );
}

#[test]
fn it_never_reaches_the_next_run() {
    let plan = spread(cron("*/10 * * * *"), 86_400, "a");
    let exact = spread(cron("*/10 * * * *"), 0, "a");
    let bases = exact.runs_after(january());
    for (run, base) in plan
        .runs_after(january() + TimeDelta::minutes(10))
        .zip(bases)
        .take(5000)
    {
        let ahead = run - base;
        assert!(
            TimeDelta::zero() <= ahead && ahead < TimeDelta::minutes(20),
            "{run} {base}"
        );
    }
}

/// What a later version must not move: a restart into it would run twice or not at all.
#[test]
fn it_is_the_same_on_every_machine_and_in_every_version() {
    let run = spread(daily("03:00"), 1800, "a").next(january()).unwrap();
    assert_eq!(run, utc("2027-01-01T02:13:24Z"));
}

proptest! {
    /// Wherever a restart falls, the runs after it are those there would have been.
    #[test]
    fn a_restart_does_not_move_it(
        start in 0i64..1_000_000_000,
        pause in 0i64..1_000_000,
        jitter in 0u32..=86_400,
        rule in prop_oneof![
            Just(daily("02:30")), Just(cron("*/7 * * * *")), Just(cron("0 */5 * * 1,4")),
        ],
    ) {
        let plan = spread(rule, jitter, "seed");
        let start = january() + TimeDelta::seconds(start);
        let restart = start + TimeDelta::seconds(pause);
        let through: Vec<_> = plan.runs_after(start).skip_while(|run| *run <= restart).take(5).collect();
        let anew: Vec<_> = plan.runs_after(restart).take(5).collect();
        prop_assert_eq!(&through, &anew);
        prop_assert!(anew.windows(2).all(|two| two[0] < two[1]));
    }
}
