//! What many servers do by script: dump and tar through zstd and age into rclone.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use backupd_testkit::SeaweedFs;

use super::Contender;
use crate::{arena::Arena, chain::Chain};

/// `mariadb-dump | zstd` and `tar | zstd -T0`, each `| age | rclone rcat`.
pub struct Pipes;

impl Pipes {
    fn rclone(arena: &Arena, verb: &str, object: &str) -> Command {
        let mut rclone = arena.command("rclone");
        rclone
            .arg("--config")
            .arg(
                arena
                    .scratch()
                    .with_file_name("settings")
                    .join("rclone.conf"),
            )
            .arg(verb)
            .arg(format!("store:{}/{object}", SeaweedFs::BUCKET));
        rclone
    }

    fn pack(arena: &Arena, source: Command, object: &str) -> Chain {
        let mut zstd = arena.command("zstd");
        zstd.args(["--threads=0", "--quiet"]);
        let mut age = arena.command("age");
        for recipient in &arena.keys.recipients {
            age.args(["--recipient", recipient]);
        }
        Chain::of([source, zstd, age, Self::rclone(arena, "rcat", object)])
    }

    fn unpack(arena: &Arena, object: &str, rest: Option<Command>) -> Chain {
        let mut age = arena.command("age");
        age.args(["--decrypt", "--identity"])
            .arg(&arena.keys.identity);
        let mut zstd = arena.command("zstd");
        zstd.args(["--decompress", "--quiet"]);
        let start = [Self::rclone(arena, "cat", object), age, zstd];
        Chain::of(start.into_iter().chain(rest))
    }
}

impl Contender for Pipes {
    fn name(&self) -> &'static str {
        "tar, zstd, age, rclone"
    }

    fn prepare(&self, arena: &Arena) -> Result<()> {
        let key = arena.store.full_key();
        let text = format!(
            "[store]\ntype = s3\nprovider = Other\nregion = us-east-1\nendpoint = {}\n\
             access_key_id = {}\nsecret_access_key = {}\nno_check_bucket = true\n",
            arena.store.endpoint(),
            key.access_key,
            key.secret_key
        );
        arena.settings("rclone.conf", &text).map(drop)
    }

    fn backup(&self, arena: &Arena) -> Result<Vec<Chain>> {
        let mut tar = arena.command("tar");
        tar.arg("--directory").arg(arena.site.root()).args([
            "--create",
            "--format=posix",
            "wp-content",
        ]); // else times lose their fractions
        Ok(vec![
            Self::pack(arena, arena.site.dump(), "database.sql.zst.age"),
            Self::pack(arena, tar, "files.tar.zst.age"),
        ])
    }

    fn restore(&self, arena: &Arena) -> Result<Vec<Chain>> {
        let into = arena.restored();
        std::fs::create_dir(&into).context("create the folder for the restore")?;
        let mut tar = arena.command("tar");
        tar.arg("--directory").arg(&into).arg("--extract");
        let (_, dump) = self.restored(arena);
        Ok(vec![
            Self::unpack(arena, "database.sql.zst.age", None).into_file(&dump)?,
            Self::unpack(arena, "files.tar.zst.age", Some(tar)),
        ])
    }

    fn restored(&self, arena: &Arena) -> (PathBuf, PathBuf) {
        let into = arena.restored();
        (into.join("wp-content"), into.join("database.sql"))
    }
}
