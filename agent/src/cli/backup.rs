//! `backupd backup`.

use backupd_base::{Code, Error, Result};
use backupd_protocol::{Job, JobCreate, Snapshot, Source};
use clap::Args;
use serde_json::json;

use super::{Client, Output, job, source, term};

/// Back up a source now, and wait for it.
///
/// Works without a daemon and without a master: sources, stores and recipients are then those of the
/// configuration file. Ctrl-C stops the job; nothing half-done is left behind.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backupd backup shop                 by its name
  backupd backup /var/www/shop        by its path
  backupd backup --all                everything, one after the other

A configuration for a server by hand (/etc/backupd/config):
  recipients = [\"age1…owner\", \"age1…recovery\"]      # made with age-keygen, kept elsewhere
  [[source]]
  name = \"shop\"
  path = \"/var/www/shop\"
  providers = [\"This server\"]")]
pub(super) struct Backup {
    /// Name, path or id of the source.
    #[arg(value_name = "SOURCE", required_unless_present = "all")]
    source: Option<String>,
    /// Back up every source.
    #[arg(long, conflicts_with = "source")]
    all: bool,
    /// 10 (first) to 0 (last).
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=10))]
    priority: u8,
}

impl Backup {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<()> {
        let sources: Vec<Source> = match &self.source {
            Some(named) => vec![source::find(client, named).await?],
            None => client.get("/sources").await?,
        };
        if sources.is_empty() {
            return Err(Error::new(Code::NotFound, "this server has no source yet"));
        }
        let mut jobs = Vec::new();
        let mut failed = None;
        for source in &sources {
            match self.one(client, output, source).await {
                Ok(done) => {
                    if !output.json {
                        term::print(&human(client, &done).await?);
                    }
                    jobs.push(done);
                }
                Err(error) if sources.len() == 1 || error.code() == Code::Cancelled => {
                    return Err(error);
                }
                Err(error) => {
                    let error = Error::caused(format!("back up {:?}", source.name), error);
                    term::complain(&error);
                    failed = Some(error);
                }
            }
        }
        if output.json {
            output.print(&jobs, |_| String::new());
        }
        match failed {
            None => Ok(()),
            Some(error) => Err(Error::new(error.code(), "not everything was backed up")),
        }
    }

    async fn one(&self, client: &Client, output: Output, source: &Source) -> Result<Job> {
        let create = JobCreate {
            source_id: source.id.clone(),
            priority: Some(self.priority),
        };
        let job: Job = client
            .post("/jobs", json!(create).to_string().into())
            .await?;
        job::follow(client, output, &job.id).await
    }
}

async fn human(client: &Client, job: &Job) -> Result<String> {
    let Some(id) = &job.snapshot_id else {
        return Ok(format!("{}: done{}", job.source_name, job::warnings(job)));
    };
    let snapshot: Snapshot = client.get(&format!("/snapshots/{id}")).await?;
    Ok(format!(
        "{}: snapshot {id}\n  {} files, {} of content, {} stored{}",
        job.source_name,
        snapshot.files,
        term::size(snapshot.content_bytes),
        term::size(snapshot.stored_bytes),
        job::warnings(job),
    ))
}
