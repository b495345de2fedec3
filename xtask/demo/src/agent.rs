//! The agent as it is installed: its own program, its own folder, and what it says on its console.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use backupd_testkit::{Child, free_port, poll_until, spawn};
use tempfile::TempDir;

use crate::story;

/// A running agent. Killed when dropped.
pub struct Agent {
    port: u16,
    code: String,
    _child: Child,
    folder: TempDir,
}

impl Agent {
    /// Starts it and reads the code off its console.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path) -> Result<Self> {
        story::part("A server");
        let folder = TempDir::with_prefix("backupd-agent-").context("make a temporary folder")?;
        let port = free_port();
        let console = folder.path().join("console");
        let output = File::create(&console).context("create the console's file")?;
        let mut command = Command::new(program);
        command
            .arg("run")
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("BACKUPD_MODE", "node")
            .env("BACKUPD_CONFIG", folder.path().join("config"))
            .env("BACKUPD_DATA_DIR", folder.path().join("data"))
            .env("BACKUPD_HOST", "127.0.0.1")
            .env("BACKUPD_PORT", port.to_string())
            .stdin(Stdio::null())
            .stderr(output.try_clone().context("share the console's file")?)
            .stdout(output);
        fs::write(folder.path().join("config"), "").context("write an empty configuration")?;
        let mut child = spawn(command);
        let said = poll_until(
            Duration::from_secs(30),
            "code on the agent's console",
            || {
                let said = fs::read_to_string(&console).unwrap_or_default();
                (code_in(&said).is_some() || child.ended().is_some()).then_some(said)
            },
        );
        ensure!(child.ended().is_none(), "the agent ended at once:\n{said}");
        let code = code_in(&said).context("find the code")?;
        for line in said.lines() {
            println!("    {line}");
        }
        story::held(format!(
            "backupd runs at 127.0.0.1:{port} and shows its code"
        ));
        Ok(Self {
            port,
            code,
            _child: child,
            folder,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What its console shows.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The store that every server has, a folder of its own.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("data/store")
    }
}

/// The code in what the console says, on a line of its own behind its name.
fn code_in(said: &str) -> Option<String> {
    said.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find_map(|words| match words[..] {
            ["code", code] => Some(code.to_owned()),
            _ => None,
        })
}
