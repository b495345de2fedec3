//! What is backed up: a WordPress with its database, of a chosen size.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, ensure};

use backupd_testkit::{Database, MariaDb, WordPress, site};

use crate::chain::Chain;

/// The same site for the same size.
const SEED: u32 = 20_250_101;
/// What one post takes in a dump, with its meta data.
const POST_BYTES: u64 = 7_000;

/// A site, its database, and what a tool needs to read it.
pub struct Site {
    server: MariaDb,
    wordpress: WordPress,
    options: PathBuf,
}

impl Site {
    /// A site whose files and dump come to about `size` bytes: a tenth database, a quarter text that
    /// compresses, and the rest uploads that do not. `folder` gets the client's option file.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn generate(size: u64, folder: &Path) -> Result<Self> {
        let server = MariaDb::start();
        let wordpress = WordPress::install(&server);
        let posts = u32::try_from(size / 10 / POST_BYTES).context("choose a smaller size")?;
        wordpress.fill(posts, 10, 0, SEED);
        site::generate(
            wordpress.root(),
            size / 4,
            size - size / 10 - size / 4,
            SEED.into(),
        );
        let database = wordpress.database();
        let options = folder.join("client.cnf");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&options)
            .context("create the client's option file")?;
        write!(
            file,
            "[client]\nuser={}\npassword={}\nsocket={}\n",
            database.user,
            database.password,
            database.socket.display()
        )
        .context("write the client's option file")?;
        Ok(Self {
            server,
            wordpress,
            options,
        })
    }

    /// The folder with `wp-config.php` and `wp-content`.
    pub fn root(&self) -> &Path {
        self.wordpress.root()
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        self.wordpress.database()
    }

    /// The dump that every side makes, with the options of this agent.
    pub fn dump(&self) -> Command {
        let mut dump = Command::new("mariadb-dump");
        dump.arg(format!("--defaults-file={}", self.options.display()))
            .args(["--single-transaction", "--quick", "--routines", "--events"])
            .args(["--triggers", "--hex-blob", "--no-tablespaces"])
            .args(["--default-character-set=utf8mb4", "--max-allowed-packet=1G"])
            .arg(&self.database().name);
        dump
    }

    /// What the dump takes, compressed as every side does it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn compressed_dump(&self) -> Result<u64> {
        let mut zstd = Command::new("zstd");
        zstd.args(["--threads=0", "--quiet"]);
        let file = tempfile::NamedTempFile::new().context("make a temporary file")?;
        let chain = Chain::of([self.dump(), zstd]).into_file(file.path())?;
        for mut link in chain.start()?.links {
            link.finish()?;
        }
        let metadata = file.path().metadata().context("measure the dump")?;
        Ok(metadata.len())
    }

    /// Loads a dump into a fresh database and fails unless every table has the original's rows.
    ///
    /// # Errors
    /// When the dump does not load, or holds something else.
    pub fn compare_dump(&self, dump: &Path) -> Result<()> {
        let fresh = self.server.create_database("restored");
        self.server
            .load(&fresh.name, dump)
            .map_err(|error| anyhow!("load the restored dump: {error}"))?;
        let ours = self.server.checksums(&self.database().name);
        let theirs = self.server.checksums(&fresh.name);
        self.server
            .execute(&format!("DROP DATABASE `{}`", fresh.name));
        ensure!(
            ours == theirs,
            "the restored database differs:\n{ours:?}\n{theirs:?}"
        );
        Ok(())
    }
}
