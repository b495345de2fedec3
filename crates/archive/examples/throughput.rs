//! Measures one archive of a folder, written, verified and restored: wall time, CPU time, peak
//! memory, size. `OUT` and its neighbours `.index` and `.restored` are made.
//!
//! The peer is `tar -c . | zstd -3 -T2 | age -r … -r …`, and `age -d | zstd -d | tar -x`.
//!
//! `cargo run --release -p backupd-archive --example throughput -- FOLDER OUT [WORKERS] [LEVEL]`

use std::{fs, fs::File, io, path::Path, time::Instant};

use backupd_archive::{
    ArchiveOptions, ArchiveReader, ArchiveWriter, ExtractOptions, Keypair, Limits, SnapshotKeys,
    TreeOptions, open_index, verify,
};
use cap_std::{ambient_authority, fs::Dir};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [root, out, rest @ ..] = args.as_slice() else {
        return Err("usage: throughput FOLDER OUT [WORKERS] [LEVEL]".into());
    };
    let (tenant, recovery) = (Keypair::generate(), Keypair::generate());
    let mut options = ArchiveOptions::new(vec![tenant.recipient(), recovery.recipient()]);
    if let Some(workers) = rest.first() {
        options.workers = workers.parse()?;
    }
    if let Some(level) = rest.get(1) {
        options.level = level.parse()?;
    }
    println!("{} workers, level {}", options.workers, options.level);

    let out = Path::new(out);
    let index = out.with_extension("index");
    let begun = Cost::now()?;
    let mut archive = ArchiveWriter::new(File::create(out)?, File::create(&index)?, options)?;
    archive.append_tree(
        Path::new(root),
        &"files".parse()?,
        &TreeOptions::default(),
        &mut |_| Ok(()),
    )?;
    let made = archive.finish()?.summary;
    begun.report("write", made.content_bytes)?;
    println!(
        "{} entries, content {} MB, archive {} MB, index {} kB, {} warnings",
        made.entries,
        made.content_bytes / 1_000_000,
        made.archive_bytes / 1_000_000,
        made.index_bytes / 1000,
        made.warnings.total(),
    );

    let begun = Cost::now()?;
    let keys = SnapshotKeys::both(&tenant);
    let read = verify(
        File::open(out)?,
        File::open(&index)?,
        keys,
        None,
        &mut |_| Ok(()),
    )?;
    begun.report("verify", read.bytes)?;

    let target = out.with_extension("restored");
    fs::create_dir(&target)?;
    let folder = Dir::open_ambient_dir(&target, ambient_authority())?;
    let begun = Cost::now()?;
    let limits = Limits {
        bytes: u64::MAX,
        entries: u64::MAX,
        ratio: None,
    };
    let options = ExtractOptions::all(limits);
    let mut reader = ArchiveReader::sequential(File::open(out)?, File::open(&index)?, keys, None)?;
    let restored = reader.extract(&folder, &options, &mut |_| Ok(()))?;
    begun.report("restore", restored.bytes)?;
    fs::remove_dir_all(&target)?;

    let begun = Cost::now()?;
    let entries = open_index(File::open(&index)?, &tenant)?.entries().count();
    begun.report("list", made.index_bytes)?;
    println!("{entries} entries listed");
    Ok(())
}

struct Cost {
    wall: Instant,
    cpu: f64,
}

impl Cost {
    fn now() -> io::Result<Self> {
        Ok(Self {
            wall: Instant::now(),
            cpu: cpu()?,
        })
    }

    fn report(&self, what: &str, bytes: u64) -> io::Result<()> {
        let wall = self.wall.elapsed().as_secs_f64();
        println!(
            "{what}: {wall:.2} s wall, {:.2} s CPU, {:.0} MB/s, peak memory {} MB so far",
            cpu()? - self.cpu,
            bytes as f64 / wall / 1e6,
            peak_memory()? / 1000,
        );
        Ok(())
    }
}

/// Seconds of CPU this process used, from `/proc/self/stat` (hundredths).
fn cpu() -> io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|f| f.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// Kilobytes resident at most, from `/proc/self/status`.
fn peak_memory() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line
        .and_then(|l| l.split_whitespace().next()?.parse().ok())
        .unwrap_or(0))
}
