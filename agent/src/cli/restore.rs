//! `backupd restore`.

use std::path::PathBuf;

use backupd_base::{Context, Result};
use backupd_protocol::{Job, RestoreCreate, RestoreTarget};
use clap::Args;

use super::{Client, Output, job, snapshots, source, term, unlock::Unlock};

/// Put a snapshot back on this server, whole or in part.
///
/// Every hash is checked while it is read. Into a folder nothing that exists is touched; in place the
/// former state is kept until it is confirmed. The private key is read for this one command and not
/// kept.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("target").required(true))]
#[command(after_help = "\
Examples:
  backupd restore shop --to /srv/restored -i key.txt
      the newest snapshot of the source \"shop\", all of it
  backupd restore 0198c2d1-… --to /tmp/one -i key.txt files/wp-content/uploads database.sql
      one folder and the database out of one snapshot; see: backupd snapshots
  backupd restore shop --in-place -i key.txt
      over the site itself; then one of
  backupd restore shop --confirm
      the site is as it should be: drop the former state
  backupd restore shop --undo
      it is not: bring the former state back

Without this program:
  age -d -i key.txt backup.tar.zst.age | zstd -d | tar x")]
pub(super) struct Restore {
    /// Id of a snapshot, or name, path or id of a source for its newest.
    #[arg(value_name = "SNAPSHOT")]
    named: String,
    /// Paths inside the snapshot; a folder means all below it. All when none is given.
    paths: Vec<String>,
    /// A folder that does not exist yet, or is empty.
    #[arg(long, value_name = "FOLDER", group = "target")]
    to: Option<PathBuf>,
    /// Over the source itself: staged beside it, then swapped.
    #[arg(long, group = "target")]
    in_place: bool,
    /// After a restore in place: bring the source's former state back.
    #[arg(long, group = "target", conflicts_with_all = ["paths", "identity", "provider"])]
    undo: bool,
    /// After a restore in place: drop the source's former state for good.
    #[arg(long, group = "target", conflicts_with_all = ["paths", "identity", "provider"])]
    confirm: bool,
    #[command(flatten)]
    unlock: Unlock,
}

impl Restore {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<()> {
        if self.undo || self.confirm {
            return self.settle(client, output).await;
        }
        let target = match &self.to {
            None => RestoreTarget::InPlace,
            Some(folder) => RestoreTarget::Folder {
                path: std::path::absolute(folder)
                    .with_context(|| format!("find {}", folder.display()))?
                    .display()
                    .to_string(),
            },
        };
        let snapshot = snapshots::find(client, &self.named).await?;
        let (provider_id, keys) = self.unlock.keys(client, &snapshot).await?;
        let create = RestoreCreate {
            snapshot_id: snapshot.id.clone(),
            provider_id,
            paths: self.paths,
            target,
            keys,
        };
        let job: Job = client.post("/restores", create.to_secret_json()).await?;
        let done = job::follow(client, output, &job.id).await?;
        output.print(&done, |done| {
            let landed = done.landed_in.as_deref().unwrap_or("its place");
            let next = if done.can_undo {
                "\n  The former state is kept: drop it with --confirm, bring it back with --undo"
            } else {
                ""
            };
            format!(
                "{}: snapshot {} of {} restored to {landed}\n  {} in {} files, every hash checked{next}{}",
                done.source_name,
                snapshot.id,
                term::time(snapshot.created_at),
                term::size(done.progress.done_bytes),
                done.progress.done_files,
                job::warnings(done),
            )
        });
        Ok(())
    }

    /// Says what becomes of the state from before the source's last restore in place.
    async fn settle(&self, client: &Client, output: Output) -> Result<()> {
        let source = source::find(client, &self.named).await?;
        let jobs: Vec<Job> = client.get(&format!("/jobs?source={}", source.id)).await?;
        let kept = jobs
            .iter()
            .find(|job| job.can_undo)
            .with_context(|| format!("no former state of {:?} is kept", source.name))?;
        let act = if self.undo { "undo" } else { "confirm" };
        let path = format!("/restores/{}/{act}", kept.id);
        let mut job: Job = client.post(&path, "{}".into()).await?;
        if self.undo {
            job = job::follow(client, output, &job.id).await?;
        }
        output.print(&job, |job| match self.undo {
            true => format!(
                "{}: the former state is back{}",
                source.name,
                job::warnings(job)
            ),
            false => format!("{}: the former state is dropped", source.name),
        });
        Ok(())
    }
}
