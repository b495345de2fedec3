//! `backupd doctor`.

use std::{io::ErrorKind, net::TcpListener, process::ExitCode};

use backupd_base::{Code, Context as _, Result};
use backupd_protocol::FindingLevel;
use clap::Args;
use serde::Serialize;

use super::{Client, Output};
use crate::{
    config::{Config, DEFAULT_FILE},
    doctor::{Finding, data},
};

/// Find what is wrong on this server, and how to mend it.
///
/// Looks at the configuration, the data folder, the daemon, the vendor's tools, every source and
/// every store, and changes nothing. Works without a daemon. Ends with 1 when something is bad.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backupd doctor
  backupd doctor --json | jq '.findings[] | select(.level == \"bad\")'")]
pub(super) struct Doctor {}

#[derive(Serialize)]
struct Answer {
    /// Nothing is bad.
    healthy: bool,
    findings: Vec<Finding>,
}

impl Doctor {
    pub(super) async fn run(self, output: Output) -> ExitCode {
        let findings = match Config::load(None) {
            Ok(config) => look(config).await,
            Err(e) => vec![Finding::bad(
                "configuration",
                format!("It is not understood: {e}."),
                "Correct what is named; /usr/share/doc/backupd/config.example shows every setting. Nothing else can be looked at before.",
            )],
        };
        let answer = Answer {
            healthy: findings.iter().all(|f| f.level != FindingLevel::Bad),
            findings,
        };
        output.print(&answer, human);
        ExitCode::from(u8::from(!answer.healthy))
    }
}

async fn look(config: Config) -> Vec<Finding> {
    let mut findings = vec![match &config.file {
        Some(file) => Finding::good(
            "configuration",
            format!("{} is understood.", file.display()),
        ),
        None => Finding::good(
            "configuration",
            format!("There is no {DEFAULT_FILE}: every setting is its default."),
        ),
    }];
    let dir = config.data_dir.clone();
    let examined = match dir.try_exists() {
        Ok(false) => {
            findings.push(Finding::warning(
                "data",
                format!("There is no data folder {}. The first start makes it, with new keys.", dir.display()),
                "If there was one, mount its disk before anything starts: without its keys this server is another one to the master.",
            ));
            beside(config, &mut findings).await
        }
        _ => inside(config, &mut findings).await,
    };
    findings.extend(examined.unwrap_or_else(|e| {
        let (found, mend) = (data::examine(&dir), mend(e.code()));
        let broken = Finding::bad("daemon", format!("The agent cannot be asked: {e}."), mend);
        found.into_iter().chain([broken]).collect()
    }));
    findings
}

/// With a data folder that lives as long as the question: the real one would not be empty later.
async fn beside(mut config: Config, before: &mut Vec<Finding>) -> Result<Vec<Finding>> {
    let dir = tempfile::tempdir().context("make a folder to work in")?;
    config.data_dir = dir.path().to_owned();
    let mut findings = inside(config, before).await?;
    findings.retain(|finding| finding.check != "data");
    Ok(findings)
}

/// In the daemon if there is one: it sees what backups see. What is seen from here goes to `before`.
async fn inside(config: Config, before: &mut Vec<Finding>) -> Result<Vec<Finding>> {
    let address = (config.host, config.port);
    let client = Client::open(config, false).await?;
    if !client.is_daemon() {
        before.extend(taken(address));
    }
    let found = client.get("/doctor").await;
    let closed = client.close().await;
    found.and_then(|found| closed.map(|()| found))
}

/// Whether another program has the port that a daemon would listen on.
fn taken(address: (std::net::IpAddr, u16)) -> Option<Finding> {
    let error = TcpListener::bind(address).err()?;
    let (host, port) = address;
    Some(match error.kind() {
        ErrorKind::AddrInUse => Finding::bad(
            "daemon",
            format!("Another program listens on {host} port {port} already."),
            format!(
                "Find it with: ss -ltnp 'sport = :{port}', or give the agent another port: port in {DEFAULT_FILE} (BACKUPD_PORT)."
            ),
        ),
        _ => Finding::bad(
            "daemon",
            format!("A daemon could not listen on {host} port {port}: {error}."),
            format!("Set host (BACKUPD_HOST) to an address of this server, in {DEFAULT_FILE}."),
        ),
    })
}

fn mend(code: Code) -> &'static str {
    match code {
        Code::Conflict => {
            "A backupd that does not answer has the data folder. Start it anew: systemctl restart backupd"
        }
        Code::Denied => {
            "Ask as root: sudo backupd doctor. A key that others may read gets mode 600."
        }
        Code::NotFound | Code::Incompatible => {
            "Install the newest backupd, and start it anew: systemctl restart backupd"
        }
        Code::KeyMissing | Code::Corrupt => {
            "Put the data folder back from a copy; or move it away, start anew and enrol again: backupd pair"
        }
        Code::DiskFull => "Make room on the disk of the data folder.",
        _ => "See what it says of itself: systemctl status backupd, journalctl -u backupd",
    }
}

fn human(answer: &Answer) -> String {
    let mut lines = Vec::new();
    for finding in &answer.findings {
        let level = match finding.level {
            FindingLevel::Good => "ok",
            FindingLevel::Warning => "WARNING",
            FindingLevel::Bad => "BAD",
        };
        let about = match &finding.name {
            Some(name) => format!("{} {name:?}", finding.check),
            None => finding.check.clone(),
        };
        lines.push(format!("{level:<8} {about}: {}", finding.message));
        lines.extend(
            finding
                .mend
                .iter()
                .map(|mend| format!("         -> {mend}")),
        );
    }
    let count = |level| answer.findings.iter().filter(|f| f.level == level).count();
    lines.push(String::new());
    lines.push(
        match (count(FindingLevel::Bad), count(FindingLevel::Warning)) {
            (0, 0) => "Nothing is wrong.".to_owned(),
            (0, n) => format!("Nothing is bad; {n} to know of."),
            (bad, n) => format!("{bad} bad, {n} to know of."),
        },
    );
    lines.join("\n")
}
