//! `backup_files` and `create_bundle`: the description, the dump and the files become one archive,
//! which goes into the uploads while it is made. Only the encrypted index lies on this disk.

use std::{
    fs::{File, OpenOptions},
    io::BufWriter,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use backupd_archive::{
    ArchiveOptions, ArchiveSummary, ArchiveWriter, EntryPath, TreeOptions, parse_recipient,
    tree_size,
};
use backupd_base::{Code, Context as _, Result};

use super::{
    BACKUP_FILES, CREATE_BUNDLE, UPLOAD_REMOTE,
    dump::Spool,
    run::Run,
    tee::{Tee, TeeWriter},
};
use crate::{
    jobs::{Failure, For, InStage as _},
    modules::{Plan, Tree},
};

/// So many warnings are told one by one; the rest are counted.
const TOLD_WARNINGS: usize = 100;

/// A finished archive that is on its way, and its index on this disk.
pub(super) struct Bundle {
    pub summary: ArchiveSummary,
    pub index: PathBuf,
    pub consistent: bool,
    pub created_at: chrono::DateTime<chrono::Utc>,
}

type Writer = ArchiveWriter<TeeWriter, BufWriter<File>>;

/// Counts what is going to be read, so that progress is of a known whole. Returns bytes.
pub(super) fn measure(run: &Run<'_>, plan: &Plan) -> Result<u64> {
    run.track.begin(BACKUP_FILES)?;
    let (mut bytes, mut files) = (0, 0);
    for tree in &plan.trees {
        let _waits = run.track.waits(BACKUP_FILES, For::Stream, below(tree));
        let size = tree_size(&tree.root, &options(tree), &mut |_| {
            run.track.beat();
            run.track.check()
        })?;
        bytes += size.bytes;
        files += size.entries;
    }
    run.track.progress(BACKUP_FILES, |p| {
        p.total_bytes = Some(bytes);
        p.total_files = Some(files);
    });
    Ok(bytes)
}

/// Reads everything once and writes the archive into the uploads.
pub(super) fn stream(run: &Run<'_>, plan: Plan, dump: Spool, tee: &Tee) -> Result<Bundle, Failure> {
    let outcome = make(run, &plan, &dump, tee);
    outcome.map_err(|failure| {
        // The archive stops because its writer did.
        let lost_all = tee.providers().is_empty() && failure.error.code() != Code::Cancelled;
        let stage = if lost_all {
            UPLOAD_REMOTE
        } else {
            failure.stage
        };
        Failure { stage, ..failure }
    })
}

fn make(run: &Run<'_>, plan: &Plan, dump: &Spool, tee: &Tee) -> Result<Bundle, Failure> {
    let track = run.track;
    track.begin(CREATE_BUNDLE).in_stage(CREATE_BUNDLE)?;
    track.lead(CREATE_BUNDLE);
    let job = track.job();
    let files = job.stages.iter().find(|stage| stage.name == BACKUP_FILES);
    let file_progress = files.map(|stage| stage.progress).unwrap_or_default();
    let dump_bytes = dump.spool.as_ref().map_or(0, |spool| spool.raw_bytes());
    track.progress(CREATE_BUNDLE, |p| {
        p.total_bytes = file_progress.total_bytes.map(|bytes| bytes + dump_bytes);
        p.total_files = file_progress.total_files;
    });

    let index = run.folder.join("index.jsonl.zst.age");
    let mut writer = open(run, tee, &index).in_stage(CREATE_BUNDLE)?;
    describe(&mut writer, plan, dump, run).in_stage(CREATE_BUNDLE)?;
    read_files(&mut writer, plan, dump_bytes, run).in_stage(BACKUP_FILES)?;
    let finished = writer.finish().in_stage(CREATE_BUNDLE)?;
    let summary = finished.summary;
    let list = summary.warnings.list();
    for warning in list.iter().take(TOLD_WARNINGS) {
        track.warn(warning.to_string());
    }
    let told = list.len().min(TOLD_WARNINGS) as u64;
    if summary.warnings.total() > told {
        let more = summary.warnings.total() - told;
        track.warn(format!("and {more} more files with warnings"));
    }
    for (name, value) in [
        ("tar_bytes", summary.tar_bytes),
        ("archive_bytes", summary.archive_bytes),
        ("index_bytes", summary.index_bytes),
        ("entries", summary.entries),
    ] {
        track.detail(CREATE_BUNDLE, name, value);
    }
    let message = format!("Bundled {} entries.", summary.entries);
    track
        .complete(CREATE_BUNDLE, message)
        .in_stage(CREATE_BUNDLE)?;
    Ok(Bundle {
        summary,
        index,
        consistent: dump.consistent,
        created_at: plan.environment.created_at,
    })
}

fn open(run: &Run<'_>, tee: &Tee, index: &PathBuf) -> Result<Writer> {
    let index = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(index)
        .with_context(|| format!("make {}", index.display()))?;
    let recipients = run.source.recipients.iter().map(|r| parse_recipient(r));
    let mut options = ArchiveOptions::new(recipients.collect::<Result<_>>()?);
    options.turns = Some(run.turns());
    ArchiveWriter::new(tee.writer(), BufWriter::new(index), options)
}

/// `backup.json` and `database.sql`, first: who reads the archive from the front knows at once
/// what it is.
fn describe(writer: &mut Writer, plan: &Plan, dump: &Spool, run: &Run<'_>) -> Result<()> {
    let json = serde_json::to_vec_pretty(&plan.environment).context("describe the backup")?;
    let created_at = plan.environment.created_at;
    writer.append_bytes(&EntryPath::new("backup.json")?, &json, created_at)?;
    if let Some(spool) = &dump.spool {
        let path = EntryPath::new("database.sql")?;
        writer.append_spool(&path, spool, created_at, &mut |bytes| {
            run.track.check()?;
            run.track.progress(CREATE_BUNDLE, |p| p.done_bytes = bytes);
            Ok(())
        })?;
        // It is in the archive now; the disk is the site's.
        std::fs::remove_file(spool.path()).context("remove the spooled dump")?;
    }
    Ok(())
}

fn read_files(writer: &mut Writer, plan: &Plan, dump_bytes: u64, run: &Run<'_>) -> Result<()> {
    let track = run.track;
    let (mut bytes, mut files) = (0, 0);
    for tree in &plan.trees {
        let mut last = Default::default();
        let prefix = EntryPath::new(tree.prefix.as_str())?;
        let _waits = track.waits(BACKUP_FILES, For::Stream, below(tree));
        writer.append_tree(&tree.root, &prefix, &options(tree), &mut |progress| {
            track.check()?;
            last = progress;
            let (bytes, files) = (bytes + progress.bytes, files + progress.entries);
            track.progress(BACKUP_FILES, |p| {
                p.done_bytes = bytes;
                p.done_files = files;
            });
            track.progress(CREATE_BUNDLE, |p| {
                p.done_bytes = dump_bytes + bytes;
                p.done_files = files;
            });
            Ok(())
        })?;
        bytes += last.bytes;
        files += last.entries;
    }
    // A site grows and shrinks while it is read: the whole is what it came to.
    track.progress(BACKUP_FILES, |p| {
        p.total_bytes = Some(bytes);
        p.total_files = Some(files);
    });
    track.progress(CREATE_BUNDLE, |p| {
        p.total_bytes = Some(dump_bytes + bytes);
        p.total_files = Some(files);
    });
    track.complete(BACKUP_FILES, format!("Read {files} files and folders."))
}

fn below(tree: &Tree) -> String {
    format!("files below {}", tree.root.display())
}

fn options(tree: &Tree) -> TreeOptions {
    TreeOptions {
        exclude: tree.patterns(),
        ..TreeOptions::default()
    }
}
