//! The whole way once, on real parts: a WordPress with its MariaDB, the agent as it is installed,
//! and the desktop's own core. The site is enrolled by its code, protected, backed up, lost and
//! restored, and what that proved is printed. With a display the application then opens on it.
//!
//! Deliberately not here: anything pretended. What cannot be shown fails the demo.

mod agent;
mod kit;
mod proof;
mod site;
mod story;
mod window;

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context as _, Result, ensure};
use backupd_testkit::desktop::{Appearance, DesktopSession};
use clap::Parser;
use tokio::signal;

/// The application's identifier, as its configuration has it.
const IDENTIFIER: &str = "app.backupd.desktop";

/// Protect, lose and restore a real WordPress, and print what that proved.
#[derive(Parser)]
#[command(name = "cargo xtask demo", disable_version_flag = true)]
struct Arguments {
    /// The agent's program.
    #[arg(long, hide = true)]
    agent: PathBuf,
    /// The application's program, opened at the end if there is a display.
    #[arg(long, hide = true)]
    app: Option<PathBuf>,
    /// Do not open the application, even if there is a display.
    #[arg(long)]
    headless: bool,
    /// Documents in the site, in MB, beside its posts and pictures.
    #[arg(long, default_value_t = 40)]
    documents: u32,
    /// This process is the one inside of the demo's own session.
    #[arg(long, hide = true)]
    in_session: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::select! {
        outcome = run(&arguments) => outcome,
        _ = signal::ctrl_c() => Err(anyhow::anyhow!("stopped; everything is cleaned up")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // The process inside has said it already.
        Err(_) if !arguments.in_session => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    if !arguments.in_session {
        in_session().await?;
        println!("\nEverything is stopped, and nothing of it is left.");
        return Ok(());
    }
    let start = Instant::now();
    let site = site::Site::make(arguments.documents)?;
    let agent = agent::Agent::start(&arguments.agent)?;
    // Where the application will look for it.
    let data = std::env::var_os("XDG_DATA_HOME").context("find the session's data folder")?;
    let data = PathBuf::from(data).join(IDENTIFIER);
    let facts = proof::prove(&site, &agent, &data).await?;
    story::summary(&facts, start.elapsed());
    match &arguments.app {
        Some(app) if !arguments.headless => window::open(app, &arguments.agent).await,
        _ => Ok(()),
    }
}

/// Runs this program again in a session of its own, with a real keyring that is thrown away: the
/// demo leaves no key in the keyring of whoever watches it.
async fn in_session() -> Result<()> {
    let session = DesktopSession::start(Appearance::Light);
    let program = std::env::current_exe().context("find this program")?;
    let mut command = session.command(program);
    command
        .args(std::env::args_os().skip(1))
        .arg("--in-session");
    // The database runs as a user of its own, who may not enter the session's folder.
    command.env("TMPDIR", std::env::temp_dir());
    command.env("BACKUPD_CACHE", backupd_testkit::cache_dir());
    for (name, value) in window::display() {
        command.env(name, value);
    }
    let mut child = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .context("start the demo in its session")?;
    // Ctrl-C reaches the process inside too, which cleans up and ends.
    let status = tokio::select! {
        status = child.wait() => status,
        _ = signal::ctrl_c() => child.wait().await,
    };
    ensure!(
        status.context("wait for the demo")?.success(),
        "the demo failed"
    );
    Ok(())
}
