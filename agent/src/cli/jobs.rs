//! `backupd jobs`.

use backupd_base::Result;
use backupd_protocol::{Job, JobKind, JobState};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use super::{Client, Output, job, source, term};

/// List the jobs of this server, newest first; stop, retry or reset one.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  backupd jobs                    the newest jobs
  backupd jobs shop               those of one source, by its name, path or id
  backupd jobs retry 0192…        try a failed one again, and wait for it
  backupd jobs --json | jq -r '.[] | select(.state == \"FAILED\") | .id'"
)]
pub(super) struct Jobs {
    /// Name, path or id of a source.
    #[arg(value_name = "SOURCE")]
    source: Option<String>,
    /// So many at most.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// Stop a job that runs or waits; a retry that is stopped ends its chain.
    #[command(after_help = "\
Examples:
  backupd jobs stop 0192…
  backupd jobs stop 0192… --json")]
    Stop(Named),
    /// Try a failed or stopped backup again now, and wait for it.
    ///
    /// Where some providers have the snapshot already, only the others are sent to. A retry that
    /// waits for its time is brought forward.
    #[command(after_help = "\
Examples:
  backupd jobs retry 0192…
  backupd jobs retry 0192… --json")]
    Retry(Named),
    /// End a job that does not end by itself.
    #[command(after_help = "\
Examples:
  backupd jobs reset 0192…
  backupd jobs reset 0192… --json")]
    Reset(Named),
}

/// Which job.
#[derive(Args)]
struct Named {
    /// The job's id, as `backupd jobs` lists it.
    #[arg(value_name = "JOB")]
    job: String,
}

impl Jobs {
    /// Whether jobs have to run for it: a retry is waited for.
    pub(super) fn needs_jobs(&self) -> bool {
        matches!(self.act, Some(Act::Retry(_)))
    }

    pub(super) async fn run(self, client: &Client, output: Output) -> Result<()> {
        match self.act {
            None => {
                let of = match &self.source {
                    Some(named) => format!("&source={}", source::find(client, named).await?.id),
                    None => String::new(),
                };
                let path = format!("/jobs?limit={}{of}", self.limit);
                let list: Vec<Job> = client.get(&path).await?;
                output.print(&list, |list| human(list));
            }
            Some(Act::Stop(named)) => {
                let job = named.act(client, "stop").await?;
                output.print(&job, |job| match job.state {
                    JobState::Cancelled => format!("{}: stopped", job.source_name),
                    _ => format!("{}: stops as soon as it has cleaned up", job.source_name),
                });
            }
            Some(Act::Retry(named)) => {
                let begun = named.act(client, "retry").await?;
                let done = job::follow(client, output, &begun.id).await?;
                output.print(&done, |done| {
                    format!("{}: done{}", done.source_name, job::warnings(done))
                });
            }
            Some(Act::Reset(named)) => {
                let job = named.act(client, "reset").await?;
                output.print(&job, |job| format!("{}: {}", job.source_name, state(job)));
            }
        }
        Ok(())
    }
}

impl Named {
    async fn act(&self, client: &Client, verb: &str) -> Result<Job> {
        client
            .post(&format!("/jobs/{}/{verb}", self.job), "{}".into())
            .await
    }
}

fn human(list: &[Job]) -> String {
    if list.is_empty() {
        return "There was no job yet.".into();
    }
    let row = |job: &Job| {
        vec![
            job.id.to_string(),
            job.source_name.clone(),
            match job.kind {
                JobKind::Backup => "backup".to_owned(),
                JobKind::Restore => "restore".to_owned(),
            },
            term::time(job.created_at),
            took(job, Utc::now()),
            state(job),
        ]
    };
    let rows: Vec<_> = list.iter().map(row).collect();
    term::table(
        &["JOB", "SOURCE", "KIND", "ASKED FOR", "TOOK", "STATE"],
        &rows,
    )
}

fn took(job: &Job, now: DateTime<Utc>) -> String {
    let Some(started) = job.started_at else {
        return "–".into();
    };
    let took = job.finished_at.unwrap_or(now) - started;
    term::duration(took.num_seconds().max(0).unsigned_abs())
}

/// Where a job is, in words.
pub(super) fn state(job: &Job) -> String {
    let state = match (job.state, &job.error) {
        (JobState::Failed, Some(error)) => format!("failed: {}", error.message),
        (JobState::Failed, None) => "failed".into(),
        (JobState::Completed, _) => "completed".into(),
        (JobState::Cancelled, _) => "stopped".into(),
        (JobState::Running, _) => "running".into(),
        (JobState::Pending, _) => match job.not_before {
            Some(at) => format!("retries at {}", at.format("%H:%M UTC")),
            None => "waiting".into(),
        },
    };
    match job.attempt {
        1 => state,
        attempt if job.is_waiting() => {
            format!("{state}, attempt {attempt} of {}", Job::MOST_ATTEMPTS)
        }
        attempt => format!("{state} (attempt {attempt})"),
    }
}
