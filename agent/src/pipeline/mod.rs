//! A backup, in one chain: dump → archive → stores → manifest → catalogue. What holds for every
//! module is here; what a source consists of, its module says.
//!
//! `backup_db` runs first and alone, since a dump wants a short transaction. `backup_files`,
//! `create_bundle` and `upload_remote` are one stream and run at the same time: a file is read
//! once and leaves as part of an upload. With several providers the stream is teed, so that files
//! are still read once and every provider holds the very same snapshot, with one manifest; the
//! slowest sets the pace.

mod bundle;
mod commit;
mod dump;
mod resume;
mod run;
pub mod settle;
mod tee;

use std::sync::Arc;

use backupd_archive::parse_recipient;
use backupd_base::{Code, Context as _, Error, Result};
use backupd_protocol::Source;
use tokio::runtime::Handle;

use crate::{
    jobs::{Failure, InStage as _, Parts, Track},
    modules,
};
use resume::Beginning;
use run::Run;
pub use run::{folder_of, folders, make_private};
use tee::Tee;

/// The dump of the database.
pub const BACKUP_DB: &str = "backup_db";
/// Reading files.
pub const BACKUP_FILES: &str = "backup_files";
/// Tar, compression, encryption.
pub const CREATE_BUNDLE: &str = "create_bundle";
/// Sending, committing, checking.
pub const UPLOAD_REMOTE: &str = "upload_remote";
/// Removing what the job made on this disk, and what it left half-done elsewhere.
pub const CLEANUP: &str = "cleanup";
/// The stages of a backup, in order.
pub const STAGES: &[&str] = &[
    BACKUP_DB,
    BACKUP_FILES,
    CREATE_BUNDLE,
    UPLOAD_REMOTE,
    CLEANUP,
];

/// Checks that a source can be backed up as it is configured.
///
/// # Errors
/// `Invalid`, naming what is wrong.
pub fn check(source: &Source) -> Result<()> {
    modules::find(&source.module)?.check(&source.settings)?;
    for recipient in &source.recipients {
        parse_recipient(recipient)?;
    }
    if let Some(rule) = &source.retention {
        rule.check()
            .with_context(|| format!("retention of {}", source.name))?;
    }
    let why = if source.providers.is_empty() {
        "has no provider to go to"
    } else if source.recipients.len() < 2 {
        "needs at least two recipients, so that one lost key loses nothing"
    } else {
        return Ok(());
    };
    Err(Error::new(Code::Invalid, format!("{} {why}", source.name)))
}

/// Runs a backup on this thread, to its end: whatever comes of it, nothing is left behind on this
/// disk or half-done in a store.
///
/// # Errors
/// What failed, with its stage.
pub fn run(parts: &Parts, track: &Arc<Track>, runtime: &Handle) -> Result<(), Failure> {
    let mut run = Run::new(parts, track, runtime).in_stage(BACKUP_DB)?;
    let outcome = begin(&mut run);
    run.clean(outcome.is_ok());
    outcome
}

fn begin(run: &mut Run<'_>) -> Result<(), Failure> {
    match resume::find(run).in_stage(BACKUP_DB)? {
        Beginning::Kept(kept) => resume::complete(run, *kept).in_stage(UPLOAD_REMOTE),
        Beginning::Afresh(why) => {
            if let Some(why) = why {
                run.track
                    .note(BACKUP_DB, format!("From the beginning: {why}."));
            }
            backup(run)
        }
    }
}

fn backup(run: &Run<'_>) -> Result<(), Failure> {
    let mut plan = run.plan().in_stage(BACKUP_DB)?;
    let spool = dump::spool(run, &mut plan).in_stage(BACKUP_DB)?;
    let size = bundle::measure(run, &plan).in_stage(BACKUP_FILES)?;
    let _place = run.network().in_stage(UPLOAD_REMOTE)?;
    run.track.begin(UPLOAD_REMOTE).in_stage(UPLOAD_REMOTE)?;
    let size = size + spool.compressed_bytes();
    let tee = Tee::open(run, &run.source.providers, size).in_stage(UPLOAD_REMOTE)?;
    let bundle = bundle::stream(run, plan, spool, &tee)?;
    commit::commit(run, &tee, bundle).in_stage(UPLOAD_REMOTE)
}
