//! Jobs: a durable queue, one thread per running job, states that survive a crash.
//!
//! Deliberately not here: what a backup or a restore does (`pipeline`, `restore`).

mod pulse;
mod queue;
mod recovery;
mod retry;
mod runner;
pub mod state;
mod track;
mod watchdog;

use std::sync::Arc;

use backupd_base::{Error, NodeId, ProviderId, Result, SourceId};
use backupd_protocol::Source;
use backupd_storage::Storage;
use ed25519_dalek::SigningKey;

pub use pulse::{For, Patience};
pub use queue::Queue;
pub use retry::Backoff;
pub use track::{Failure, InStage, Track};

use crate::{journal::Journal, live::Live, resources::Resources, store::Store};

/// What the work needs to know of the rest of the agent.
pub trait Host: Send + Sync {
    /// A source as it is configured now.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id.
    fn source(&self, id: &SourceId) -> Result<Source>;

    /// Opens a provider: its store, neither retried nor throttled. The credentials are decrypted
    /// for this and live as long as the store.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id; why it cannot be opened.
    fn storage(&self, id: &ProviderId) -> Result<Arc<dyn Storage>>;

    /// [`Host::storage`], of a provider that is a folder of this server; none for a bucket, where
    /// nothing is deleted from here.
    ///
    /// # Errors
    /// As [`Host::storage`].
    fn folder(&self, id: &ProviderId) -> Result<Option<Arc<dyn Storage>>>;

    /// What people call a provider.
    fn provider_name(&self, id: &ProviderId) -> String;

    /// The node's id, once enrolled.
    fn node_id(&self) -> Option<NodeId>;

    /// The key that signs manifests.
    fn signing_key(&self) -> SigningKey;
}

/// What every job works with.
#[derive(Clone)]
pub struct Parts {
    /// The rest of the agent.
    pub host: Arc<dyn Host>,
    /// The agent's database.
    pub store: Arc<Store>,
    /// The journal.
    pub journal: Journal,
    /// The live bus.
    pub live: Live,
    /// What jobs share.
    pub resources: Resources,
}

impl Parts {
    /// [`Host::storage`] for those who must not block: the disk of a folder may hang.
    ///
    /// # Errors
    /// As [`Host::storage`].
    pub async fn storage(&self, id: &ProviderId) -> Result<Arc<dyn Storage>> {
        self.open(id, |host, id| host.storage(id)).await
    }

    /// [`Host::folder`] for those who must not block.
    ///
    /// # Errors
    /// As [`Host::folder`].
    pub async fn folder(&self, id: &ProviderId) -> Result<Option<Arc<dyn Storage>>> {
        self.open(id, |host, id| host.folder(id)).await
    }

    async fn open<T: Send + 'static>(
        &self,
        id: &ProviderId,
        open: impl FnOnce(&dyn Host, &ProviderId) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (host, id) = (Arc::clone(&self.host), id.clone());
        tokio::task::spawn_blocking(move || open(&*host, &id))
            .await
            .map_err(|e| Error::caused("open a provider", e))?
    }
}
