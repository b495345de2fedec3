//! A real process, killed between the first answer and the proof.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use backupd_protocol::pairing::{ATTEMPTS, MasterExchange, PairingCode};
use hyper::StatusCode;
use serde_json::json;

use crate::support::{Dialled, Master};

/// A daemon as an admin runs it. Killed when dropped.
pub struct Daemon {
    child: Child,
    pub address: SocketAddr,
    /// The code it showed as it started.
    pub code: Option<PairingCode>,
}

impl Daemon {
    pub fn start(data: &Path) -> Self {
        Self::spawn(backupd(data).stderr(Stdio::null()))
    }

    /// One that writes everything it logs to a file.
    pub fn start_logging(data: &Path, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        Self::spawn(backupd(data).env("BACKUPD_LOG", "trace").stderr(log))
    }

    /// One with a configuration of its own.
    pub fn of(command: &mut Command) -> Self {
        Self::spawn(command.stderr(Stdio::null()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.arg("run").stdout(Stdio::piped()).spawn().unwrap();
        let (mut address, mut code) = (None, None);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // How it stands is the last thing it says.
        let last = ["This server's key is", "not enrolled", "Enrolled as node"];
        for line in lines.by_ref() {
            let line = line.unwrap();
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("listens"), Some(value)) => address = Some(value.parse().unwrap()),
                (Some("code"), Some(value)) => code = Some(value.parse().unwrap()),
                _ if last.iter().any(|text| line.contains(text)) => break,
                _ => {}
            }
        }
        Self {
            child,
            address: address.expect("the daemon says where it listens"),
            code,
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, on a data folder of its own, with nothing else configured.
pub fn backupd(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backupd"));
    command
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("BACKUPD_DATA_DIR", data)
        .env("BACKUPD_HOST", "127.0.0.1")
        .env("BACKUPD_PORT", "0");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_agent_between_the_messages_never_buys_a_sixth_guess() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let answers = AtomicU32::new(0);
    let mut first_code = None;
    for round in 0..12 {
        let mut daemon = Daemon::start(&data);
        first_code = first_code.or(daemon.code.clone());
        // A restart opens no window, whatever ended the process before.
        assert_eq!(daemon.code.is_some(), round == 0, "round {round}");
        let address = daemon.address;
        let tries = (0..8).map(|_| async {
            let identity = Master::new().identity;
            let mut dialled = Dialled::open(address, &identity, None).await.ok()?;
            let (_, start) = MasterExchange::start(&"00000".parse().unwrap()).unwrap();
            let (status, _) = dialled.post("/pairing/start", json!(start)).await.ok()?;
            if status == StatusCode::OK {
                answers.fetch_add(1, Ordering::SeqCst);
            }
            // Held until the process is gone: no message tells it that the attempt failed.
            Some(dialled)
        });
        let held = futures_util::future::join_all(tries).await;
        daemon.kill();
        drop(held);
    }
    let answers = answers.into_inner();
    assert!((1..=ATTEMPTS).contains(&answers), "{answers} answers");
    // And the first code is void.
    let daemon = Daemon::start(&data);
    let code = first_code.unwrap();
    assert!(Master::new().enrol(daemon.address, &code).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_is_spent_on_disk_before_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut daemon = Daemon::start(&data);
    let identity = Master::new().identity;
    let mut dialled = Dialled::open(daemon.address, &identity, None)
        .await
        .unwrap();
    let (_, start) = MasterExchange::start(&"00000".parse().unwrap()).unwrap();
    let (status, _) = dialled.post("/pairing/start", json!(start)).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    daemon.kill();
    let db = rusqlite::Connection::open(data.join("agent.db")).unwrap();
    let left: u32 = db
        .query_row("SELECT attempts_left FROM pairing_windows", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(left, ATTEMPTS - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_was_answered_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut daemon = Daemon::start(&data);
    let master = Master::new();
    let code = daemon.code.clone().unwrap();
    let enrolled = master.enrol(daemon.address, &code).await.unwrap();
    daemon.kill();
    let daemon = Daemon::start(&data);
    let mut dialled = Dialled::open(daemon.address, &master.identity, Some(enrolled.pin))
        .await
        .unwrap();
    let (status, health) = dialled.get("/health", master.key()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(health["node_id"], master.enrolment.node_id.as_str());
}
