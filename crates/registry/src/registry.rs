//! Opening the database: alone, migrated, and with a copy from before the migration.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use backupd_base::{Code, Context as _, Error, Result};
use rusqlite::Connection;
use rusqlite_migration::{M, Migrations, SchemaVersion};

/// Each step once, in order; a step that was released is never changed.
const STEPS: &[M<'static>] = &[
    M::up(include_str!("../migrations/01-first.sql")),
    M::up(include_str!("../migrations/02-retention.sql")),
    M::up(include_str!("../migrations/03-schedule.sql")),
];

/// The master's database. One process at a time has it open.
pub struct Registry {
    connection: Mutex<Connection>,
    /// Held for as long as the value lives; the system lets go of it when the process ends.
    _alone: File,
}

impl Registry {
    /// Opens the database in `folder`, making or migrating it.
    ///
    /// # Errors
    /// `Conflict` when another process has it open, `Incompatible` when a newer version wrote it.
    pub fn open(folder: &Path) -> Result<Self> {
        let alone = lock(&folder.join("registry.lock"))?;
        let path = folder.join("registry.db");
        private_file(&path).with_context(|| format!("make {}", path.display()))?;
        let mut connection =
            Connection::open(&path).with_context(|| format!("open {}", path.display()))?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;",
            )
            .context("prepare the registry")?;
        migrate(&mut connection, &path, &Migrations::from_slice(STEPS))?;
        Ok(Self {
            connection: Mutex::new(connection),
            _alone: alone,
        })
    }

    /// The connection. A thread that panicked in a transaction rolled it back.
    pub(crate) fn db(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(path: &Path) -> Result<File> {
    let file = private_file(path).with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            Code::Conflict,
            format!("another Backupd has {} open", path.display()),
        )),
        Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("lock {}", path.display())),
    }
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn migrate(connection: &mut Connection, path: &Path, steps: &Migrations<'_>) -> Result<()> {
    let version = steps
        .current_version(connection)
        .context("read the registry's version")?;
    match version {
        SchemaVersion::Outside(n) => {
            return Err(Error::new(
                Code::Incompatible,
                format!("the registry has version {n}: a newer Backupd wrote it"),
            ));
        }
        SchemaVersion::Inside(n) if steps.pending_migrations(connection).unwrap_or(1) > 0 => {
            copy(connection, &path.with_extension(format!("before-{n}.db")))?;
        }
        SchemaVersion::Inside(_) | SchemaVersion::NoneSet => {}
    }
    steps.to_latest(connection).context("migrate the registry")
}

/// A whole copy through SQLite: the file alone, without its log, would not be one.
fn copy(connection: &Connection, to: &PathBuf) -> Result<()> {
    let doing = || format!("copy the registry to {}", to.display());
    if to.exists() {
        // Left by a migration that did not come through; the database is still the older one.
        std::fs::remove_file(to).with_context(doing)?;
    }
    private_file(to).with_context(doing)?;
    connection
        .execute("VACUUM INTO ?1", [to.to_string_lossy()])
        .with_context(doing)?;
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A registry in a folder of its own.
    pub fn fresh() -> (tempfile::TempDir, Registry) {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(folder.path()).unwrap();
        (folder, registry)
    }

    #[test]
    fn the_steps_are_sound() {
        Migrations::from_slice(STEPS).validate().unwrap();
    }

    #[test]
    fn what_is_asked_of_sqlite_holds() {
        let (_folder, registry) = fresh();
        let db = registry.db();
        let ask = |what: &str| -> String {
            db.query_row(&format!("SELECT CAST({what} AS TEXT)"), [], |r| r.get(0))
                .unwrap()
        };
        let pragma = |name: &str| ask(&format!("(SELECT * FROM pragma_{name})"));
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(pragma("synchronous"), "2");
        assert_eq!(pragma("foreign_keys"), "1");
        let version = ask("sqlite_version()");
        let minor: u32 = version.split('.').nth(1).unwrap().parse().unwrap();
        assert!(minor >= 52, "bundled SQLite is {version}");
    }

    #[test]
    fn a_second_instance_is_refused_until_the_first_ends() {
        let (folder, first) = fresh();
        let second = Registry::open(folder.path()).err().unwrap();
        assert_eq!(second.code(), Code::Conflict);
        drop(first);
        Registry::open(folder.path()).unwrap();
    }

    #[test]
    fn a_newer_registry_is_left_alone() {
        let (folder, registry) = fresh();
        registry
            .db()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        drop(registry);
        let error = Registry::open(folder.path()).err().unwrap();
        assert_eq!(error.code(), Code::Incompatible);
    }

    #[test]
    fn a_copy_is_kept_from_before_a_migration() {
        let (folder, registry) = fresh();
        registry.setting_put("colour", "blue").unwrap();
        drop(registry);
        let path = folder.path().join("registry.db");
        let mut connection = Connection::open(&path).unwrap();
        let mut steps = STEPS.to_vec();
        steps.push(M::up("DELETE FROM settings; INVALID SQL;"));
        migrate(&mut connection, &path, &Migrations::from_slice(&steps)).unwrap_err();
        steps.pop();
        steps.push(M::up("DELETE FROM settings"));
        migrate(&mut connection, &path, &Migrations::from_slice(&steps)).unwrap();

        let kept = folder
            .path()
            .join(format!("registry.before-{}.db", STEPS.len()));
        let colour: String = Connection::open(&kept)
            .unwrap()
            .query_row("SELECT value FROM settings WHERE key = 'colour'", [], |r| {
                r.get(0)
            })
            .unwrap();
        assert_eq!(colour, "blue");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&kept), mode(&path)), (0o600, 0o600));
        }
    }
}
