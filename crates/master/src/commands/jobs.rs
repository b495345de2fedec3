//! Runs on the nodes.

use backupd_base::{Code, Error, JobId, NodeId, Result, SourceId};
use backupd_protocol::{Job, JobCreate, Resources};

use super::parsed;
use crate::{Master, view::NodeJob};

impl Master {
    /// The jobs of a node, newest first, as it last told them.
    ///
    /// # Errors
    /// `NotFound` when the node is not enrolled.
    pub async fn jobs_list(&self, node_id: &NodeId) -> Result<Vec<Job>> {
        let follower = self.core().fleet.get(node_id)?;
        let id = node_id.clone();
        let rows = self.db(move |r| r.jobs_list(&id)).await?;
        let moving = follower.moving();
        rows.iter()
            .map(|row| match moving.get(&row.id) {
                Some(job) => Ok(job.clone()),
                None => parsed("job", &row.body),
            })
            .collect()
    }

    /// One job, as its node last told it.
    ///
    /// # Errors
    /// `NotFound` when it was never told, or is too old.
    pub async fn job_get(&self, job_id: &JobId) -> Result<NodeJob> {
        let id = job_id.clone();
        let row = self.db(move |r| r.job_get(&id)).await?;
        let follower = self.core().fleet.get(&row.node_id).ok();
        let moving = follower.and_then(|f| f.moving().get(job_id).cloned());
        Ok(NodeJob {
            node_id: row.node_id,
            job: match moving {
                Some(job) => job,
                None => parsed("job", &row.body)?,
            },
        })
    }

    /// Backs a source up now.
    ///
    /// # Errors
    /// `Conflict` while one of its jobs is pending or running, `Unavailable` when its node does not
    /// answer.
    pub async fn job_start(&self, source_id: &SourceId) -> Result<NodeJob> {
        let id = source_id.clone();
        let source = self.db(move |r| r.source_get(&id)).await?;
        if source.removed_at.is_some() {
            return Err(Error::new(
                Code::NotFound,
                format!("the source {} was removed", source.name),
            ));
        }
        let create = JobCreate {
            source_id: source.id,
            priority: None,
        };
        let job: Job = self
            .link(&source.node_id)
            .await?
            .post("jobs", &create)
            .await?;
        self.job_begun(&source.node_id, job).await
    }

    /// Asks a job to stop. It ends as CANCELLED and leaves nothing behind.
    ///
    /// # Errors
    /// `NotFound` when the node has none such, `Unavailable` when it does not answer.
    pub async fn job_stop(&self, node_id: &NodeId, job_id: &JobId) -> Result<()> {
        let link = self.link(node_id).await?;
        link.act(&format!("jobs/{job_id}/stop")).await?;
        self.look_soon(node_id);
        Ok(())
    }

    /// Tries a failed or stopped backup again, at once: a job of its own, linked to the first of its
    /// chain, or the chain's retry that waited for its time.
    ///
    /// # Errors
    /// `Conflict` for a job that cannot be tried again now, `Unavailable` when its node does not
    /// answer.
    pub async fn job_retry(&self, node_id: &NodeId, job_id: &JobId) -> Result<NodeJob> {
        let link = self.link(node_id).await?;
        let job: Job = link.ask(&format!("jobs/{job_id}/retry")).await?;
        self.job_begun(node_id, job).await
    }

    /// Ends a job that does not end by itself, as FAILED.
    ///
    /// # Errors
    /// `Conflict` for one that does not run, `Timeout` when it cannot be ended, `Unavailable` when
    /// its node does not answer.
    pub async fn job_reset(&self, node_id: &NodeId, job_id: &JobId) -> Result<()> {
        let link = self.link(node_id).await?;
        link.act(&format!("jobs/{job_id}/reset")).await?;
        self.look_soon(node_id);
        Ok(())
    }

    /// Who has which place on a node, who waits, and the limits.
    ///
    /// # Errors
    /// `Unavailable` when the node does not answer.
    pub async fn node_resources(&self, node_id: &NodeId) -> Result<Resources> {
        self.link(node_id).await?.get("resources", &[]).await
    }

    /// Takes in a job that was just made, so that it is known before its node is looked at again.
    pub(crate) async fn job_begun(&self, node_id: &NodeId, job: Job) -> Result<NodeJob> {
        let follower = self.core().fleet.get(node_id)?;
        self.jobs_heard(&follower, vec![job.clone()]).await?;
        follower.wake.notify_one();
        Ok(NodeJob {
            node_id: node_id.clone(),
            job,
        })
    }

    /// Has a node looked at now rather than in a few seconds.
    pub(crate) fn look_soon(&self, node_id: &NodeId) {
        if let Ok(follower) = self.core().fleet.get(node_id) {
            follower.wake.notify_one();
        }
    }
}
