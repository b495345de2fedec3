//! restic, into an empty repository: it deduplicates later backups, but the first is what a
//! restore reads and what a new server costs.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use backupd_testkit::SeaweedFs;

use super::Contender;
use crate::{arena::Arena, chain::Chain};

/// `restic backup` of the dump and of the files.
pub struct Restic;

impl Restic {
    fn command(arena: &Arena, arguments: &[&str]) -> Command {
        let key = arena.store.full_key();
        let mut restic = arena.command("restic");
        restic
            .env("AWS_ACCESS_KEY_ID", &key.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &key.secret_key)
            .arg("--repo")
            .arg(format!(
                "s3:{}/{}/restic",
                arena.store.endpoint(),
                SeaweedFs::BUCKET
            ))
            .arg("--password-file")
            .arg(arena.scratch().with_file_name("settings").join("password"))
            .arg("--quiet")
            .args(arguments);
        restic
    }
}

impl Contender for Restic {
    fn name(&self) -> &'static str {
        "restic"
    }

    fn prepare(&self, arena: &Arena) -> Result<()> {
        arena.settings("password", "measured\n")?;
        let output = Self::command(arena, &["init"])
            .output()
            .context("start restic")?;
        ensure!(
            output.status.success(),
            "restic init: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    fn backup(&self, arena: &Arena) -> Result<Vec<Chain>> {
        let dump = [
            "backup",
            "--tag=database",
            "--stdin",
            "--stdin-filename=database.sql",
        ];
        let mut files = Self::command(arena, &["backup", "--tag=files", "wp-content"]);
        files.current_dir(arena.site.root());
        Ok(vec![
            Chain::of([arena.site.dump(), Self::command(arena, &dump)]),
            Chain::of([files]),
        ])
    }

    fn restore(&self, arena: &Arena) -> Result<Vec<Chain>> {
        let restore = |tag: &str| {
            let mut command = Self::command(arena, &["restore", "latest", tag, "--target"]);
            command.arg(arena.restored());
            Chain::of([command])
        };
        Ok(vec![restore("--tag=database"), restore("--tag=files")])
    }

    fn restored(&self, arena: &Arena) -> (PathBuf, PathBuf) {
        let into = arena.restored();
        (into.join("wp-content"), into.join("database.sql"))
    }
}
