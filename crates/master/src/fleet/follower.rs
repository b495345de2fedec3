//! One node as it is right now.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use backupd_base::{Error, JobId, NodeId};
use backupd_protocol::Job;
use chrono::{DateTime, Utc};
use tokio::sync::{Notify, watch};

use crate::{
    link::Link,
    view::{ErrorView, NodeState},
};

/// What is known of the connection.
#[derive(Clone)]
pub struct Condition {
    /// Whether it answers.
    pub state: NodeState,
    /// Why not, or what else is wrong.
    pub problem: Option<ErrorView>,
    /// The way to it, while it answers.
    pub link: Option<Link>,
    /// When it was last heard, in this run of the program.
    pub last_seen: Option<DateTime<Utc>>,
}

/// What the tasks of one node share with the commands.
pub struct Follower {
    /// The node.
    pub id: NodeId,
    /// Rung when there is reason to look at once.
    pub wake: Notify,
    /// Whether somebody looks at it.
    pub watched: watch::Sender<bool>,
    condition: watch::Sender<Condition>,
    moving: Mutex<HashMap<JobId, Job>>,
}

impl Follower {
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            wake: Notify::new(),
            watched: watch::Sender::new(false),
            condition: watch::Sender::new(Condition {
                state: NodeState::Connecting,
                problem: None,
                link: None,
                last_seen: None,
            }),
            moving: Mutex::default(),
        }
    }

    /// The connection as it is.
    pub fn condition(&self) -> Condition {
        self.condition.borrow().clone()
    }

    /// Follows the connection.
    pub fn conditions(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// It answered. `problem`: what is wrong all the same. Answers whether that is news.
    pub fn answered(&self, link: &Link, problem: Option<ErrorView>) -> bool {
        let mut news = false;
        self.condition.send_modify(|condition| {
            news = condition.state != NodeState::Online || condition.problem != problem;
            *condition = Condition {
                state: NodeState::Online,
                problem,
                link: Some(link.clone()),
                last_seen: Some(Utc::now()),
            };
        });
        news
    }

    /// It did not answer, or must not be talked to. Answers whether that is news.
    pub fn lost(&self, state: NodeState, why: Option<&Error>) -> bool {
        let mut news = false;
        self.condition.send_modify(|condition| {
            let problem = why.map(ErrorView::from);
            news = condition.state != state || condition.problem != problem;
            condition.state = state;
            condition.problem = problem;
            condition.link = None;
        });
        news
    }

    /// Jobs that move, newer than the registry has them.
    pub fn moving(&self) -> MutexGuard<'_, HashMap<JobId, Job>> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
