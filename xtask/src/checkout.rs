//! Where things are: this checkout, its files, and the cache folder outside of it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::command;

/// This checkout of the repository.
pub struct Checkout {
    root: PathBuf,
    cache: PathBuf,
}

impl Checkout {
    /// The checkout this program was built from.
    ///
    /// # Errors
    /// When neither BACKUPD_CACHE nor a home folder is set.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask lies below the root");
        Ok(Self {
            root: root.to_owned(),
            cache: cache()?,
        })
    }

    /// The top of the checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The interface's folder.
    pub fn ui(&self) -> PathBuf {
        self.root.join("ui")
    }

    /// Downloaded tools, one folder each. Tests find them there too.
    pub fn tools(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// A command that runs at the top of the checkout.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("BACKUPD_CACHE", &self.cache);
        command
    }

    /// Cargo, as it was used to start this program.
    pub fn cargo(&self) -> Command {
        self.command(&env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
    }

    /// Every file that is or would be committed, relative to the root, sorted.
    ///
    /// # Errors
    /// When this is no git checkout.
    pub fn files(&self) -> Result<Vec<String>> {
        let listed = command::output(self.command("git").args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut files: Vec<String> = listed
            .split('\0')
            .filter(|name| !name.is_empty())
            .filter(|name| self.root.join(name).symlink_metadata().is_ok()) // deleted, not yet committed
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        ensure!(!files.is_empty(), "git lists no file");
        Ok(files)
    }
}

fn cache() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("BACKUPD_CACHE") {
        return Ok(folder.into());
    }
    if let Some(folder) = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(Path::new(&folder).join("backupd"));
    }
    let home = env::home_dir().context("find the cache folder: set BACKUPD_CACHE")?;
    Ok(home.join(".cache/backupd"))
}
