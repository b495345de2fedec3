//! What is refused, and with which words.

use backupd_base::Code;
use backupd_policy::schedule::{Plan, Rule, Schedule};

use super::{cron, daily, monthly, schedule, weekly};

fn refusal(schedule: &Schedule) -> String {
    let error = Plan::new(schedule, "seed").unwrap_err();
    assert_eq!(error.code(), Code::Invalid, "{error}");
    error.to_string()
}

#[test]
fn the_value_and_what_is_allowed_are_named() {
    for at in ["24:00", "3:00", "03:60", "03:00:00", "+3:00", "", "noon"] {
        let said = refusal(&schedule(daily(at), "UTC"));
        assert!(said.contains(&format!("{at:?}")), "{said}");
        assert!(said.contains("allowed is HH:MM"), "{said}");
    }
    for day in [0, 32] {
        let said = refusal(&schedule(monthly(day, "03:00"), "UTC"));
        assert!(
            said.contains(&day.to_string()) && said.contains("1 to 31"),
            "{said}"
        );
    }
    let said = refusal(&schedule(weekly(&[], "03:00"), "UTC"));
    assert!(said.contains("monday to sunday"), "{said}");
    for zone in ["Europe/Atlantis", "", "CEST", "europe/berlin", "+02:00"] {
        let said = refusal(&schedule(daily("03:00"), zone));
        assert!(said.contains(&format!("{zone:?}")), "{said}");
        assert!(said.contains("Europe/Berlin"), "{said}");
    }
    let mut wide = schedule(daily("03:00"), "UTC");
    wide.jitter_seconds = 86_401;
    let said = refusal(&wide);
    assert!(
        said.contains("86401") && said.contains("0 to 86400"),
        "{said}"
    );
}

#[test]
fn a_cron_expression_must_be_one_and_match_some_day() {
    let long = "0,".repeat(200);
    for expression in [
        "",
        "* * * *",
        "0 0 3 * * *",
        "60 3 * * *",
        "0 24 * * *",
        "0 3 32 * *",
        "0 3 * 13 *",
        "0 3 * * 8",
        "every night",
        "@sometimes",
        "0 3 30 2 *",
        "0 3 31 4,6,9,11 *",
        &long,
    ] {
        let said = refusal(&schedule(cron(expression), "UTC"));
        assert!(said.contains(&format!("{expression:?}")), "{said}");
        assert!(said.contains("five fields"), "{said}");
    }
    let said = refusal(&schedule(cron("0 3 30 2 *"), "UTC"));
    assert!(said.contains("no date matches it"), "{said}");
}

#[test]
fn it_reads_as_it_is_written() {
    let text = r#"{"rule":{"type":"weekly","days":["monday","sunday"],"at":"03:00"},"time_zone":"Europe/Berlin","jitter_seconds":1800}"#;
    let read: Schedule = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    let bare: Schedule =
        serde_json::from_str(r#"{"rule":{"type":"cron","expression":"@daily"}}"#).unwrap();
    assert_eq!(bare, schedule(cron("@daily"), "UTC"));
    let mistyped = r#"{"rule":{"type":"daily","at":"03:00","days":[]}}"#;
    assert!(serde_json::from_str::<Schedule>(mistyped).is_err());
    assert!(serde_json::from_str::<Rule>(r#"{"type":"yearly","at":"03:00"}"#).is_err());
}
