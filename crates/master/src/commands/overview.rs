//! Am I safe?

use backupd_base::Result;

use crate::{
    Master,
    view::{NodeJob, OverviewView},
};

impl Master {
    /// Every source with its verdict, every node, and what runs.
    ///
    /// # Errors
    /// Only those of the disk.
    pub async fn overview_get(&self) -> Result<OverviewView> {
        let nodes = self.nodes_list().await?;
        let running = nodes
            .iter()
            .filter_map(|node| self.core().fleet.get(&node.id).ok())
            .flat_map(|follower| {
                let moving: Vec<_> = follower.moving().values().cloned().collect();
                // A retry that waits for its time does not run, and gives way to what does.
                let at_work = moving.into_iter().filter(|job| !job.is_waiting());
                at_work.map(move |job| NodeJob {
                    node_id: follower.id.clone(),
                    job,
                })
            })
            .collect();
        Ok(OverviewView {
            sources: self.sources_list().await?,
            nodes,
            running,
        })
    }
}
