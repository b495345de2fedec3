//! A master, agents in this process, and what they work on.

use std::path::{Path, PathBuf};

use backupd::{
    app::{App, Running},
    config::Config,
};
use backupd_base::{NodeId, SourceId};
use backupd_master::view::{
    NodeState, NodeView, ProviderView, SnapshotView, SourceView, TaskState, TaskView,
};
use backupd_protocol::{Job, JobCreate, ProviderKind, pairing::WINDOW};
use backupd_testkit::{PATIENCE, eventually};
use tempfile::TempDir;

use crate::{Master, testing::Home};

/// A server with an agent on it.
pub struct Server {
    folder: TempDir,
    running: Option<Running>,
    port: u16,
}

impl Server {
    pub async fn start() -> Self {
        let mut server = Self {
            folder: tempfile::tempdir().unwrap(),
            running: None,
            port: 0,
        };
        server.restart().await;
        server
    }

    /// The agent again, on the same data and port.
    pub async fn restart(&mut self) {
        self.stop().await;
        let config = Config {
            mode: None,
            file: None,
            data_dir: self.data(),
            host: [127, 0, 0, 1].into(),
            port: self.port,
            max_io: 2,
            max_network: 2,
            max_cpu: 2,
            max_bandwidth_mbps: 0,
            recipients: Vec::new(),
            providers: Vec::new(),
            sources: Vec::new(),
        };
        let running = App::build(config).unwrap().spawn().await.unwrap();
        self.port = running.agent().listening().unwrap().port();
        self.running = Some(running);
    }

    /// The same address, but another agent with another key.
    pub async fn replace(&mut self) {
        self.stop().await;
        std::fs::remove_dir_all(self.data()).unwrap();
        self.restart().await;
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.drain().await.unwrap();
        }
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The code its console shows.
    pub fn code(&self) -> String {
        let pairing = &self.running().agent().pairing;
        let opened = pairing.open(WINDOW, true).unwrap();
        opened.code.reveal().to_owned()
    }

    /// A backup that no master asked for.
    pub async fn back_up_alone(&self, source_id: &SourceId) {
        let queue = &self.running().agent().queue;
        let create = JobCreate {
            source_id: source_id.clone(),
            priority: None,
        };
        let job = queue.submit_backup(&create).unwrap();
        eventually(PATIENCE, "end of the job", async || {
            let now = queue.get(&job.id).unwrap();
            now.state.is_final().then_some(())
        })
        .await;
    }

    pub fn node_id(&self) -> Option<NodeId> {
        self.running().agent().enrolment.node_id()
    }
}

/// A master that is set up, with one server enrolled.
pub struct World {
    pub home: Home,
    pub master: Master,
    pub server: Server,
    pub node: NodeView,
}

impl World {
    pub async fn new() -> Self {
        let home = Home::new();
        let master = home.ready().await;
        let server = Server::start().await;
        let node = enrolled(&master, &server).await;
        Self {
            home,
            master,
            server,
            node,
        }
    }

    /// The folder on the server that is always there.
    pub async fn own_store(&self) -> ProviderView {
        eventually(PATIENCE, "store on the server", async || {
            let stores = self.master.providers_list().await.unwrap();
            stores
                .into_iter()
                .find(|p| p.node_id.as_ref() == Some(&self.node.id))
        })
        .await
    }

    pub fn own_folder(store: &ProviderView) -> &Path {
        match &store.kind {
            ProviderKind::Local { path } => Path::new(path),
            kind => panic!("{kind:?}"),
        }
    }

    /// Backs up once and waits until the snapshot is in the catalogue.
    pub async fn back_up(&self, source: &SourceView) -> (Job, SnapshotView) {
        let before = self.snapshots(&source.id).await.len();
        let started = self.master.job_start(&source.id).await.unwrap();
        let job = self.ended(&started.job).await;
        assert!(job.error.is_none(), "{:?}", job.error);
        let snapshots = self.snapshots(&source.id).await;
        assert_eq!(snapshots.len(), before + 1, "no snapshot with its job");
        (job, snapshots[0].clone())
    }

    pub async fn ended(&self, job: &Job) -> Job {
        eventually(PATIENCE, "end of the job", async || {
            let now = self.master.job_get(&job.id).await.unwrap().job;
            now.state.is_final().then_some(now)
        })
        .await
    }

    pub async fn snapshots(&self, source: &SourceId) -> Vec<SnapshotView> {
        self.master.snapshots_list(Some(source)).await.unwrap()
    }

    pub async fn done(&self, task: &TaskView) -> TaskView {
        eventually(PATIENCE, "end of the task", async || {
            let tasks = self.master.tasks_list().await.unwrap();
            let now = tasks.into_iter().find(|t| t.id == task.id).unwrap();
            (now.state != TaskState::Running).then_some(now)
        })
        .await
    }

    pub async fn becomes(&self, state: NodeState) -> NodeView {
        becomes(&self.master, &self.node.id, state).await
    }

    pub async fn end(mut self) {
        self.master.close().await;
        self.server.stop().await;
    }
}

pub async fn enrolled(master: &Master, server: &Server) -> NodeView {
    let node = master
        .node_enrol(&server.address(), &server.code())
        .await
        .unwrap();
    becomes(master, &node.id, NodeState::Online).await
}

pub async fn becomes(master: &Master, id: &NodeId, state: NodeState) -> NodeView {
    eventually(PATIENCE, "state of the node", async || {
        let node = master.node_get(id).await.unwrap();
        (node.state == state).then_some(node)
    })
    .await
}

impl Home {
    /// The same one again after it was closed.
    pub async fn reopen(&self, closed: Master) -> Master {
        self.between(closed, || {}).await
    }

    /// [`Home::reopen`], with something done while nobody has the folder open.
    pub async fn between(&self, closed: Master, act: impl FnOnce()) -> Master {
        drop(closed);
        act();
        self.open().await
    }
}
