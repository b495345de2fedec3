//! A server protected by hand: a configuration file, the command line, no master. With the program
//! alone first, then through a daemon.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use backupd_archive::Keypair;
use backupd_base::ExposeSecret as _;
use backupd_testkit::{MariaDb, SeaweedFs, WordPress, assert_same_tree};
use serde_json::Value;

use crate::killed::{Daemon, backupd};

/// Such a server: one site, its own store and a bucket.
pub struct ByHand {
    dir: tempfile::TempDir,
    pub site: WordPress,
    secret: String,
    // Held while the site and the bucket are needed.
    _servers: (std::sync::Arc<MariaDb>, std::sync::Arc<SeaweedFs>),
}

impl ByHand {
    pub fn new() -> Self {
        let (mariadb, s3) = (MariaDb::shared(), SeaweedFs::shared());
        let site = WordPress::install(&mariadb);
        site.fill(20, 2, 1, 7);
        let dir = tempfile::tempdir().unwrap();
        let (owner, recovery) = (Keypair::generate(), Keypair::generate());
        private(
            &dir.path().join("key.txt"),
            owner.to_secret().expose_secret(),
        );
        let other = Keypair::generate();
        private(
            &dir.path().join("other.txt"),
            other.to_secret().expose_secret(),
        );
        let credentials = dir.path().join("s3.toml");
        let key = s3.full_key();
        private(
            &credentials,
            &format!(
                "access_key_id = {:?}\nsecret_access_key = {:?}\n",
                key.access_key, key.secret_key
            ),
        );
        let config = format!(
            r#"
            recipients = ["{}", "{}"]
            [[provider]]
            name = "bucket"
            type = "s3"
            endpoint = "{}"
            region = "us-east-1"
            bucket = "{}"
            prefix = "by-hand"
            path_style = true
            credentials_file = "{}"
            [[source]]
            name = "shop"
            path = "{}"
            providers = ["This server", "bucket"]
            "#,
            owner.recipient(),
            recovery.recipient(),
            s3.endpoint(),
            SeaweedFs::BUCKET,
            credentials.display(),
            site.root().display(),
        );
        fs::write(dir.path().join("config"), config).unwrap();
        Self {
            secret: key.secret_key.clone(),
            dir,
            site,
            _servers: (mariadb, s3),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = backupd(&self.path("data"));
        command.env("BACKUPD_CONFIG", self.path("config"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command().args(arguments).output().unwrap();
        for said in [&output.stdout, &output.stderr] {
            let said = String::from_utf8_lossy(said);
            assert!(!said.contains(&self.secret) && !said.contains("AGE-SECRET-KEY"));
        }
        output
    }

    /// What a command that succeeds answers.
    pub fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn key(&self) -> String {
        self.path("key.txt").display().to_string()
    }
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_site_is_backed_up_verified_and_restored_without_a_master() {
    let server = ByHand::new();
    let key = server.key();
    let jobs = server.ask(&["backup", "shop", "--json"]);
    assert_eq!(jobs[0]["state"], "COMPLETED", "{jobs:#}");
    assert_eq!(jobs[0]["providers"].as_array().unwrap().len(), 2);

    let snapshots = server.ask(&["snapshots", "shop", "--json"]);
    let id = snapshots[0]["id"].as_str().unwrap();
    for provider in ["This server", "bucket"] {
        let whole = ["verify", id, "-i", &key, "--provider", provider, "--json"];
        assert_eq!(server.ask(&whole)["type"], "verified");
    }
    let content = server.site.root().join("wp-content");
    for (target, provider) in [("one", "This server"), ("two", "bucket")] {
        let to = server.path(target);
        let to = to.to_str().unwrap();
        let all = [
            "restore",
            "shop",
            "--to",
            to,
            "-i",
            &key,
            "--provider",
            provider,
            "--json",
        ];
        assert_eq!(server.ask(&all)["state"], "COMPLETED");
        assert_same_tree(&content, &server.path(target).join("files/wp-content"));
        assert!(server.path(target).join("database.sql").is_file());
    }

    // A key that opens nothing, and none at all.
    let other = server.path("other.txt").display().to_string();
    let to = server.path("none").display().to_string();
    let refused = server.run(&["restore", "shop", "--to", &to, "-i", &other]);
    assert_eq!(refused.status.code(), Some(7));
    let refused = server.run(&["restore", "shop", "--to", &to]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(!server.path("none").exists());

    // The same through a daemon, some of it only.
    let mut daemon = Daemon::of(&mut server.command());
    let to = server.path("some").display().to_string();
    let some = [
        "restore",
        id,
        "--to",
        &to,
        "-i",
        &key,
        "database.sql",
        "--json",
    ];
    assert_eq!(server.ask(&some)["state"], "COMPLETED");
    assert!(server.path("some/database.sql").is_file());
    assert!(!server.path("some/files").exists());
    let jobs = server.ask(&["backup", "--all", "--json"]);
    assert_eq!(jobs[0]["state"], "COMPLETED");
    let status = server.ask(&["status", "--json"]);
    assert_eq!(status["sources"][0]["last"]["sequence"], 2);
    assert!(daemon.terminate().success());
}

#[test]
fn a_damaged_snapshot_is_told_as_damaged() {
    let server = ByHand::new();
    server.ask(&["backup", "shop", "--json"]);
    let archive = walkdir::WalkDir::new(server.path("data/store"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .find(|path| path.ends_with("backup.tar.zst.age"))
        .unwrap();
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(&archive, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&archive, bytes).unwrap();
    let local = [
        "verify",
        "shop",
        "-i",
        &server.key(),
        "--provider",
        "This server",
    ];
    assert_eq!(server.run(&local).status.code(), Some(6));
    // The other store's copy is whole.
    let far = [
        "verify",
        "shop",
        "-i",
        &server.key(),
        "--provider",
        "bucket",
    ];
    let whole = server.run(&far);
    assert!(whole.status.success());
    assert!(String::from_utf8_lossy(&whole.stdout).contains("every hash as written"));
}

#[test]
fn a_restore_in_place_is_undone_or_confirmed_at_the_console() {
    let server = ByHand::new();
    let key = server.key();
    let page = server.site.root().join("wp-content/page.php");
    let (before, changed) = (b"<?php // before", b"<?php // changed");
    fs::write(&page, before).unwrap();
    server.ask(&["backup", "shop", "--json"]);
    fs::write(&page, changed).unwrap();

    let in_place = ["restore", "shop", "--in-place", "-i", &key, "--json"];
    assert_eq!(server.ask(&in_place)["can_undo"], true);
    assert_eq!(fs::read(&page).unwrap(), before);
    server.ask(&["restore", "shop", "--undo", "--json"]);
    assert_eq!(fs::read(&page).unwrap(), changed);
    let nothing = server.run(&["restore", "shop", "--confirm"]);
    assert_eq!(nothing.status.code(), Some(3));

    server.ask(&in_place);
    server.ask(&["restore", "shop", "--confirm", "--json"]);
    assert_eq!(fs::read(&page).unwrap(), before);
    let nothing = server.run(&["restore", "shop", "--undo"]);
    assert_eq!(nothing.status.code(), Some(3));
}
