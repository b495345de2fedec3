//! What jobs share: how many may work the disk, how many may upload, how many threads may compress,
//! and how fast all uploads together may be. All of it can be changed while they run.
//!
//! A job takes its place at the disk first and its place at the network second, always in that
//! order; a place at the processor is held for one frame and waits for nothing: no two can wait for
//! each other.

mod places;

use backupd_base::{Context as _, JobId, Result};
use backupd_protocol::{Limit, Limits, Resource, Resources as View};
use backupd_storage::SpeedLimit;

pub use places::{Holder, Place, Places};

use crate::store::{Store, meta};

/// Where changed limits are kept.
const LIMITS: &str = "resource_limits";

/// The shared places. Clones share them.
#[derive(Debug, Clone)]
pub struct Resources {
    disk: Places,
    network: Places,
    cpu: Places,
    speed: SpeedLimit,
    configured: Configured,
}

/// What the environment or the configuration file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configured {
    /// Jobs that may work the disk at a time.
    pub io: usize,
    /// Jobs that may upload at a time.
    pub network: usize,
    /// Threads that may compress at a time.
    pub cpu: usize,
    /// All uploads together, megabits per second; 0 is unlimited.
    pub bandwidth_mbps: u64,
}

impl Resources {
    /// Places as configured, at least one each.
    #[must_use]
    pub fn new(configured: Configured) -> Self {
        Self {
            disk: Places::new(configured.io),
            network: Places::new(configured.network),
            cpu: Places::new(configured.cpu),
            speed: SpeedLimit::new(bytes(configured.bandwidth_mbps)),
            configured,
        }
    }

    /// Places as configured, or as they were changed to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(configured: Configured, store: &Store) -> Result<Self> {
        let resources = Self::new(configured);
        resources.apply(&changed(store)?);
        Ok(resources)
    }

    /// Waits for a place at the disk, which is nobody's yet.
    pub async fn disk(&self) -> Place {
        self.disk.take(None).await
    }

    /// Waits for a place at the network.
    pub async fn network(&self, holder: Holder) -> Place {
        self.network.take(Some(holder)).await
    }

    /// Threads that compress wait here for their turn.
    #[must_use]
    pub fn cpu(&self) -> &Places {
        &self.cpu
    }

    /// The speed limit of all uploads together.
    #[must_use]
    pub fn speed(&self) -> &SpeedLimit {
        &self.speed
    }

    /// Takes away what a job has: its thread does not come back.
    pub fn evict(&self, job: &JobId) {
        for places in [&self.disk, &self.network, &self.cpu] {
            places.evict(job);
        }
    }

    /// Changes limits, for now and after every restart. What is left out is as configured again.
    ///
    /// # Errors
    /// `Invalid` for one out of its range; when the store cannot be written.
    pub fn change(&self, store: &Store, limits: &Limits) -> Result<()> {
        limits.check()?;
        let json = serde_json::to_string(limits).context("write the limits down")?;
        store.write(|tx| meta::set(tx, LIMITS, &json))?;
        self.apply(limits);
        Ok(())
    }

    fn apply(&self, limits: &Limits) {
        let set = |places: &Places, changed: Option<u32>, configured| {
            places.set_limit(changed.map_or(configured, |n| n as usize));
        };
        set(&self.disk, limits.max_io, self.configured.io);
        set(&self.network, limits.max_network, self.configured.network);
        set(&self.cpu, limits.max_cpu, self.configured.cpu);
        let mbps = limits
            .max_bandwidth_mbps
            .map_or(self.configured.bandwidth_mbps, u64::from);
        self.speed.set(bytes(mbps));
    }

    /// Who has what, and who waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn view(&self, store: &Store) -> Result<View> {
        let changed = changed(store)?;
        let resource = |places: &Places, changed: Option<u32>, configured: usize| Resource {
            limit: Limit::new(changed, configured as u64),
            holders: places.holders(),
            waiters: places.waiters(),
        };
        Ok(View {
            io: resource(&self.disk, changed.max_io, self.configured.io),
            network: resource(&self.network, changed.max_network, self.configured.network),
            cpu: resource(&self.cpu, changed.max_cpu, self.configured.cpu),
            bandwidth_mbps: Limit::new(changed.max_bandwidth_mbps, self.configured.bandwidth_mbps),
        })
    }
}

/// The limits that were changed.
fn changed(store: &Store) -> Result<Limits> {
    match store.read(|db| meta::get(db, LIMITS))? {
        None => Ok(Limits::default()),
        Some(json) => serde_json::from_str(&json).context("read the changed limits"),
    }
}

/// Megabits, as lines are sold: 8 bits to the byte.
fn bytes(mbps: u64) -> u64 {
    mbps * 1_000_000 / 8
}

#[cfg(test)]
mod tests {
    use backupd_base::Code;

    use super::*;

    const CONFIGURED: Configured = Configured {
        io: 2,
        network: 2,
        cpu: 4,
        bandwidth_mbps: 0,
    };

    #[test]
    fn a_changed_limit_holds_at_once_and_after_a_restart_until_it_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let resources = Resources::open(CONFIGURED, &store).unwrap();
        let limits = Limits {
            max_io: Some(5),
            max_bandwidth_mbps: Some(8),
            ..Limits::default()
        };
        resources.change(&store, &limits).unwrap();
        let again = Resources::open(CONFIGURED, &store).unwrap();
        for resources in [&resources, &again] {
            let view = resources.view(&store).unwrap();
            assert_eq!((view.io.limit.value, view.io.limit.configured), (5, 2));
            assert!(view.io.limit.is_changed && !view.network.limit.is_changed);
            assert_eq!(resources.disk.limit(), 5);
            assert_eq!(resources.speed().get(), 1_000_000);
        }
        again.change(&store, &Limits::default()).unwrap();
        assert_eq!((again.disk.limit(), again.speed().get()), (2, 0));
    }

    #[test]
    fn limits_out_of_range_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let resources = Resources::open(CONFIGURED, &store).unwrap();
        for wrong in [
            Limits {
                max_io: Some(0),
                ..Limits::default()
            },
            Limits {
                max_network: Some(65),
                ..Limits::default()
            },
            Limits {
                max_bandwidth_mbps: Some(1_000_001),
                ..Limits::default()
            },
        ] {
            let refused = resources.change(&store, &wrong).unwrap_err();
            assert_eq!(refused.code(), Code::Invalid);
        }
        assert_eq!(resources.disk.limit(), 2);
    }
}
