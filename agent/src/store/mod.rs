//! The agent's SQLite, `$BACKUPD_DATA_DIR/agent.db`: one file here per table, its SQL beside its
//! functions.
//!
//! A commit is durable when it returns (WAL, `synchronous=FULL`). The data folder belongs to one
//! process at a time. Deliberately not here: what the rows mean.

pub mod column;
pub mod enrolment;
pub mod events;
pub mod figures;
pub mod formers;
pub mod jobs;
pub mod meta;
pub mod providers;
pub mod removals;
pub mod removed;
pub mod schedules;
pub mod snapshots;
pub mod sources;
pub mod transfers;
pub mod windows;

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use backupd_base::{Code, Context, Error, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

/// Every step the schema took, oldest first. A released step never changes; new ones are appended.
fn migrations() -> Migrations<'static> {
    Migrations::new(vec![
        M::up(meta::TABLE),
        M::up(events::TABLE),
        M::up(jobs::TABLE),
        M::up(snapshots::TABLE),
        M::up(transfers::TABLE),
        M::up(enrolment::TABLE),
        M::up(windows::TABLE),
        M::up(providers::TABLE),
        M::up(sources::TABLE),
        M::up(formers::TABLE),
        M::up(snapshots::HELD),
        M::up(removals::TABLE),
        M::up(removed::TABLE),
        M::up(jobs::RETRIES),
        M::up(jobs::ORIGIN),
        M::up(schedules::TABLE),
    ])
}

/// The open database, and the lock that keeps a second instance out.
#[derive(Debug)]
pub struct Store {
    db: Mutex<Connection>,
    dir: PathBuf,
    // Held, never read: the kernel drops the lock with the process, however it ends.
    _lock: File,
}

impl Store {
    /// Opens (or makes) the database in the data folder `dir` and brings its schema up to date,
    /// after a copy of the file as it was.
    ///
    /// # Errors
    /// `Conflict` when another process has the folder; `Incompatible` when a newer program wrote
    /// the schema; else what SQLite or the disk says.
    pub fn open(dir: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("make data folder {}", dir.display()))?;
        let lock = lock(dir)?;
        let path = dir.join("agent.db");
        let is_new = !path.exists();
        // Made by us with its mode first: SQLite would use the umask, and gives WAL and
        // journal files the mode of the database.
        fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("make {}", path.display()))?;
        let mut db = Connection::open(&path).with_context(|| format!("open {}", path.display()))?;
        db.busy_timeout(Duration::from_secs(5))
            .context("set the database's patience")?;
        for (name, value) in [
            ("journal_mode", "WAL"),
            ("synchronous", "FULL"),
            ("foreign_keys", "ON"),
        ] {
            db.pragma_update(None, name, value)
                .with_context(|| format!("set {name} to {value}"))?;
        }
        migrate(&mut db, &path, is_new)?;
        Ok(Self {
            db: Mutex::new(db),
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// The data folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads. Blocks for as long as the query takes; queries here are short.
    ///
    /// # Errors
    /// What `query` fails with.
    pub fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        query(&self.db())
    }

    /// Changes in one transaction: durable on `Ok`, undone on `Err`. Blocks for one fsync.
    ///
    /// # Errors
    /// What `change` fails with, or `DiskFull` and the like from the commit.
    pub fn write<T>(&self, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut db = self.db();
        let tx = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .context("begin a change of the database")?;
        let value = change(&tx)?;
        tx.commit().context("commit a change of the database")?;
        Ok(value)
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic while it was held rolled its transaction back: the connection is sound.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A daemon that is restarted finds the lock of the former one for a moment.
const LETS_GO: Duration = Duration::from_millis(500);

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("agent.lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // One that has just ended lets go when its last child has begun its own program.
            Err(TryLockError::WouldBlock) if begun.elapsed() < LETS_GO => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let why = format!("another backupd already uses {}", dir.display());
                return Err(Error::new(Code::Conflict, why));
            }
            Err(TryLockError::Error(e)) => {
                return Err(Error::caused(format!("lock {}", path.display()), e));
            }
        }
    }
}

fn migrate(db: &mut Connection, path: &Path, is_new: bool) -> Result<()> {
    let migrations = migrations();
    let pending = migrations
        .pending_migrations(db)
        .context("read the version of the database")?;
    if pending < 0 {
        return Err(Error::new(
            Code::Incompatible,
            format!("{} was written by a newer backupd", path.display()),
        ));
    }
    if pending > 0 && !is_new {
        copy_before(db, path)?;
    }
    migrations
        .to_latest(db)
        .context("bring the database up to date")
}

/// `VACUUM INTO` sees a consistent state, WAL included, which a copy of the file would not.
fn copy_before(db: &Connection, path: &Path) -> Result<()> {
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .context("read the version of the database")?;
    let copy = path.with_extension(format!("db.before-{version}"));
    if copy.exists() {
        fs::remove_file(&copy).with_context(|| format!("remove {}", copy.display()))?;
    }
    db.execute("VACUUM INTO ?1", [copy.to_string_lossy()])
        .with_context(|| format!("copy the database to {}", copy.display()))?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("protect {}", copy.display()))?;
    File::open(&copy)
        .and_then(|file| file.sync_all())
        .with_context(|| format!("sync {}", copy.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_kept_out_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::open(dir.path()).unwrap();
        assert_eq!(Store::open(dir.path()).unwrap_err().code(), Code::Conflict);
        drop(first);
        Store::open(dir.path()).unwrap();
    }

    #[test]
    fn it_commits_durably_and_keeps_references() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let pragma = |name: &str| -> String {
            store
                .read(|db| {
                    db.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
                        .context("pragma")
                })
                .map(|v| match v {
                    rusqlite::types::Value::Text(t) => t,
                    rusqlite::types::Value::Integer(i) => i.to_string(),
                    other => format!("{other:?}"),
                })
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(pragma("synchronous"), "2");
        assert_eq!(pragma("foreign_keys"), "1");
    }

    #[test]
    fn nobody_else_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let store = Store::open(&data).unwrap();
        store.write(|tx| meta::set(tx, "k", "v")).unwrap();
        for entry in fs::read_dir(&data).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
        let mode = fs::metadata(&data).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
    }

    #[test]
    fn an_older_schema_is_copied_before_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        // As a program that knew the first step only would have left it.
        let path = dir.path().join("agent.db");
        let mut db = Connection::open(&path).unwrap();
        migrations().to_version(&mut db, 1).unwrap();
        meta::set(&db, "k", "old").unwrap();
        drop(db);
        let copy = dir.path().join("agent.db.before-1");
        drop(Store::open(dir.path()).unwrap());
        let db = Connection::open(&copy).unwrap();
        let kept: String = db
            .query_row("SELECT value FROM meta WHERE key = 'k'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(kept, "old");
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let db = Connection::open(dir.path().join("agent.db")).unwrap();
        db.pragma_update(None, "user_version", 999).unwrap();
        drop(db);
        assert_eq!(
            Store::open(dir.path()).unwrap_err().code(),
            Code::Incompatible
        );
    }

    #[test]
    fn the_migrations_hold_together() {
        migrations().validate().unwrap();
    }
}
