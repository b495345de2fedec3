//! How each source stands. Two of the same name are told apart by their ids.

use std::collections::HashMap;

use backupd_base::{Result, SourceId};
use backupd_protocol::{Source, SourceSchedule};

use super::{STATES, number, text::Text, timestamp};
use crate::{
    agent::Agent,
    store::figures::{self, Backups, Kept},
};

/// What is known of one source; what never was is absent.
struct Known {
    source: Source,
    backups: Option<Backups>,
    kept: Option<Kept>,
    schedule: Option<SourceSchedule>,
}

impl Known {
    fn labels(&self) -> [(&str, &str); 2] {
        [
            ("source_id", self.source.id.as_str()),
            ("source", &self.source.name),
        ]
    }
}

/// Writes all there is on the sources.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn write(agent: &Agent, text: &mut Text) -> Result<()> {
    let known = read(agent)?;
    states(&known, text);
    let mut each = |name, help, value: fn(&Known) -> Option<f64>| {
        let mut family = text.gauge(name, help);
        for known in &known {
            if let Some(value) = value(known) {
                family.sample(&known.labels(), value);
            }
        }
    };
    each(
        "backupd_source_last_success_timestamp_seconds",
        "When the last backup completed; 0 when none ever did.",
        |known| Some(last_success(known)),
    );
    each(
        "backupd_source_last_success_duration_seconds",
        "How long the last completed backup took.",
        |known| known.backups.as_ref()?.success.map(|s| s.seconds),
    );
    each(
        "backupd_source_failures_in_a_row",
        "Failed attempts since the last completed backup.",
        |known| Some(known.backups.as_ref().map_or(0.0, |b| number(b.failures))),
    );
    each(
        "backupd_source_last_snapshot_content_bytes",
        "Bytes of the files and dumps in the newest snapshot.",
        |known| known.kept.as_ref().map(|kept| number(kept.content_bytes)),
    );
    each(
        "backupd_source_last_snapshot_stored_bytes",
        "Size of the newest snapshot's encrypted archive.",
        |known| known.kept.as_ref().map(|kept| number(kept.stored_bytes)),
    );
    each(
        "backupd_source_last_snapshot_files",
        "Entries in the newest snapshot.",
        |known| known.kept.as_ref().map(|kept| number(kept.files)),
    );
    each(
        "backupd_source_snapshots",
        "Snapshots in the catalogue.",
        |known| Some(known.kept.as_ref().map_or(0.0, |kept| number(kept.count))),
    );
    each(
        "backupd_source_next_run_timestamp_seconds",
        "When the source is due next, by its schedule.",
        |known| {
            known
                .schedule
                .as_ref()?
                .next
                .first()
                .copied()
                .map(timestamp)
        },
    );
    each(
        "backupd_source_last_due_timestamp_seconds",
        "When the source was due last, whatever came of it.",
        |known| Some(timestamp(known.schedule.as_ref()?.last.first()?.due)),
    );
    Ok(())
}

fn states(known: &[Known], text: &mut Text) {
    let mut family = text.gauge(
        "backupd_source_last_job_state",
        "1 for the state of the newest backup job, 0 for the others.",
    );
    for known in known {
        let newest = known.backups.as_ref().map(|backups| backups.state);
        let [id, name] = known.labels();
        for (state, label) in STATES {
            let is_it = newest == Some(state);
            family.sample(&[id, name, ("state", label)], f64::from(u8::from(is_it)));
        }
    }
}

/// Of a job, or of the newest snapshot where its job is not on record.
fn last_success(known: &Known) -> f64 {
    let of_job = known.backups.as_ref().and_then(|b| b.success);
    let of_snapshot = known.kept.as_ref().map(|kept| kept.newest_at);
    of_job
        .map(|success| success.at)
        .or(of_snapshot)
        .map_or(0.0, timestamp)
}

fn read(agent: &Agent) -> Result<Vec<Known>> {
    let mut backups = agent.store.read(figures::backups)?;
    let mut kept = agent.store.read(figures::kept)?;
    let schedules = agent.scheduler.list()?.into_iter();
    let mut schedules: HashMap<SourceId, SourceSchedule> =
        schedules.map(|s| (s.source_id.clone(), s)).collect();
    let sources = agent.inventory.sources()?;
    let known = sources.into_iter().map(|source| Known {
        backups: backups.remove(&source.id),
        kept: kept.remove(&source.id),
        schedule: schedules.remove(&source.id),
        source,
    });
    Ok(known.collect())
}
