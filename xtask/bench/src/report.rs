//! Medians of the runs, as a table for people, as a list for programs, and in the documents.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::measure::Cost;

/// The runs of one side.
pub struct Runs {
    /// Its name.
    pub name: &'static str,
    /// What each backup cost.
    pub backup: Vec<Cost>,
    /// What each restore cost.
    pub restore: Vec<Cost>,
}

/// One comparison.
#[derive(Debug, Serialize, PartialEq)]
pub struct Comparison {
    /// What is compared: "backup: wall time".
    pub name: String,
    /// Unit of both values.
    pub unit: &'static str,
    /// This agent's median.
    pub ours: f64,
    /// The other side, or "limit".
    pub peer: String,
    /// Its median, or the limit.
    pub peer_value: f64,
    /// Ours by theirs: below one is better.
    pub ratio: f64,
    /// The highest ratio that is aimed at.
    pub goal: f64,
}

/// An amount that a run costs.
struct Amount {
    name: &'static str,
    unit: &'static str,
    of: fn(&Cost) -> f64,
}

const MEGABYTE: f64 = 1e6;

const AMOUNTS: [Amount; 4] = [
    Amount {
        name: "wall time",
        unit: "s",
        of: |cost| cost.wall,
    },
    Amount {
        name: "processor time",
        unit: "s",
        of: |cost| cost.cpu,
    },
    Amount {
        name: "peak memory",
        unit: "MB",
        of: |cost| cost.memory as f64 / MEGABYTE,
    },
    Amount {
        name: "extra disk",
        unit: "MB",
        of: |cost| cost.disk as f64 / MEGABYTE,
    },
];

/// Our limits for a server that does other work beside: memory in MB, and disk in MB above the
/// compressed dump.
const MEMORY_LIMIT: f64 = 150.0;
const DISK_LIMIT: f64 = 64.0;

/// The peer of what must hold whatever the others do.
const LIMIT: &str = "limit";

/// The operations and where their runs are.
const OPERATIONS: [(&str, RunsOf); 2] = [
    ("backup", |runs| &runs.backup),
    ("restore", |runs| &runs.restore),
];

type RunsOf = fn(&Runs) -> &[Cost];

/// Ours, the first of the sides, against each of the others, and against the limits. `dump` is the
/// size of the compressed dump.
pub fn compare(sides: &[Runs], dump: u64) -> Vec<Comparison> {
    let (ours, peers) = sides.split_first().expect("there is this agent's side");
    let mut list = Vec::new();
    for (operation, runs) in OPERATIONS {
        let mut add = |amount: &Amount, peer: &str, peer_value: f64| {
            let ours = median(runs(ours), amount.of);
            list.push(Comparison {
                name: format!("{operation}: {}", amount.name),
                unit: amount.unit,
                ours: rounded(ours),
                peer: peer.to_owned(),
                peer_value: rounded(peer_value),
                ratio: rounded(ours / peer_value),
                goal: 1.0,
            });
        };
        // Extra disk has a limit and no peer: those that stream need none.
        for amount in &AMOUNTS[..3] {
            for peer in peers {
                add(amount, peer.name, median(runs(peer), amount.of));
            }
        }
        add(&AMOUNTS[2], LIMIT, MEMORY_LIMIT);
        add(&AMOUNTS[3], LIMIT, DISK_LIMIT + dump as f64 / MEGABYTE);
    }
    list
}

/// Medians as a Markdown table, one row for each side and operation.
pub fn table(sides: &[Runs]) -> String {
    let mut text = String::from("| | |");
    for amount in &AMOUNTS {
        let _ = write!(text, " {} |", amount.name);
    }
    text.push_str("\n| --- | --- | ---: | ---: | ---: | ---: |\n");
    for (operation, runs) in OPERATIONS {
        for side in sides {
            let _ = write!(text, "| {operation} | {} |", side.name);
            for amount in &AMOUNTS {
                let value = median(runs(side), amount.of);
                let digits = usize::from(amount.unit == "s");
                let _ = write!(text, " {value:.digits$} {} |", amount.unit);
            }
            text.push('\n');
        }
    }
    text
}

/// A sentence on each limit: held or not.
pub fn limits(comparisons: &[Comparison]) -> String {
    let mut text = String::new();
    for one in comparisons.iter().filter(|one| one.peer == LIMIT) {
        let held = if one.ratio <= one.goal {
            "within"
        } else {
            "OVER"
        };
        let _ = writeln!(
            text,
            "- {}: {:.0} {}, {held} the limit of {:.0} {}.",
            one.name, one.ours, one.unit, one.peer_value, one.unit
        );
    }
    text
}

/// Puts `text` between the two marks in a document.
///
/// # Errors
/// When the document or its marks are not there.
pub fn write(document: &Path, text: &str) -> Result<()> {
    const START: &str = "<!-- measured: begin -->\n";
    const END: &str = "<!-- measured: end -->";
    let what = || format!("write the numbers into {}", document.display());
    let old = fs::read_to_string(document).with_context(what)?;
    let (before, rest) = old.split_once(START).with_context(what)?;
    let (_, after) = rest.split_once(END).with_context(what)?;
    fs::write(document, format!("{before}{START}\n{text}\n{END}{after}")).with_context(what)
}

fn median(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

/// Three digits behind the point: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(name: &'static str, walls: &[f64], memory: u64) -> Runs {
        let cost = |wall: &f64| Cost {
            wall: *wall,
            cpu: 2.0 * wall,
            memory,
            disk: 30_000_000,
        };
        let costs: Vec<Cost> = walls.iter().map(cost).collect();
        Runs {
            name,
            backup: costs.clone(),
            restore: costs,
        }
    }

    #[test]
    fn one_slow_run_does_not_decide() {
        let ours = runs("ours", &[2.0, 9.0, 1.0], 75_000_000);
        let peer = runs("peer", &[4.0, 2.0], 300_000_000);
        let list = compare(&[ours, peer], 20_000_000);
        let find = |name: &str, peer: &str| {
            list.iter()
                .find(|one| one.name == name && one.peer == peer)
                .unwrap()
        };
        let wall = find("backup: wall time", "peer");
        assert_eq!((wall.ours, wall.peer_value, wall.ratio), (2.0, 3.0, 0.667));
        assert_eq!(find("restore: peak memory", "limit").ratio, 0.5);
        let disk = find("backup: extra disk", "limit");
        assert_eq!((disk.ours, disk.peer_value), (30.0, 84.0));
        assert!(limits(&list).contains("backup: extra disk: 30 MB, within the limit of 84 MB."));
        let fat = compare(&[runs("ours", &[1.0], 151_000_000)], 0);
        assert!(limits(&fat).contains("restore: peak memory: 151 MB, OVER the limit of 150 MB."));
    }

    #[test]
    fn numbers_replace_numbers_only() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("benchmarks.md");
        fs::write(
            &document,
            "# Numbers\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nNotes\n",
        )
        .unwrap();
        for text in ["first", "second"] {
            write(&document, text).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&document).unwrap(),
            "# Numbers\n<!-- measured: begin -->\n\nsecond\n<!-- measured: end -->\nNotes\n"
        );
        fs::write(&document, "no marks").unwrap();
        assert!(write(&document, "third").is_err());
    }
}
