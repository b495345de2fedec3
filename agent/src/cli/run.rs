//! `backupd run`.

use backupd_base::{Context, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    about,
    app::{App, Running},
    cli::{pair, term},
    config::{Config, DEFAULT_FILE},
};

/// Run the daemon: listen for the master, run jobs, keep the statistics.
///
/// A server that nothing is configured on starts as a node, and shows a code to enrol it with.
/// SIGTERM lets what is under way end: jobs are stopped and clean up after themselves.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backupd run                       with /etc/backupd/config, or with nothing at all
  BACKUPD_PORT=9000 backupd run     on another port
  backupd run --mode node           whatever the configuration says")]
pub(super) struct Run {
    /// What the agent is here for: node.
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
}

impl Run {
    pub(super) async fn run(self) -> Result<()> {
        let config = Config::load(self.mode.as_deref())?;
        let is_unconfigured = config.mode.is_none() && config.file.is_none();
        // Before anything starts: a signal that comes early must not be lost.
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let app = tokio::task::spawn_blocking(move || App::build(config))
            .await
            .context("start the agent")??;
        let mut running = app.spawn().await?;
        greet(&running, is_unconfigured);
        let failed = tokio::select! {
            failed = running.failed() => failed,
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        };
        tracing::info!("stopping");
        let drained = running.drain().await;
        tracing::info!("stopped");
        failed.and(drained)
    }
}

fn greet(running: &Running, is_unconfigured: bool) {
    let agent = running.agent();
    let address = agent
        .listening()
        .expect("a daemon that was spawned listens");
    term::print(&format!(
        "backupd {} on {} ({})\n  data     {}\n  listens  {address}",
        about::VERSION,
        about::hostname(),
        about::os(),
        agent.store.dir().display(),
    ));
    tracing::info!("backupd {} listens on {address}", about::VERSION);
    if is_unconfigured {
        term::print(&format!(
            "\n  Nothing is configured: this server waits for a master. To protect it by hand, write\n  {DEFAULT_FILE}; for an example see: backupd backup --help",
        ));
    }
    if let Some(window) = running.first_window() {
        window.log();
        term::print(&pair::invitation(window));
    } else if let Some(id) = agent.enrolment.node_id() {
        term::print(&format!("\n  Enrolled as node {id}."));
    } else {
        term::print("\n  This server is not enrolled. Show a code with: backupd pair");
        tracing::info!("not enrolled; show a code with: backupd pair");
    }
}
