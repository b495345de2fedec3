//! The database of a restore in place: the present one dumped and kept, the snapshot's loaded as
//! the site's own user, and back.

use std::{
    fs::File,
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

use backupd_archive::{EntryPath, FrameSpool};
use backupd_base::{Code, Context as _, Error, Result};
use serde::{Deserialize, Serialize};

use super::snapshot::Stored;
use crate::modules::{
    Database, EnvironmentDatabase,
    mysql::{dump::Dump, load, schema::Schema},
    tool::Limits,
};

/// zstd's usual level.
const LEVEL: i32 = 3;
const WORKERS: usize = 2;

/// A dump on this disk and the tables that are in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptDump {
    spool: FrameSpool,
    tables: Vec<String>,
}

impl KeptDump {
    /// Dumps the database as it is into `folder`.
    pub fn of_present(
        database: &Database,
        folder: &Path,
        limits: &Limits,
        mut progress: impl FnMut(u64) -> Result<()>,
    ) -> Result<Self> {
        let access = &database.access;
        let mut dump = Dump::start(access, folder, limits, |schema| {
            (database.ignores)(schema, &database.prefix)
        })?;
        let mut spool = FrameSpool::create(&folder.join("former.sql.zst"), WORKERS, LEVEL)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let n = dump.read(&mut buffer).context("read the dump")?;
            if n == 0 {
                break;
            }
            spool.write_all(&buffer[..n]).context("spool the dump")?;
            progress(n as u64)?;
        }
        let dumped = dump.finish(access, folder)?;
        let description = EnvironmentDatabase::new(&access.database, &database.prefix, &dumped);
        Ok(Self {
            spool: spool.finish()?,
            tables: names(&description),
        })
    }

    /// Takes the dump of a snapshot to `folder`, its hash checked.
    pub fn of_snapshot(
        source: &Stored,
        description: &EnvironmentDatabase,
        folder: &Path,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Self> {
        let path = folder.join("snapshot.sql.zst");
        let mut spool = FrameSpool::create(&path, WORKERS, LEVEL)?;
        let entry = EntryPath::new("database.sql")?;
        source.ranged()?.copy_file(&entry, &mut spool, progress)?;
        Ok(Self {
            spool: spool.finish()?,
            tables: names(description),
        })
    }

    /// Bytes of the dump, uncompressed.
    pub fn bytes(&self) -> u64 {
        self.spool.raw_bytes()
    }

    /// Removes its file.
    pub fn discard(&self) -> Result<()> {
        let path = self.spool.path();
        std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))
    }

    /// Makes the database what the dump holds: the site's tables that are not in it go, then it is
    /// loaded, then its tables are looked for.
    pub fn load(
        &self,
        database: &Database,
        folder: &Path,
        limits: &Limits,
        progress: impl FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let access = &database.access;
        // What an earlier load still does must not change the tables looked at next.
        load::load(access, folder, limits, io::empty(), |_| Ok(()))?;
        self.drop_others(database, folder)?;
        let dump = self.read()?;
        load::load(access, folder, limits, dump, progress)?;
        let schema = Schema::read(access, folder)?;
        let there = |name: &String| schema.tables.iter().any(|t| t.name == *name);
        match self.tables.iter().find(|name| !there(name)) {
            None => Ok(()),
            Some(name) => {
                let why = format!("table {name} is not there after the dump was loaded");
                Err(Error::new(Code::Tool, why))
            }
        }
    }

    /// Tables of the site that came after the dump. Only with its prefix, and none of another
    /// site in the same database.
    fn drop_others(&self, database: &Database, folder: &Path) -> Result<()> {
        let schema = Schema::read(&database.access, folder)?;
        let others = (database.ignores)(&schema, &database.prefix);
        let mut sql = String::from("SET FOREIGN_KEY_CHECKS = 0;");
        let mut any = false;
        for table in &schema.tables {
            let ours = table.name.starts_with(&database.prefix) && !others.contains(&table.name);
            if ours && !self.tables.contains(&table.name) {
                any = true;
                let kind = if table.is_view() { "VIEW" } else { "TABLE" };
                let name = table.name.replace('`', "``");
                sql.push_str(&format!("DROP {kind} IF EXISTS `{name}`;"));
            }
        }
        if any {
            load::load(
                &database.access,
                folder,
                &Limits::default(),
                sql.as_bytes(),
                |_| Ok(()),
            )?;
        }
        Ok(())
    }

    fn read(&self) -> Result<impl Read + use<>> {
        let path = self.spool.path();
        let what = || format!("read {}", path.display());
        let file = File::open(path).with_context(what)?;
        let reader = zstd::Decoder::new(file).with_context(what)?;
        Ok(Whole {
            reader,
            left: self.spool.raw_bytes(),
            path: path.to_owned(),
        })
    }
}

/// Fails where the content ends before its size: each frame has its checksum, but a file can lose
/// its last frames.
struct Whole<R> {
    reader: R,
    left: u64,
    path: PathBuf,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(into)?;
        self.left = self.left.saturating_sub(n as u64);
        if n == 0 && !into.is_empty() && self.left > 0 {
            let why = format!("{} lacks {} bytes", self.path.display(), self.left);
            return Err(Error::new(Code::Corrupt, why).into());
        }
        Ok(n)
    }
}

fn names(description: &EnvironmentDatabase) -> Vec<String> {
    description.tables.iter().map(|t| t.name.clone()).collect()
}
