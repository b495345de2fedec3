//! What monitoring asks of this node: how its sources stand, the queue, what jobs share, the disk.
//! `GET /metrics` and `backupd metrics` answer with it.
//!
//! There are as many series as sources times a constant: no job, snapshot or message is ever a
//! label. Deliberately not here: the server's own state (processor, memory, network), which
//! node_exporter tells better.

mod sources;
mod text;

use backupd_base::{Context as _, Result};
use backupd_protocol::JobState;
use chrono::{DateTime, Utc};
use rustix::fs::statvfs;

use crate::{about, agent::Agent, store::figures};
use text::Text;

/// The states of a job and their names here.
const STATES: [(JobState, &str); 5] = [
    (JobState::Pending, "pending"),
    (JobState::Running, "running"),
    (JobState::Completed, "completed"),
    (JobState::Failed, "failed"),
    (JobState::Cancelled, "cancelled"),
];

/// Everything, as it is now, in the Prometheus text format. Blocks for a few short queries.
///
/// # Errors
/// When the store or the data folder cannot be read.
pub fn text(agent: &Agent) -> Result<String> {
    let mut text = Text::default();
    node(agent, &mut text)?;
    sources::write(agent, &mut text)?;
    jobs(agent, &mut text)?;
    resources(agent, &mut text)?;
    Ok(text.finish())
}

fn node(agent: &Agent, text: &mut Text) -> Result<()> {
    text.gauge(
        "backupd_build_info",
        "The agent's version, as a label; always 1.",
    )
    .sample(&[("version", about::VERSION)], 1.0);
    // Without a daemon this is the command line's own agent, which has just begun.
    let is_daemon = agent.listening().is_some();
    let uptime = is_daemon.then(|| agent.started.elapsed().as_secs());
    text.gauge(
        "backupd_uptime_seconds",
        "Time since the daemon started; 0 when none runs.",
    )
    .sample(&[], number(uptime.unwrap_or(0)));
    text.counter(
        "backupd_journal_events_total",
        "Events in the journal so far: the number of the newest.",
    )
    .sample(&[], number(agent.journal.last()?));
    let dir = agent.store.dir();
    let disk = statvfs(dir).with_context(|| format!("read the free space of {}", dir.display()))?;
    text.gauge(
        "backupd_data_disk_free_bytes",
        "Free space on the disk of the data folder, as the agent may use it.",
    )
    .sample(&[], number(disk.f_bavail) * number(disk.f_frsize));
    text.gauge(
        "backupd_data_disk_size_bytes",
        "Size of the disk of the data folder.",
    )
    .sample(&[], number(disk.f_blocks) * number(disk.f_frsize));
    Ok(())
}

fn jobs(agent: &Agent, text: &mut Text) -> Result<()> {
    let counts = agent.store.read(figures::jobs)?;
    let mut family = text.gauge("backupd_jobs", "Jobs on record, by state.");
    for (state, name) in STATES {
        let count = counts.get(&state).copied().unwrap_or(0);
        family.sample(&[("state", name)], number(count));
    }
    Ok(())
}

fn resources(agent: &Agent, text: &mut Text) -> Result<()> {
    let view = agent.queue.resources()?;
    let kinds = [
        ("io", &view.io),
        ("network", &view.network),
        ("cpu", &view.cpu),
    ];
    let mut family = text.gauge(
        "backupd_resource_places",
        "Places at the disk (io), for uploads (network) and for compression (cpu).",
    );
    for (name, resource) in kinds {
        family.sample(&[("resource", name)], number(resource.limit.value));
    }
    let mut family = text.gauge("backupd_resource_held", "Places that are taken.");
    for (name, resource) in kinds {
        family.sample(&[("resource", name)], resource.holders.len() as f64);
    }
    let mut family = text.gauge("backupd_resource_waiting", "Who waits for a place.");
    for (name, resource) in kinds {
        family.sample(&[("resource", name)], resource.waiters.len() as f64);
    }
    Ok(())
}

/// Exact up to 2^53, which is all the format has.
fn number(value: u64) -> f64 {
    value as f64
}

/// Seconds since 1970.
fn timestamp(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}
