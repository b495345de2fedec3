//! This agent, by hand and without a master: a configuration file, `backupd backup`,
//! `backupd restore`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use backupd_testkit::SeaweedFs;

use super::Contender;
use crate::{arena::Arena, chain::Chain};

/// What the configuration calls the site.
const SOURCE: &str = "measured";

/// `backupd` at this path.
pub struct Agent<'a> {
    /// The program.
    pub program: &'a Path,
}

impl Agent<'_> {
    fn command(&self, arena: &Arena, arguments: &[&str]) -> Command {
        let program = self
            .program
            .to_str()
            .expect("cargo's folders have plain names");
        let mut command = arena.command(program);
        command
            .env(
                "BACKUPD_CONFIG",
                arena.scratch().with_file_name("settings").join("config"),
            )
            .env("BACKUPD_DATA_DIR", arena.scratch().join("data"))
            .args(arguments);
        command
    }
}

impl Contender for Agent<'_> {
    fn name(&self) -> &'static str {
        "backupd"
    }

    fn prepare(&self, arena: &Arena) -> Result<()> {
        let key = arena.store.full_key();
        let credentials = arena.settings(
            "credentials",
            &format!(
                "access_key_id = \"{}\"\nsecret_access_key = \"{}\"\n",
                key.access_key, key.secret_key
            ),
        )?;
        let [owner, recovery] = &arena.keys.recipients;
        let config = format!(
            r#"mode = "node"
recipients = ["{owner}", "{recovery}"]

[[provider]]
name = "store"
type = "s3"
endpoint = "{endpoint}"
region = "us-east-1"
bucket = "{bucket}"
path_style = true
credentials_file = "{credentials}"

[[source]]
name = "{SOURCE}"
path = "{path}"
providers = ["store"]
"#,
            endpoint = arena.store.endpoint(),
            bucket = SeaweedFs::BUCKET,
            credentials = credentials.display(),
            path = arena.site.root().display(),
        );
        arena.settings("config", &config).map(drop)
    }

    fn backup(&self, arena: &Arena) -> Result<Vec<Chain>> {
        let backup = self.command(arena, &["backup", SOURCE]);
        Ok(vec![Chain::of([backup])])
    }

    fn restore(&self, arena: &Arena) -> Result<Vec<Chain>> {
        let mut restore = self.command(arena, &["restore", SOURCE]);
        restore
            .arg("--identity")
            .arg(&arena.keys.identity)
            .arg("--to")
            .arg(arena.restored());
        Ok(vec![Chain::of([restore])])
    }

    fn restored(&self, arena: &Arena) -> (PathBuf, PathBuf) {
        let into = arena.restored();
        (into.join("files/wp-content"), into.join("database.sql"))
    }
}
