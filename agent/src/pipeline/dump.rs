//! `backup_db`: the dump, compressed on its way into a spool in the job's folder. The plain dump
//! never lies on the disk.

use std::io::{Read as _, Write as _};

use backupd_archive::FrameSpool;
use backupd_base::{Context as _, Result};

use super::{BACKUP_DB, run::Run};
use crate::{
    jobs::For,
    modules::{EnvironmentDatabase, Plan, mysql::dump::Dump},
};

/// zstd's usual level, for the dump and for files.
pub(super) const LEVEL: i32 = 3;
/// A dump is one stream of the database server: more than two threads wait for it.
const WORKERS: usize = 2;

/// The dump of a source, or that it has no database.
pub(super) struct Spool {
    pub spool: Option<FrameSpool>,
    /// Rows of all tables are of one moment.
    pub consistent: bool,
}

impl Spool {
    /// Bytes that it adds to the archive.
    pub fn compressed_bytes(&self) -> u64 {
        self.spool.as_ref().map_or(0, |s| s.compressed_bytes())
    }
}

/// Dumps the database of `plan` and adds what was learnt to its description.
pub(super) fn spool(run: &Run<'_>, plan: &mut Plan) -> Result<Spool> {
    let Some(database) = &plan.database else {
        run.track.skip(BACKUP_DB, "The source has no database.")?;
        return Ok(Spool {
            spool: None,
            consistent: true,
        });
    };
    run.track.lead(BACKUP_DB);
    let access = &database.access;
    let what = format!("the dump of database {}", access.database);
    let _waits = run.track.waits(BACKUP_DB, For::Database, what);
    let mut dump = Dump::start(access, &run.folder, &run.limits(), |schema| {
        (database.ignores)(schema, &database.prefix)
    })?;
    let mut spool = FrameSpool::create_in_turns(
        &run.folder.join("database.sql.zst"),
        WORKERS,
        LEVEL,
        Some(run.turns()),
    )?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let n = dump.read(&mut buffer).context("read the dump")?;
        if n == 0 {
            break;
        }
        run.track.check()?;
        spool.write_all(&buffer[..n]).context("spool the dump")?;
        run.track.progress(BACKUP_DB, |p| p.done_bytes += n as u64);
    }
    let dumped = dump.finish(access, &run.folder)?;
    let spool = spool.finish()?;
    run.track
        .progress(BACKUP_DB, |p| p.total_bytes = Some(spool.raw_bytes()));
    let description = EnvironmentDatabase::new(&access.database, &database.prefix, &dumped);
    for (name, value) in [
        ("tables", description.tables.len().to_string()),
        ("dump_bytes", spool.raw_bytes().to_string()),
        ("compressed_bytes", spool.compressed_bytes().to_string()),
        ("tool", dumped.tool_version.clone()),
        ("server", dumped.schema.server.clone()),
    ] {
        run.track.detail(BACKUP_DB, name, value);
    }
    for warning in &dumped.warnings {
        run.track.warn(warning.clone());
    }
    let message = format!("Dumped {} tables.", description.tables.len());
    plan.environment.database = Some(description);
    run.track.complete(BACKUP_DB, message)?;
    Ok(Spool {
        spool: Some(spool),
        consistent: dumped.not_transactional.is_empty(),
    })
}
