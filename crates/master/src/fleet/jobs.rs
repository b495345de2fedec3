//! Taking in jobs as their nodes tell them, from a list or live, in whichever order they arrive.

use std::collections::HashMap;

use backupd_base::{Context as _, JobId, Result};
use backupd_protocol::{Job, JobKind};
use backupd_registry::JobRow;

use super::Follower;
use crate::{
    Master,
    view::{MasterEvent, NodeJob},
};

/// The kind of a job, as the registry finds it by.
pub fn kind_name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Backup => "backup",
        JobKind::Restore => "restore",
    }
}

impl Master {
    /// Takes in jobs and tells what changed. The registry is written when a state changes, not for
    /// every byte of progress.
    pub(crate) async fn jobs_heard(&self, follower: &Follower, jobs: Vec<Job>) -> Result<()> {
        let known = self.jobs_known(follower, &jobs).await?;
        let (mut rows, mut changed) = (Vec::new(), Vec::new());
        for job in jobs {
            let before = known.get(&job.id);
            if before == Some(&job) || is_late(before, &job) {
                continue;
            }
            if before.is_none_or(|before| states(before) != states(&job)) {
                rows.push(row(follower, &job)?);
            }
            changed.push(job);
        }
        let verdicts = !rows.is_empty();
        if verdicts {
            self.db(move |r| r.jobs_put(&rows)).await?;
        }
        for job in changed {
            let mut moving = follower.moving();
            if job.state.is_final() {
                moving.remove(&job.id);
            } else {
                moving.insert(job.id.clone(), job.clone());
            }
            drop(moving);
            self.tell(MasterEvent::JobChanged(NodeJob {
                node_id: follower.id.clone(),
                job,
            }));
        }
        if verdicts {
            self.tell(MasterEvent::SourcesChanged);
        }
        Ok(())
    }

    /// What is known of these jobs: in memory while they move, else in the registry.
    async fn jobs_known(&self, follower: &Follower, jobs: &[Job]) -> Result<HashMap<JobId, Job>> {
        let mut known = follower.moving().clone();
        let others: Vec<_> = jobs
            .iter()
            .filter(|job| !known.contains_key(&job.id))
            .map(|job| job.id.clone())
            .collect();
        for row in self.db(move |r| r.jobs_find(&others)).await? {
            // One that this version cannot read is told anew.
            if let Ok(job) = serde_json::from_str(&row.body) {
                known.insert(row.id, job);
            }
        }
        Ok(known)
    }
}

fn row(follower: &Follower, job: &Job) -> Result<JobRow> {
    Ok(JobRow {
        id: job.id.clone(),
        node_id: follower.id.clone(),
        source_id: job.source_id.clone(),
        kind: kind_name(job.kind).to_owned(),
        is_final: job.state.is_final(),
        created_at: job.created_at,
        body: serde_json::to_string(job).with_context(|| format!("write job {}", job.id))?,
    })
}

/// What a job is worth writing down for.
fn states(job: &Job) -> impl PartialEq + use<> {
    let stages: Vec<_> = job.stages.iter().map(|s| s.state).collect();
    let ends: Vec<_> = job.providers.iter().map(|p| p.stored).collect();
    (
        job.state,
        stages,
        ends,
        job.can_undo,
        job.not_before,
        job.snapshot_id.clone(),
    )
}

/// A list that was read before a live message and is handled after it.
fn is_late(before: Option<&Job>, job: &Job) -> bool {
    before.is_some_and(|before| before.state.is_final() && !job.state.is_final())
}
