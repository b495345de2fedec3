//! The agent's parts, wired: what every handler is given.
//!
//! Deliberately not here: starting and stopping them (`app`).

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};

use backupd_base::Result;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    enrolment::Enrolment,
    http::{Failures, Rejections},
    inventory::Inventory,
    jobs::{Parts, Queue},
    journal::Journal,
    keys::NodeKeys,
    live::Live,
    pairing::Pairing,
    resources::{Configured, Resources},
    schedule::{Scheduler, SystemClock},
    stats::Stats,
    store::Store,
};

/// One agent.
pub struct Agent {
    /// Its database.
    pub store: Arc<Store>,
    /// What happened.
    pub journal: Journal,
    /// What happens.
    pub live: Live,
    /// Who may call.
    pub enrolment: Enrolment,
    /// How a master gets to.
    pub pairing: Pairing,
    /// What is backed up, and where to.
    pub inventory: Inventory,
    /// What jobs work with.
    pub parts: Parts,
    /// The jobs.
    pub queue: Queue,
    /// When they come by themselves.
    pub scheduler: Scheduler,
    /// How the server is.
    pub stats: Stats,
    /// Who failed to prove itself lately.
    pub failures: Failures,
    /// Reports of that.
    pub rejections: Rejections,
    /// When it began.
    pub started: Instant,
    /// Cancelled when it is to stop.
    pub shutdown: CancellationToken,
    /// Where it listens, once it does.
    listening: OnceLock<SocketAddr>,
}

impl Agent {
    /// The agent that `config` describes. Opens its store and keys; binds and runs nothing.
    ///
    /// # Errors
    /// `Conflict` when another process has the data folder; `KeyMissing` and `Corrupt` for its
    /// keys; else what the disk says.
    pub fn open(config: &Config) -> Result<Self> {
        let store = Arc::new(Store::open(&config.data_dir)?);
        let keys = Arc::new(NodeKeys::open(&store)?);
        let live = Live::new();
        let journal = Journal::new(store.clone(), live.clone());
        let enrolment = Enrolment::open(&store, journal.clone(), keys.clone())?;
        let inventory = Inventory::new(store.clone(), keys);
        inventory.settle(config)?;
        let parts = Parts {
            host: Arc::new(inventory.clone()),
            store: store.clone(),
            journal: journal.clone(),
            live: live.clone(),
            resources: Resources::open(
                Configured {
                    io: config.max_io,
                    network: config.max_network,
                    cpu: config.max_cpu,
                    bandwidth_mbps: config.max_bandwidth_mbps,
                },
                &store,
            )?,
        };
        let queue = Queue::new(parts.clone());
        let clock = Arc::new(SystemClock);
        Ok(Self {
            scheduler: Scheduler::new(parts.clone(), inventory.clone(), queue.clone(), clock),
            pairing: Pairing::new(store.clone(), journal.clone(), enrolment.clone()),
            queue,
            stats: Stats::default(),
            failures: Failures::default(),
            rejections: Rejections::new(journal.clone()),
            started: Instant::now(),
            shutdown: CancellationToken::new(),
            listening: OnceLock::new(),
            store,
            journal,
            live,
            enrolment,
            inventory,
            parts,
        })
    }

    /// Where a master reaches it; `None` when it does not listen.
    #[must_use]
    pub fn listening(&self) -> Option<SocketAddr> {
        self.listening.get().copied()
    }

    /// Notes where it listens, once.
    pub(crate) fn listens(&self, address: SocketAddr) {
        self.listening
            .set(address)
            .expect("an agent is started once");
    }
}
