//! What must hold of every decision, and what a few of them are.

use std::collections::HashSet;

use backupd_base::{Code, SnapshotId};
use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use proptest::{collection::vec, option, prelude::*};

use super::*;

const NOTHING: Retention = Retention {
    keep_last: 0,
    daily: 0,
    weekly: 0,
    monthly: 0,
    yearly: 0,
    keep_within_days: None,
    quota_bytes: None,
};

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 15, 12, 0, 0).unwrap()
}

fn good(id: &str, created_at: DateTime<Utc>) -> Candidate {
    Candidate {
        id: id.parse().unwrap(),
        created_at,
        stored_bytes: 10,
        verified: true,
        held: false,
        known: true,
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn kept(plan: &Plan) -> HashSet<SnapshotId> {
    let kept = plan.verdicts.iter().filter(|v| v.decision.keeps());
    kept.map(|v| v.id.clone()).collect()
}

fn names(plan: &Plan) -> Vec<&str> {
    let kept = plan.verdicts.iter().filter(|v| v.decision.keeps());
    kept.map(|v| v.id.as_str()).collect()
}

fn reasons<'a>(plan: &'a Plan, id: &str) -> &'a [KeepReason] {
    let verdict = plan.verdicts.iter().find(|v| v.id.as_str() == id).unwrap();
    match &verdict.decision {
        Decision::Keep { reasons } => reasons,
        Decision::Remove { .. } => &[],
    }
}

#[test]
fn a_rule_that_keeps_nothing_is_refused() {
    assert_eq!(NOTHING.check().unwrap_err().code(), Code::Invalid);
    let no_days = Retention {
        keep_within_days: Some(0),
        ..NOTHING
    };
    assert_eq!(no_days.check().unwrap_err().code(), Code::Invalid);
    let no_room = Retention {
        quota_bytes: Some(0),
        ..Retention::default()
    };
    assert_eq!(no_room.check().unwrap_err().code(), Code::Invalid);
    Retention::default().check().unwrap();
    let yearly = Retention {
        yearly: 1,
        ..NOTHING
    };
    yearly.check().unwrap();
}

#[test]
fn the_default_keeps_days_weeks_months_and_years() {
    // Every six hours for three years, the newest at 06:00 of the day.
    let newest = at("2026-03-15T06:00:00Z");
    let all: Vec<_> = (0..3 * 365 * 4)
        .map(|n| good(&format!("s{n}"), newest - TimeDelta::hours(6 * n)))
        .collect();
    let plan = decide(&Retention::default(), &all, Tz::UTC, now());
    let made: Vec<_> = all
        .iter()
        .filter(|c| kept(&plan).contains(&c.id))
        .map(|c| c.created_at.format("%m-%d %H").to_string())
        .collect();
    let (days, weeks, months) = (&made[..15], &made[15..21], &made[21..]);
    // Three last, of which one is of the day before; the newest of each day.
    assert_eq!(days[..3], ["03-15 06", "03-15 00", "03-14 18"]);
    assert_eq!(days[14], "03-02 18");
    // The weeks before those days, by their Sundays, with the end of February among them.
    assert_eq!(
        weeks,
        [
            "03-01 18", "02-28 18", "02-22 18", "02-15 18", "02-08 18", "02-01 18"
        ]
    );
    // The month before, the last Sunday of the eight weeks, and on to a year.
    assert_eq!(months.len(), 11);
    assert_eq!(months[0], "01-31 18");
    assert_eq!(months[10], "04-30 18");
}

#[test]
fn a_day_is_one_of_the_zone() {
    // 23:30 and 00:30 of two days in Kolkata are of one day in UTC.
    let all = [
        good("before", at("2026-03-10T18:00:00Z")),
        good("after", at("2026-03-10T19:00:00Z")),
    ];
    let rule = Retention {
        daily: 5,
        ..NOTHING
    };
    assert_eq!(names(&decide(&rule, &all, Tz::UTC, now())), ["after"]);
    let there = decide(&rule, &all, Tz::Asia__Kolkata, now());
    assert_eq!(names(&there), ["before", "after"]);
}

#[test]
fn a_week_may_lie_in_two_years() {
    // ISO week 1 of 2026 is 29 December 2025 to 4 January.
    let all = [
        good("monday", at("2025-12-29T10:00:00Z")),
        good("sunday", at("2026-01-04T10:00:00Z")),
    ];
    let rule = Retention {
        weekly: 5,
        ..NOTHING
    };
    assert_eq!(names(&decide(&rule, &all, Tz::UTC, now())), ["sunday"]);
}

#[test]
fn a_count_is_of_days_that_have_one() {
    let all = [
        good("old", at("2025-01-01T10:00:00Z")),
        good("older", at("2024-01-01T10:00:00Z")),
        good("oldest", at("2023-01-01T10:00:00Z")),
    ];
    let rule = Retention {
        daily: 2,
        ..NOTHING
    };
    let plan = decide(&rule, &all, Tz::UTC, now());
    assert_eq!(names(&plan), ["old", "older"]);
}

#[test]
fn within_counts_from_the_newest_and_not_from_a_clock_that_jumped() {
    let all = [
        good("a", at("2026-03-01T10:00:00Z")),
        good("b", at("2026-02-27T10:00:00Z")),
        good("c", at("2026-02-01T10:00:00Z")),
    ];
    let rule = Retention {
        keep_within_days: Some(7),
        ..NOTHING
    };
    for now in [now(), at("2126-01-01T00:00:00Z")] {
        assert_eq!(names(&decide(&rule, &all, Tz::UTC, now)), ["a", "b"]);
    }
    let forever = Retention {
        keep_within_days: Some(u32::MAX),
        ..NOTHING
    };
    assert_eq!(kept(&decide(&forever, &all, Tz::UTC, now())).len(), 3);
}

#[test]
fn a_thousand_planted_snapshots_push_out_no_good_one() {
    let genuine: Vec<_> = (0..60)
        .map(|n| good(&format!("good{n}"), now() - TimeDelta::days(n)))
        .collect();
    let rule = Retention {
        quota_bytes: Some(10 * 60),
        ..Retention::default()
    };
    let alone = kept(&decide(&rule, &genuine, Tz::UTC, now()));
    let mut all = genuine;
    for n in 0..1000 {
        let past = n % 2 == 0;
        let away = TimeDelta::minutes(n * 90);
        all.push(Candidate {
            verified: !past,
            stored_bytes: 1 << 30,
            ..good(
                &format!("zfake{n}"),
                if past { now() - away } else { now() + away },
            )
        });
    }
    let plan = decide(&rule, &all, Tz::UTC, now());
    assert!(alone.is_subset(&kept(&plan)));
    assert_eq!(reasons(&plan, "zfake1"), [KeepReason::Future]);
}

#[test]
fn unproven_ones_are_thinned_among_themselves() {
    let mut all = vec![good("good", now())];
    for n in 1..5 {
        all.push(Candidate {
            verified: false,
            ..good(&format!("s{n}"), now() - TimeDelta::days(n))
        });
    }
    let rule = Retention {
        keep_last: 2,
        ..NOTHING
    };
    let plan = decide(&rule, &all, Tz::UTC, now());
    assert_eq!(names(&plan), ["good", "s1", "s2"]);
}

#[test]
fn while_nothing_is_proven_nothing_goes() {
    let all: Vec<_> = (0..9)
        .map(|n| Candidate {
            verified: false,
            ..good(&format!("s{n}"), now() - TimeDelta::hours(n))
        })
        .collect();
    let rule = Retention {
        keep_last: 1,
        quota_bytes: Some(1),
        ..NOTHING
    };
    let plan = decide(&rule, &all, Tz::UTC, now());
    assert_eq!(kept(&plan).len(), 9);
    assert_eq!(plan.over_quota_bytes, 89);
    assert_eq!(reasons(&plan, "s0"), [KeepReason::NotYetProven]);
}

#[test]
fn a_quota_takes_the_oldest_and_says_when_it_cannot_be_met() {
    let mut all: Vec<_> = (0..5)
        .map(|n| good(&format!("s{n}"), now() - TimeDelta::days(n)))
        .collect();
    all[4].held = true;
    let rule = Retention {
        daily: 9,
        quota_bytes: Some(35),
        ..NOTHING
    };
    let plan = decide(&rule, &all, Tz::UTC, now());
    assert_eq!(names(&plan), ["s0", "s1", "s4"]);
    let decision = &plan.verdicts[3].decision;
    let reason = RemoveReason::Quota;
    assert_eq!(*decision, Decision::Remove { reason });
    assert_eq!((plan.kept_bytes, plan.freed_bytes), (30, 20));
    assert_eq!(plan.over_quota_bytes, 0);

    let tight = Retention {
        quota_bytes: Some(15),
        ..rule
    };
    let plan = decide(&tight, &all, Tz::UTC, now());
    assert_eq!(names(&plan), ["s0", "s4"]);
    assert_eq!(plan.over_quota_bytes, 5);
}

fn rules() -> impl Strategy<Value = Retention> {
    let counts = (0..5u32, 0..8u32, 0..5u32, 0..5u32, 0..3u32);
    (counts, option::of(0..40u32)).prop_map(|((keep_last, daily, weekly, monthly, yearly), d)| {
        Retention {
            keep_last,
            daily,
            weekly,
            monthly,
            yearly,
            keep_within_days: d,
            quota_bytes: None,
        }
    })
}

fn with_quota() -> impl Strategy<Value = Retention> {
    (rules(), option::of(1..2000u64)).prop_map(|(rule, quota_bytes)| Retention {
        quota_bytes,
        ..rule
    })
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (
        // Minutes before now; some are ahead of it, and some at the same time.
        prop_oneof![(-3..5i64).prop_map(|n| n * 500), -3000..900_000i64],
        0..100u64,
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.9),
    );
    vec(one, 0..60).prop_map(|all| {
        let candidate = |(n, (ago, stored_bytes, verified, held, known)): (usize, _)| Candidate {
            id: format!("s{:02}", n * 37 % 61).parse().unwrap(),
            created_at: now() - TimeDelta::minutes(ago),
            stored_bytes,
            verified,
            held,
            known,
        };
        all.into_iter().enumerate().map(candidate).collect()
    })
}

fn zones() -> impl Strategy<Value = Tz> {
    prop::sample::select(vec![
        Tz::UTC,
        Tz::Europe__Berlin,
        Tz::Pacific__Apia,
        Tz::America__St_Johns,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_protected_never_goes(rule in with_quota(), all in candidates(), zone in zones()) {
        let kept = kept(&decide(&rule, &all, zone, now()));
        let newest = all
            .iter()
            .filter(|c| c.verified && c.known && c.created_at <= now())
            .max_by_key(|c| (c.created_at, c.id.clone()));
        for c in &all {
            let newer = newest.is_none_or(|n| c.created_at >= n.created_at && c.id >= n.id);
            if c.held || !c.known || c.created_at > now() || newer {
                prop_assert!(kept.contains(&c.id), "{c:?}");
            }
        }
    }

    #[test]
    fn twice_removes_nothing_more(rule in with_quota(), all in candidates(), zone in zones()) {
        let once = kept(&decide(&rule, &all, zone, now()));
        let left: Vec<_> = all.into_iter().filter(|c| once.contains(&c.id)).collect();
        prop_assert_eq!(kept(&decide(&rule, &left, zone, now())), once);
    }

    #[test]
    fn the_order_does_not_matter(
        rule in with_quota(),
        (all, mixed) in candidates().prop_flat_map(|c| (Just(c.clone()), Just(c).prop_shuffle())),
    ) {
        let one = decide(&rule, &all, Tz::Europe__Berlin, now());
        let other = decide(&rule, &mixed, Tz::Europe__Berlin, now());
        prop_assert_eq!(kept(&one), kept(&other));
        prop_assert_eq!(one.freed_bytes, other.freed_bytes);
    }

    #[test]
    fn a_larger_rule_keeps_no_less(
        rule in rules(),
        more in rules(),
        all in candidates(),
        zone in zones(),
    ) {
        let days = rule.keep_within_days.unwrap_or(0) + more.keep_within_days.unwrap_or(0);
        let larger = Retention {
            keep_last: rule.keep_last + more.keep_last,
            daily: rule.daily + more.daily,
            weekly: rule.weekly + more.weekly,
            monthly: rule.monthly + more.monthly,
            yearly: rule.yearly + more.yearly,
            keep_within_days: Some(days),
            quota_bytes: None,
        };
        let less = kept(&decide(&rule, &all, zone, now()));
        prop_assert!(less.is_subset(&kept(&decide(&larger, &all, zone, now()))));
    }

    #[test]
    fn bytes_and_reasons_add_up(rule in with_quota(), all in candidates(), zone in zones()) {
        let plan = decide(&rule, &all, zone, now());
        prop_assert_eq!(plan.verdicts.len(), all.len());
        let total: u64 = all.iter().map(|c| c.stored_bytes).sum();
        prop_assert_eq!(plan.kept_bytes + plan.freed_bytes, total);
        for (verdict, candidate) in plan.verdicts.iter().zip(&all) {
            prop_assert_eq!(&verdict.id, &candidate.id);
            if let Decision::Keep { reasons } = &verdict.decision {
                prop_assert!(!reasons.is_empty());
                prop_assert_eq!(reasons.len(), reasons.iter().collect::<HashSet<_>>().len());
            }
        }
    }
}
