//! What a run costs: time, processor, memory and disk of all its processes together.
//!
//! Processor time is exact: it is read from a process that has ended and is not reaped yet, and
//! includes the children it waited for. Memory is the sum of the resident sets of all processes,
//! looked at every few milliseconds. Servers that both sides use (MariaDB, S3) are not counted.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use walkdir::WalkDir;

use crate::chain::{Chain, Link};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often folders are: a walk costs more than a look at memory.
const WALK: Duration = Duration::from_millis(50);

/// What one run cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// From the first start to the last end, in seconds.
    pub wall: f64,
    /// Of all processes, user and system, in seconds.
    pub cpu: f64,
    /// The highest sum of resident memory, in bytes.
    pub memory: u64,
    /// The most that the watched folders grew by at any moment, in bytes.
    pub disk: u64,
}

/// Runs chains one after the other, watching folders that hold what is only needed meanwhile.
///
/// # Errors
/// When a program cannot be started or fails; the others are killed.
pub fn measure(chains: Vec<Chain>, watched: &[PathBuf]) -> Result<Cost> {
    let before = size(watched);
    let mut cost = Cost::default();
    let mut walked = Instant::now();
    let start = Instant::now();
    for chain in chains {
        let mut links = chain.start()?.links;
        while !links.is_empty() {
            let memory = links.iter().map(|link| tree_memory(link.child.id())).sum();
            cost.memory = cost.memory.max(memory);
            if walked.elapsed() > WALK {
                cost.disk = cost.disk.max(size(watched).saturating_sub(before));
                walked = Instant::now();
            }
            let mut running = Vec::new();
            for mut link in links {
                if has_ended(&link)? {
                    cost.cpu += processor_time(link.child.id())?;
                    link.finish()?;
                } else {
                    running.push(link);
                }
            }
            links = running;
            if !links.is_empty() {
                thread::sleep(LOOK);
            }
        }
    }
    cost.wall = start.elapsed().as_secs_f64();
    cost.disk = cost.disk.max(size(watched).saturating_sub(before));
    Ok(cost)
}

/// Whether a process has ended; it is left to be reaped, so that its counters can still be read.
fn has_ended(link: &Link) -> Result<bool> {
    let pid = Pid::from_raw(link.child.id().cast_signed()).context("a process id is not zero")?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let ended = waitid(WaitId::Pid(pid), options).context("ask whether a process has ended")?;
    Ok(ended.is_some())
}

/// Seconds on the processor of a process and of the children it waited for (proc(5), fields 14
/// to 17 of `stat`).
fn processor_time(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("read processor time")?;
    // The second field, the name, may hold anything, so count from its end.
    let fields = stat.rsplit_once(") ").context("read processor time")?.1;
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Resident bytes of a process and all below it; none for one that has just gone.
fn tree_memory(pid: u32) -> u64 {
    let pages: u64 = fs::read_to_string(format!("/proc/{pid}/statm"))
        .ok()
        .and_then(|statm| statm.split(' ').nth(1)?.parse().ok())
        .unwrap_or(0);
    let children = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|child| child.parse().ok())
                .collect::<Vec<u32>>()
        })
        .map(tree_memory)
        .sum::<u64>();
    pages * rustix::param::page_size() as u64 + children
}

/// Bytes that folders occupy on their disk.
fn size(folders: &[PathBuf]) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let of = |folder: &PathBuf| -> u64 {
        WalkDir::new(folder as &Path)
            .into_iter()
            .filter_map(|entry| entry.ok()?.metadata().ok()) // gone meanwhile
            .filter(fs::Metadata::is_file)
            .map(|file| file.blocks() * 512)
            .sum()
    };
    folders.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn dd(arguments: &[&str]) -> Command {
        let mut dd = Command::new("dd");
        dd.args(arguments);
        dd
    }

    #[test]
    fn memory_and_processor_of_a_whole_chain_are_counted() {
        let cost = measure(
            vec![Chain::of([
                dd(&["if=/dev/zero", "bs=64M", "count=20"]),
                dd(&["of=/dev/null", "bs=64M", "iflag=fullblock"]),
            ])],
            &[],
        )
        .unwrap();
        assert!(cost.memory >= 120 << 20, "{cost:?}");
        assert!(cost.memory <= 200 << 20, "{cost:?}");
        assert!(
            cost.cpu > 0.05 && cost.cpu < 2.0 * cost.wall + 0.1,
            "{cost:?}"
        );
    }

    #[test]
    fn a_child_of_a_child_is_counted() {
        let mut env = Command::new("timeout"); // forks, unlike env
        env.args([
            "60",
            "dd",
            "if=/dev/zero",
            "of=/dev/null",
            "bs=64M",
            "count=20",
        ]);
        let cost = measure(vec![Chain::of([env])], &[]).unwrap();
        assert!(cost.memory >= 64 << 20, "{cost:?}");
        assert!(cost.cpu > 0.02, "{cost:?}");
    }

    #[test]
    fn disk_is_counted_even_if_it_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let to = format!("of={}", folder.path().join("spool").display());
        let mut remove = Command::new("rm");
        remove.arg(folder.path().join("spool"));
        let chains = vec![
            Chain::of([dd(&["if=/dev/zero", &to, "bs=1M", "count=64"])]),
            Chain::of([{
                let mut wait = Command::new("sleep");
                wait.arg("0.2");
                wait
            }]),
            Chain::of([remove]),
        ];
        let cost = measure(chains, &[folder.path().to_owned()]).unwrap();
        assert!((64 << 20..66 << 20).contains(&cost.disk), "{cost:?}");
    }

    #[test]
    fn a_failure_anywhere_in_a_chain_is_one() {
        let chain = Chain::of([dd(&["if=/does/not/exist"]), dd(&["of=/dev/null"])]);
        let error = measure(vec![chain], &[]).unwrap_err().to_string();
        assert!(error.contains("/does/not/exist"), "{error}");
    }
}
