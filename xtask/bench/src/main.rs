//! Measures this agent against the usual tools: the same generated site and database, the same S3
//! server, in one go, each several times after a warm-up. Every restore is compared with the
//! original before its numbers count.
//!
//! Deliberately not here: anything that the agent could do only for the bench. It is run as
//! `backupd backup` and `backupd restore`, as somebody would by hand.

mod arena;
mod chain;
mod contenders;
mod measure;
mod report;
mod site;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use backupd_testkit::tree_differences;
use clap::Parser;

use crate::{
    arena::{Arena, Keys},
    contenders::{Agent, Contender, Pipes, Restic},
    measure::{Cost, measure},
    report::Runs,
    site::Site,
};

/// Measures this agent against the usual tools on the same data and the same S3 server.
#[derive(Parser)]
#[command(name = "cargo xtask bench", disable_version_flag = true)]
struct Arguments {
    /// The agent's program, as released.
    #[arg(long, hide = true)]
    agent: PathBuf,
    /// Size of the site, files and dump together: bytes, or with K, M or G.
    #[arg(long, default_value = "1G", value_parser = bytes)]
    size: u64,
    /// Runs that count, after one that does not.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Print the comparisons as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Put the table into this document, between its marks.
    #[arg(long, value_name = "DOCUMENT")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    eprintln!("generating a site of {} MB", arguments.size / 1_000_000);
    let site = Site::generate(arguments.size, folder.path())?;
    let keys = Keys::generate(folder.path())?;
    let agent = Agent {
        program: &arguments.agent,
    };
    let contenders: [&dyn Contender; 3] = [&agent, &Pipes, &Restic];
    let mut sides = contenders.map(|contender| Runs {
        name: contender.name(),
        backup: Vec::new(),
        restore: Vec::new(),
    });
    for run in 0..=arguments.runs {
        for (contender, side) in contenders.iter().zip(&mut sides) {
            let name = contender.name();
            let (backup, restore) =
                once(*contender, &site, &keys).with_context(|| format!("measure {name}"))?;
            let counts = if run > 0 { "" } else { " (warm-up)" };
            eprintln!(
                "run {run}{counts}: {name}: backup {:.1} s, restore {:.1} s, the same as the original",
                backup.wall, restore.wall
            );
            if run > 0 {
                side.backup.push(backup);
                side.restore.push(restore);
            }
        }
    }
    let comparisons = report::compare(&sides, site.compressed_dump()?);
    let table = report::table(&sides);
    if arguments.json {
        let list = serde_json::to_string_pretty(&comparisons).context("print as JSON")?;
        println!("{list}");
    } else {
        println!("{table}\n{}", report::limits(&comparisons));
    }
    match &arguments.write {
        Some(document) => {
            let conditions = format!(
                "A site of {} MB, medians of {} runs after a warm-up, {} cores.\n\n",
                arguments.size / 1_000_000,
                arguments.runs,
                std::thread::available_parallelism().map_or(0, usize::from),
            );
            let limits = report::limits(&comparisons);
            report::write(document, &format!("{conditions}{table}\n{limits}"))
        }
        None => Ok(()),
    }
}

/// One backup and its restore, compared with the original.
fn once(contender: &dyn Contender, site: &Site, keys: &Keys) -> Result<(Cost, Cost)> {
    let arena = Arena::open(site, keys)?;
    let watched = [arena.scratch()];
    contender.prepare(&arena).context("prepare")?;
    let backup = measure(contender.backup(&arena)?, &watched).context("backup")?;
    let restore = measure(contender.restore(&arena)?, &watched).context("restore")?;
    let (files, dump) = contender.restored(&arena);
    let differences = tree_differences(&site.root().join("wp-content"), &files);
    ensure!(
        differences.is_empty(),
        "the restored files differ: {}",
        differences[..differences.len().min(5)].join("; ")
    );
    site.compare_dump(&dump)?;
    Ok((backup, restore))
}

fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'K')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        Some((at, 'G')) => (&text[..at], 1_000_000_000),
        _ => (text, 1),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "a number, with K, M, G or nothing behind it".to_owned())
}
