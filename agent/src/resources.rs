//! What jobs share: how many may work the disk, how many may upload, and how fast all uploads
//! together may be.
//!
//! A job takes its place at the disk first and its place at the network second, always in that
//! order: no two can wait for each other.

use std::sync::Arc;

use backupd_storage::SpeedLimit;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The shared places. Clones share them.
#[derive(Debug, Clone)]
pub struct Resources {
    disk: Arc<Semaphore>,
    network: Arc<Semaphore>,
    speed: SpeedLimit,
}

/// A place that is taken until this is dropped.
pub type Place = OwnedSemaphorePermit;

impl Resources {
    /// Places for `disk` jobs at the disk and `network` at the network (at least one each), and a
    /// speed limit in bytes per second for all uploads together; 0 is unlimited.
    #[must_use]
    pub fn new(disk: usize, network: usize, bytes_per_second: u64) -> Self {
        Self {
            disk: Arc::new(Semaphore::new(disk.max(1))),
            network: Arc::new(Semaphore::new(network.max(1))),
            speed: SpeedLimit::new(bytes_per_second),
        }
    }

    /// Waits for a place at the disk.
    pub async fn disk(&self) -> Place {
        take(&self.disk).await
    }

    /// Waits for a place at the network.
    pub async fn network(&self) -> Place {
        take(&self.network).await
    }

    /// The speed limit of all uploads together.
    #[must_use]
    pub fn speed(&self) -> &SpeedLimit {
        &self.speed
    }
}

async fn take(places: &Arc<Semaphore>) -> Place {
    let place = Arc::clone(places).acquire_owned().await;
    place.expect("these semaphores are never closed")
}
