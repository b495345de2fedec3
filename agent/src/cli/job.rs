//! Follows a job to its end.

use std::time::Duration;

use backupd_base::{Code, Context, Error, JobId, Result};
use backupd_protocol::{Job, JobState, StageState};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::{Client, Output, term};

/// How often it is looked at: as often as the agent tells.
const LOOK: Duration = Duration::from_millis(250);

/// Waits for the end of a job and shows how far it is. Ctrl-C stops the job, and waits until it has
/// cleaned up.
///
/// # Errors
/// What the job failed with; `Cancelled` when it was stopped.
pub(super) async fn follow(client: &Client, output: Output, id: &JobId) -> Result<Job> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut line = term::Line::new(!output.json);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = interrupt.recv() => {
                line.show("stopping …");
                // One that ended meanwhile cannot be stopped any more.
                let stopped: Result<Job> = client.post(&format!("/jobs/{id}/stop"), "{}".into()).await;
                drop(stopped);
            }
        }
        let job: Job = client.get(&format!("/jobs/{id}")).await?;
        if !job.state.is_final() {
            line.show(&moving(&job));
            continue;
        }
        line.clear();
        return ended(job);
    }
}

fn ended(job: Job) -> Result<Job> {
    match job.state {
        JobState::Cancelled => Err(Error::new(Code::Cancelled, "the job was stopped")),
        JobState::Failed => Err(match job.error {
            Some(error) => Error::new(error.code, error.message),
            None => Error::new(Code::Internal, "the job failed"),
        }),
        _ => Ok(job),
    }
}

fn moving(job: &Job) -> String {
    let stages: Vec<&str> = job
        .stages
        .iter()
        .filter(|stage| stage.state == StageState::Running)
        .map(|stage| stage.name.as_str())
        .collect();
    let what = match stages.as_slice() {
        [] => "waiting".to_owned(),
        names => names.join(" + "),
    };
    let done = term::size(job.progress.done_bytes);
    match job.progress.total_bytes {
        Some(total) if total > 0 => {
            let percent = (job.progress.done_bytes.min(total) as f64 / total as f64 * 100.0) as u64;
            format!(
                "{}: {what}  {done} of {} ({percent}%)",
                job.source_name,
                term::size(total)
            )
        }
        _ => format!("{}: {what}  {done}", job.source_name),
    }
}

/// What a job warned of, as lines.
pub(super) fn warnings(job: &Job) -> String {
    job.warnings
        .iter()
        .map(|warning| format!("\n  warning: {warning}"))
        .collect()
}
