//! `backupd status`.

use backupd_base::Result;
use backupd_protocol::{Health, Job, Provider, Snapshot, Source, SourceSchedule};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::{Client, Output, jobs, term};

/// Say how this server stands: the daemon, the enrolment, and for every source when it was last
/// backed up and when it will be next.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backupd status
  backupd status --json | jq '.sources[] | select(.last == null).name'")]
pub(super) struct Status {}

#[derive(Serialize)]
struct Answer {
    daemon: bool,
    health: Health,
    sources: Vec<Protected>,
    providers: Vec<Provider>,
}

#[derive(Serialize)]
struct Protected {
    name: String,
    /// Its newest snapshot.
    last: Option<Snapshot>,
    /// Its newest job.
    job: Option<Job>,
    /// When it is due next.
    next: Option<DateTime<Utc>>,
}

impl Status {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<()> {
        let health: Health = client.get("/health").await?;
        let sources: Vec<Source> = client.get("/sources").await?;
        let providers: Vec<Provider> = client.get("/providers").await?;
        let schedules: Vec<SourceSchedule> = client.get("/schedule").await?;
        let mut protected = Vec::new();
        for source in sources {
            let id = &source.id;
            let snapshots: Vec<Snapshot> = client.get(&format!("/snapshots?source={id}")).await?;
            let jobs: Vec<Job> = client.get(&format!("/jobs?source={id}&limit=1")).await?;
            let schedule = schedules.iter().find(|s| s.source_id == source.id);
            protected.push(Protected {
                next: schedule.and_then(|s| s.next.first().copied()),
                name: source.name,
                last: snapshots.into_iter().next(),
                job: jobs.into_iter().next(),
            });
        }
        let answer = Answer {
            daemon: client.is_daemon(),
            health,
            sources: protected,
            providers,
        };
        output.print(&answer, human);
        Ok(())
    }
}

fn human(answer: &Answer) -> String {
    let health = &answer.health;
    let daemon = if answer.daemon {
        format!("running for {}", term::duration(health.uptime_seconds))
    } else {
        "not running; start it with: backupd run".into()
    };
    let enrolled = match &health.node_id {
        Some(id) => format!("as node {id}"),
        None => "no; show a code with: backupd pair".into(),
    };
    let stores: Vec<_> = answer.providers.iter().map(|p| p.name.as_str()).collect();
    let mut text = format!(
        "backupd {} on {} ({})\n  daemon    {daemon}\n  enrolled  {enrolled}\n  stores    {}\n\n",
        health.version,
        health.hostname,
        health.os,
        stores.join(", "),
    );
    if answer.sources.is_empty() {
        text.push_str("No source yet: find sites with backupd scan.");
        return text;
    }
    let row = |source: &Protected| {
        vec![
            source.name.clone(),
            source
                .last
                .as_ref()
                .map_or_else(|| "never".into(), |last| term::time(last.created_at)),
            source
                .last
                .as_ref()
                .map_or_else(|| "–".into(), |last| term::size(last.stored_bytes)),
            source.next.map_or_else(|| "–".into(), term::time),
            source.job.as_ref().map_or_else(|| "–".into(), jobs::state),
        ]
    };
    let rows: Vec<_> = answer.sources.iter().map(row).collect();
    text.push_str(&term::table(
        &["SOURCE", "LAST SNAPSHOT", "STORED", "NEXT RUN", "LAST JOB"],
        &rows,
    ));
    text
}
