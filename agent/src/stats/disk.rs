//! Bytes read from and written to disks since the machine started, from `/proc/diskstats`
//! (Documentation/admin-guide/iostats.rst of the kernel).

use std::fs;

/// The unit of `/proc/diskstats`, whatever the disk's own sector size.
const SECTOR: u64 = 512;

/// Bytes since the machine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DiskBytes {
    pub(super) read: u64,
    pub(super) written: u64,
}

impl DiskBytes {
    /// As of now; zero where the kernel does not say.
    pub(super) fn now() -> Self {
        let text = fs::read_to_string("/proc/diskstats").unwrap_or_default();
        Self::parse(&text, |name| {
            fs::exists(format!("/sys/block/{name}")).unwrap_or(false)
        })
    }

    /// Sums whole disks: a partition's bytes are its disk's, a mapping's those of what lies below.
    fn parse(text: &str, is_disk: impl Fn(&str) -> bool) -> Self {
        let mut sum = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let &[_, _, name, _, _, read, _, _, _, written, ..] = fields.as_slice() else {
                continue;
            };
            let is_on_others = ["loop", "ram", "zram", "dm-", "md", "nbd"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            if !is_on_others && is_disk(name) {
                sum.read += read.parse::<u64>().unwrap_or(0) * SECTOR;
                sum.written += written.parse::<u64>().unwrap_or(0) * SECTOR;
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_disks_count_once() {
        let text = "\
 259 0 nvme0n1 100 0 2000 10 50 0 1000 20 0 0 0 0 0 0 0 0 0
 259 1 nvme0n1p1 90 0 1900 10 50 0 1000 20 0 0 0 0 0 0 0 0 0
   8 0 sda 1 0 8 1 1 0 16 1 0 0 0
 253 0 dm-0 90 0 1900 10 50 0 1000 20 0 0 0
   7 0 loop0 90 0 1900 10 50 0 1000 20 0 0 0
short line";
        let sum = DiskBytes::parse(text, |name| !name.ends_with("p1"));
        assert_eq!((sum.read, sum.written), (2008 * 512, 1016 * 512));
    }
}
