//! The command line. Every command is a client of the API: over the control socket when a daemon
//! runs, else of the same router inside this process.
//!
//! Deliberately not here: anything the API cannot do.

mod backup;
mod client;
mod doctor;
mod job;
mod jobs;
mod metrics;
mod pair;
mod restore;
mod run;
mod scan;
mod snapshots;
mod source;
mod status;
mod term;
mod unlock;
mod verify;

use std::{io::IsTerminal as _, process::ExitCode};

use backupd_base::{Code, Error, Result};
use clap::{Parser, Subcommand};
use client::Client;
use tracing_subscriber::EnvFilter;

use crate::config::Config;

const AFTER: &str = "\
Configuration:
  /etc/backupd/config (TOML), or the file BACKUPD_CONFIG names; over it the environment:
  BACKUPD_MODE, BACKUPD_DATA_DIR, BACKUPD_HOST, BACKUPD_PORT, BACKUPD_MAX_IO,
  BACKUPD_MAX_NETWORK, BACKUPD_MAX_CPU, BACKUPD_MAX_BANDWIDTH_MBPS. BACKUPD_LOG sets how
  much is logged (error, warn, info, debug).

Exit codes:
  0  done            4  something else is under way that excludes it, or it exists already
  1  failed          5  the daemon or the store cannot be reached
  2  not understood  6  stored data is damaged
  3  no such thing   7  not allowed, or the key does not open it
                     130  interrupted";

/// Protects this server: backs up its sites, encrypted, and puts them back.
#[derive(Parser)]
#[command(name = "backupd", version, after_help = AFTER, max_term_width = 100)]
struct Arguments {
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon: answer the master, run jobs.
    Run(run::Run),
    /// Show a new code to enrol this server with.
    Pair(pair::Pair),
    /// Find the WordPress sites on this server.
    Scan(scan::Scan),
    /// Back up a source now.
    Backup(backup::Backup),
    /// List the jobs; stop, retry or reset one.
    Jobs(jobs::Jobs),
    /// List what was backed up.
    Snapshots(snapshots::Snapshots),
    /// Put a snapshot back, whole or in part.
    Restore(restore::Restore),
    /// Read a snapshot back and check every hash.
    Verify(verify::Verify),
    /// Say how this server stands.
    Status(status::Status),
    /// Print how this server stands, for Prometheus.
    Metrics(metrics::Metrics),
    /// Find what is wrong on this server, and how to mend it.
    Doctor(doctor::Doctor),
}

/// How a command speaks.
#[derive(Debug, Clone, Copy)]
struct Output {
    json: bool,
}

impl Output {
    /// Prints an answer as JSON, or as `human` says it.
    fn print<T: serde::Serialize>(self, answer: &T, human: impl FnOnce(&T) -> String) {
        let text = if self.json {
            serde_json::to_string_pretty(answer).expect("answers serialize")
        } else {
            human(answer)
        };
        term::print(&text);
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_daemon = matches!(arguments.command, Command::Run(_));
    start_log(if is_daemon { "info" } else { "error" });
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            term::complain(&Error::caused("start the runtime", error));
            return ExitCode::FAILURE;
        }
    };
    let output = Output {
        json: arguments.json,
    };
    match runtime.block_on(run(arguments.command, output)) {
        Ok(code) => code,
        Err(error) => {
            if output.json {
                let body = backupd_protocol::ErrorBody::from(&error);
                let text = serde_json::to_string_pretty(&body).expect("an error body serializes");
                term::print(&text);
            } else {
                term::complain(&error);
            }
            exit_code(error.code())
        }
    }
}

async fn run(command: Command, output: Output) -> Result<ExitCode> {
    let done = match command {
        // What it finds is its answer, also when that is that nothing works.
        Command::Doctor(command) => return Ok(command.run(output).await),
        Command::Run(command) => command.run().await,
        Command::Pair(command) => {
            with_client(false, |c| async move { (command.run(&c, output).await, c) }).await
        }
        Command::Scan(command) => {
            with_client(false, |c| async move { (command.run(&c, output).await, c) }).await
        }
        Command::Backup(command) => {
            with_client(true, |c| async move { (command.run(&c, output).await, c) }).await
        }
        Command::Jobs(command) => {
            let needs_jobs = command.needs_jobs();
            with_client(
                needs_jobs,
                |c| async move { (command.run(&c, output).await, c) },
            )
            .await
        }
        Command::Snapshots(command) => {
            with_client(false, |c| async move { (command.run(&c, output).await, c) }).await
        }
        Command::Restore(command) => {
            with_client(true, |c| async move { (command.run(&c, output).await, c) }).await
        }
        Command::Verify(command) => {
            with_client(false, |c| async move { (command.run(&c, output).await, c) }).await
        }
        Command::Status(command) => {
            with_client(false, |c| async move { (command.run(&c, output).await, c) }).await
        }
        Command::Metrics(command) => {
            with_client(false, |c| async move { (command.run(&c, output).await, c) }).await
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs one command on a client, and closes it whatever came of the command.
async fn with_client<F: Future<Output = (Result<()>, Client)>>(
    needs_jobs: bool,
    command: impl FnOnce(Client) -> F,
) -> Result<()> {
    let config = Config::load(None)?;
    let client = Client::open(config, needs_jobs).await?;
    let (outcome, client) = command(client).await;
    let closed = client.close().await;
    outcome.and(closed)
}

fn start_log(default: &str) {
    let filter = EnvFilter::try_from_env("BACKUPD_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

fn exit_code(code: Code) -> ExitCode {
    ExitCode::from(match code {
        Code::Invalid | Code::Incompatible => 2,
        Code::NotFound => 3,
        Code::Conflict | Code::AlreadyExists | Code::TooMany => 4,
        Code::Unavailable | Code::Timeout => 5,
        Code::Corrupt => 6,
        Code::Denied | Code::Unauthorized | Code::KeyMissing | Code::WrongPeer => 7,
        Code::Cancelled => 130,
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together_and_every_command_shows_an_example() {
        let mut command = Arguments::command();
        command.build();
        command.clone().debug_assert();
        for sub in command.get_subcommands_mut() {
            if sub.get_name() != "help" {
                let help = sub.render_long_help().to_string();
                assert!(help.contains("Examples:"), "{}", sub.get_name());
                assert!(help.contains("--json"), "{}", sub.get_name());
            }
        }
    }
}
