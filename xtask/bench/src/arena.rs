//! What every side is given for one run: the site, a fresh S3 server, keys, and a folder of its own.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use backupd_testkit::SeaweedFs;
use tempfile::TempDir;

use crate::site::Site;

/// One run of one side.
pub struct Arena<'a> {
    /// What is backed up.
    pub site: &'a Site,
    /// Where to; empty at first.
    pub store: SeaweedFs,
    /// Two recipients, as a snapshot of this agent has.
    pub keys: &'a Keys,
    folder: TempDir,
}

/// An age key pair for the owner and one for the recovery.
pub struct Keys {
    /// The owner's private key.
    pub identity: PathBuf,
    /// Both public keys.
    pub recipients: [String; 2],
}

impl<'a> Arena<'a> {
    /// An arena with a server of its own.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn open(site: &'a Site, keys: &'a Keys) -> Result<Self> {
        let folder = TempDir::with_prefix("backupd-bench-").context("make a temporary folder")?;
        for name in ["scratch", "settings"] {
            fs::create_dir(folder.path().join(name)).context("make a temporary folder")?;
        }
        Ok(Self {
            site,
            store: SeaweedFs::start(),
            keys,
            folder,
        })
    }

    /// For what a side keeps on disk while it works: what lies here counts.
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// Where restores go.
    pub fn restored(&self) -> PathBuf {
        self.folder.path().join("restored")
    }

    /// Writes a file of settings that nobody else can read.
    ///
    /// # Errors
    /// When it is there already or cannot be written.
    pub fn settings(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join("settings").join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("create {name}"))?;
        file.write_all(text.as_bytes())
            .with_context(|| format!("write {name}"))?;
        Ok(path)
    }

    /// A program with an environment that holds nothing of this computer's settings.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", self.scratch())
            .env("TMPDIR", self.scratch())
            .env("XDG_CACHE_HOME", self.scratch());
        command
    }
}

impl Keys {
    /// New pairs, with their private keys in `folder`.
    ///
    /// # Errors
    /// When age is not there.
    pub fn generate(folder: &Path) -> Result<Self> {
        let pair = |name: &str| -> Result<(PathBuf, String)> {
            let path = folder.join(name);
            let output = Command::new("age-keygen")
                .arg("--output")
                .arg(&path)
                .output()
                .context("start age-keygen")?;
            ensure!(output.status.success(), "age-keygen: {}", output.status);
            let text = fs::read_to_string(&path).context("read the generated key")?;
            let recipient = text
                .lines()
                .find_map(|line| line.strip_prefix("# public key: "))
                .context("find the public key")?;
            Ok((path, recipient.to_owned()))
        };
        let (identity, owner) = pair("owner.key")?;
        let (_, recovery) = pair("recovery.key")?;
        Ok(Self {
            identity,
            recipients: [owner, recovery],
        })
    }
}
