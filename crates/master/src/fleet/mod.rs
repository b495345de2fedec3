//! The enrolled nodes as they are right now: each is followed by tasks of its own that keep it
//! known, read its journal, and take what is new into the registry.

mod chain;
mod follow;
mod follower;
mod jobs;
mod sync;
mod watch;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backupd_base::{Code, Context as _, Error, NodeId, Result};
use tokio::{
    task::JoinSet,
    time::{Duration, timeout},
};

pub use follower::Follower;
pub use jobs::kind_name;

use crate::{Master, link::Link, view::NodeState};

/// A node that has just been enrolled answers at once, or something is wrong.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// The nodes that are followed.
#[derive(Default)]
pub struct Fleet {
    followed: Mutex<HashMap<NodeId, Followed>>,
}

struct Followed {
    follower: Arc<Follower>,
    /// Ends its tasks when dropped.
    tasks: JoinSet<()>,
}

impl Fleet {
    fn map(&self) -> MutexGuard<'_, HashMap<NodeId, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The follower of a node.
    ///
    /// # Errors
    /// `NotFound` when the node is not enrolled.
    pub fn get(&self, id: &NodeId) -> Result<Arc<Follower>> {
        let map = self.map();
        map.get(id)
            .map(|f| f.follower.clone())
            .with_context(|| format!("no node {id}"))
    }

    /// Ends all followers.
    pub async fn close(&self) {
        let all: Vec<_> = self.map().drain().map(|(_, followed)| followed).collect();
        for mut followed in all {
            followed.tasks.shutdown().await;
        }
    }
}

impl Master {
    /// Begins to follow a node; one that is followed already is followed anew.
    pub(crate) fn follow(&self, id: NodeId) {
        let follower = Arc::new(Follower::new(id.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(follow::run(self.clone(), follower.clone()));
        tasks.spawn(watch::run(self.clone(), follower.clone()));
        let followed = Followed { follower, tasks };
        self.core().fleet.map().insert(id, followed);
    }

    /// Stops following a node.
    pub(crate) async fn unfollow(&self, id: &NodeId) {
        let followed = self.core().fleet.map().remove(id);
        if let Some(mut followed) = followed {
            followed.tasks.shutdown().await;
        }
    }

    /// The link to a node, once it has answered: one that was only just enrolled, or a program
    /// that was only just opened, gets a moment.
    ///
    /// # Errors
    /// As [`Master::linked`].
    pub(crate) async fn link(&self, id: &NodeId) -> Result<Link> {
        let mut conditions = self.core().fleet.get(id)?.conditions();
        let met = conditions.wait_for(|c| c.state != NodeState::Connecting);
        let _ = timeout(FIRST_ANSWER, met).await;
        self.linked(id)
    }

    /// The link to a node that answers now.
    ///
    /// # Errors
    /// `NotFound` when it is not enrolled; what stands in the way when it does not answer.
    pub(crate) fn linked(&self, id: &NodeId) -> Result<Link> {
        let condition = self.core().fleet.get(id)?.condition();
        condition.link.ok_or_else(|| {
            let problem = condition.problem;
            let code = problem.as_ref().map_or(Code::Unavailable, |p| p.code);
            let why = problem.map_or_else(|| "it has not answered yet".to_owned(), |p| p.message);
            Error::new(code, format!("node {id} is not connected: {why}"))
        })
    }
}
