//! `backupd metrics`.

use std::{
    fs::Permissions,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use backupd_base::{Context as _, Result};
use clap::Args;

use super::{Client, Output};

/// Print how this server stands in Prometheus' text format, or write it to a file for
/// node_exporter's textfile collector.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backupd metrics
  backupd metrics --output /var/lib/prometheus/node-exporter/backupd.prom

With --json the text is one JSON string.")]
pub(super) struct Metrics {
    /// Write to this file instead, readable by everybody; whoever reads it sees the old text or the
    /// new one, never half of one.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Metrics {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<()> {
        let text = client.text("/metrics").await?;
        match self.output {
            // Says nothing when all is well: it is run every minute.
            Some(path) => replace(&path, &text)
                .with_context(|| format!("write the metrics to {}", path.display())),
            None => {
                output.print(&text, |text| text.trim_end().to_owned());
                Ok(())
            }
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    // The collector reads *.prom only.
    let mut file = tempfile::Builder::new()
        .prefix(".backupd-")
        .suffix(".tmp")
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    // Whatever the umask: the collector is another user.
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}
