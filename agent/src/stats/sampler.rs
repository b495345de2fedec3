//! Takes one sample. Reads a handful of files of `/proc`; what changes slowly is asked less often.

use std::collections::BTreeMap;

use backupd_base::{Context, Result};
use backupd_protocol::{DiskUse, Sample};
use chrono::Utc;
use sysinfo::{CpuRefreshKind, DiskRefreshKind, Disks, MemoryRefreshKind, Networks, System};
use tokio::time::Instant;

use super::disk::DiskBytes;
use crate::control::is_internal;

/// Free space moves slowly, and asking wakes every mounted disk.
const DISKS_EVERY: u32 = 15;

pub(super) struct Sampler {
    system: System,
    networks: Networks,
    disks: Vec<DiskUse>,
    bytes: DiskBytes,
    at: Instant,
    count: u32,
}

impl Sampler {
    pub(super) fn new() -> Result<Self> {
        let mut system = System::new().context("read the state of this server")?;
        system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
        Ok(Self {
            system,
            networks: Networks::new_with_refreshed_list().context("list the networks")?,
            disks: Vec::new(),
            bytes: DiskBytes::now(),
            at: Instant::now(),
            count: 0,
        })
    }

    /// The time since the last sample, as this one.
    pub(super) fn sample(&mut self, jobs_running: u32) -> Sample {
        self.system
            .refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::everything());
        self.networks.refresh(true);
        if self.count.is_multiple_of(DISKS_EVERY) {
            self.disks = disks();
        }
        self.count = self.count.wrapping_add(1);
        let seconds = self.at.elapsed().as_secs_f64().max(0.001);
        self.at = Instant::now();
        let rate = |bytes: u64| (bytes as f64 / seconds).round() as u64;
        let before = std::mem::replace(&mut self.bytes, DiskBytes::now());
        let outside = || self.networks.iter().filter(|(name, _)| !is_internal(name));
        let load = System::load_average().unwrap_or_default();
        Sample {
            at_ms: u64::try_from(Utc::now().timestamp_millis()).unwrap_or(0),
            cpu_percent: self.system.global_cpu_usage(),
            cores: self.system.cpus().iter().map(|core| core.usage()).collect(),
            memory_used: self.system.used_memory(),
            memory_total: self.system.total_memory(),
            swap_used: self.system.used_swap(),
            swap_total: self.system.total_swap(),
            load: [load.one, load.five, load.fifteen],
            disks: self.disks.clone(),
            disk_read: rate(self.bytes.read.saturating_sub(before.read)),
            disk_write: rate(self.bytes.written.saturating_sub(before.written)),
            net_rx: rate(outside().map(|(_, network)| network.received()).sum()),
            net_tx: rate(outside().map(|(_, network)| network.transmitted()).sum()),
            jobs_running,
        }
    }
}

/// Mounted disks, each once: the shortest of its mount points.
fn disks() -> Vec<DiskUse> {
    let asked = DiskRefreshKind::nothing().with_storage();
    let list = Disks::new_with_refreshed_list_specifics(asked).ok();
    let found = list.iter().flat_map(|disks| disks.iter());
    let mut by_device: BTreeMap<String, DiskUse> = BTreeMap::new();
    for disk in found.filter(|disk| disk.total_space() > 0) {
        let found = DiskUse {
            mount: disk.mount_point().display().to_string(),
            used: disk.total_space().saturating_sub(disk.available_space()),
            total: disk.total_space(),
        };
        let device = disk.name().to_string_lossy().into_owned();
        match by_device.get(&device) {
            Some(known) if known.mount.len() <= found.mount.len() => {}
            _ => drop(by_device.insert(device, found)),
        }
    }
    let mut disks: Vec<_> = by_device.into_values().collect();
    disks.sort_by(|a, b| a.mount.cmp(&b.mount));
    disks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_says_what_the_machine_has() {
        let mut sampler = Sampler::new().unwrap();
        let sample = sampler.sample(3);
        assert!(sample.memory_total > 0 && sample.memory_used <= sample.memory_total);
        assert!(!sample.cores.is_empty());
        assert!((0.0..=100.0).contains(&sample.cpu_percent));
        assert_eq!(sample.jobs_running, 3);
        assert!(sample.disks.iter().all(|disk| disk.used <= disk.total));
    }

    #[test]
    fn what_is_written_shows_in_the_counters() {
        let before = DiskBytes::now();
        let after = DiskBytes::now();
        assert!(after.read >= before.read && after.written >= before.written);
    }
}
