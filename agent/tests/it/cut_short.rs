//! A real daemon, killed in the middle of a job: what it finds and leaves when it is started again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use backupd_archive::Keypair;
use backupd_storage::Storage as _;
use backupd_testkit::{
    MariaDb, PATIENCE, Proxy, SeaweedFs, WordPress, assert_same_tree, poll_until,
    proxy::{Fault, Request},
};
use serde_json::{Value, json};

use crate::{
    killed::{Daemon, backupd},
    node::s3,
    site::{Holding, copy, dump, execute, leftovers},
};

/// The newest job that somebody asked for.
const ASKED: &str = "(SELECT id FROM jobs WHERE retry_of IS NULL ORDER BY rowid DESC LIMIT 1)";

/// A site, a bucket behind a proxy, and a daemon configured by hand for both.
struct Server {
    folder: tempfile::TempDir,
    database: Arc<MariaDb>,
    bucket: Arc<SeaweedFs>,
    proxy: Proxy,
    prefix: &'static str,
    site: WordPress,
    owner: Keypair,
}

impl Server {
    fn new(prefix: &'static str) -> Self {
        let database = MariaDb::shared();
        let bucket = SeaweedFs::shared();
        let site = WordPress::install(&database);
        site.fill(10, 1, 40, 1);
        let server = Self {
            folder: tempfile::tempdir().unwrap(),
            proxy: Proxy::start(bucket.port()),
            owner: Keypair::generate(),
            database,
            bucket,
            prefix,
            site,
        };
        server.configure();
        server
    }

    fn configure(&self) {
        let key = self.bucket.full_key();
        let credentials = self.folder.path().join("key.toml");
        let text = format!(
            "access_key_id = {:?}\nsecret_access_key = {:?}\n",
            key.access_key, key.secret_key
        );
        fs::write(&credentials, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&credentials, mode).unwrap();
        let recipients = [self.owner.recipient(), Keypair::generate().recipient()]
            .map(|recipient| recipient.to_string());
        let text = format!(
            "recipients = {recipients:?}\n\
             [[provider]]\nname = \"bucket\"\ntype = \"s3\"\nendpoint = {:?}\n\
             region = \"us-east-1\"\nbucket = {:?}\nprefix = {:?}\npath_style = true\n\
             credentials_file = {credentials:?}\n\
             [[source]]\nname = \"shop\"\npath = {:?}\nproviders = [\"bucket\"]\n",
            self.proxy.endpoint(),
            SeaweedFs::BUCKET,
            self.prefix,
            self.site.root(),
        );
        fs::write(self.folder.path().join("config"), text).unwrap();
        let identity =
            backupd_base::ExposeSecret::expose_secret(&self.owner.to_secret()).to_owned();
        fs::write(self.folder.path().join("identity"), identity).unwrap();
        fs::set_permissions(
            self.folder.path().join("identity"),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn daemon(&self) -> Daemon {
        Daemon::of(&mut self.command())
    }

    fn command(&self) -> Command {
        let mut command = backupd(&self.data());
        command.env("BACKUPD_CONFIG", self.folder.path().join("config"));
        command
    }

    /// A command that is not waited for.
    fn begin(&self, arguments: &[&str]) -> Waiting {
        let mut command = self.command();
        let command = command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Waiting(command.spawn().unwrap())
    }

    /// A backup that hangs at the upload of this, and the daemon that runs it.
    fn hanging_at(&self, part: &'static str) -> (Daemon, Waiting) {
        let daemon = self.daemon();
        self.proxy.fail(99, move |r| is_put(r, part), Fault::Hang);
        let backup = self.begin(&["backup", "shop"]);
        self.until_seen(|r| is_put(r, part));
        (daemon, backup)
    }

    /// The power is cut; afterwards the store answers again.
    fn cut(&self, mut daemon: Daemon) {
        daemon.kill();
        self.proxy.set(|_| None);
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let output = self
            .command()
            .args(arguments)
            .arg("--json")
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
            panic!("{e}: {}", String::from_utf8_lossy(&output.stderr));
        })
    }

    /// The newest job, as it stands in the database of the daemon.
    fn stages(&self) -> Vec<(String, String)> {
        let db = rusqlite::Connection::open(self.data().join("agent.db")).unwrap();
        let mut query = db
            .prepare(&format!(
                "SELECT name, state FROM stages WHERE job_id = {ASKED} ORDER BY position"
            ))
            .unwrap();
        let rows = query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        rows.map(|row| row.unwrap()).collect()
    }

    fn job(&self) -> (String, String) {
        let db = rusqlite::Connection::open(self.data().join("agent.db")).unwrap();
        db.query_row(
            &format!("SELECT state, error FROM jobs WHERE id = {ASKED}"),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap()
    }

    fn events(&self) -> Vec<String> {
        let db = rusqlite::Connection::open(self.data().join("agent.db")).unwrap();
        let mut query = db
            .prepare(&format!("SELECT kind FROM events WHERE job_id = {ASKED}"))
            .unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap()).collect()
    }

    fn until_running(&self, stage: &str) {
        poll_until(PATIENCE, stage, || {
            let running = ("RUNNING", stage);
            let is = |(name, state): &(String, String)| {
                (state.trim_matches('"'), name.as_str()) == running
            };
            // The job may not be there yet.
            (self.data().join("agent.db").exists() && self.stages().iter().any(is)).then_some(())
        });
    }

    fn until_seen(&self, matches: impl Fn(&Request) -> bool) {
        poll_until(PATIENCE, "request", || {
            self.proxy.seen().iter().any(&matches).then_some(())
        });
    }

    /// Objects and open uploads in the bucket, seen past the proxy.
    fn traces(&self) -> Vec<String> {
        let all = s3(&self.bucket.endpoint(), self.bucket.full_key(), self.prefix);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let objects = runtime.block_on(all.list("tenants/")).unwrap();
        let open = runtime.block_on(all.open_uploads("tenants/")).unwrap();
        let objects = objects.into_iter().map(|o| o.key.to_string());
        objects.chain(open.into_iter().map(|o| o.id)).collect()
    }

    /// The daemon starts again and tells what became of the job.
    fn told(&self, state: &str) -> Daemon {
        let daemon = self.daemon();
        poll_until(PATIENCE, "end of the job", || {
            (self.job().0.trim_matches('"') == state).then_some(())
        });
        let kind = format!("job.{}", state.to_lowercase());
        assert_eq!(self.events(), [kind]);
        let jobs = self.data().join("jobs");
        assert!(
            jobs.read_dir()
                .map_or(true, |mut list| list.next().is_none())
        );
        daemon
    }

    /// The retry: its id, state and the time it waits for.
    fn retry(&self) -> (String, String, Option<String>) {
        let db = rusqlite::Connection::open(self.data().join("agent.db")).unwrap();
        db.query_row(
            "SELECT id, state, not_before FROM jobs WHERE retry_of IS NOT NULL",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap()
    }

    fn failed_and_clean(&self) {
        let _daemon = self.told("FAILED");
        assert!(self.job().1.contains("interrupted"), "{:?}", self.job());
        poll_until(PATIENCE, "clean bucket", || {
            self.traces().is_empty().then_some(())
        });
        assert_eq!(self.run(&["snapshots"]).as_array().unwrap().len(), 0);
        // And nothing stands in the way of the next one.
        self.proxy.set(|_| None);
        assert!(self.begin(&["backup", "shop"]).success());
    }
}

/// A child that is ended with this.
struct Waiting(Child);

impl Waiting {
    fn success(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_put(request: &Request, part: &str) -> bool {
    request.method == "PUT" && request.target.contains(part)
}

#[test]
fn killed_during_the_dump() {
    let server = Server::new("cut-dump");
    let mut daemon = server.daemon();
    let holding = Holding::new(
        &server.database,
        server.site.database(),
        "LOCK TABLES wp_posts WRITE",
    );
    let _backup = server.begin(&["backup", "shop"]);
    server.until_running("backup_db");
    poll_until(PATIENCE, "spool", || {
        let jobs = server.data().join("jobs").read_dir().ok()?;
        jobs.flatten().next()
    });
    daemon.kill();
    drop(holding);
    server.failed_and_clean();
}

#[test]
fn killed_while_files_stream_into_the_bucket() {
    let server = Server::new("cut-files");
    let (daemon, _backup) = server.hanging_at("partNumber");
    server.until_running("backup_files");
    assert!(!server.traces().is_empty());
    server.cut(daemon);
    server.failed_and_clean();
}

#[test]
fn killed_while_a_retry_waits_it_waits_on() {
    let server = Server::new("cut-retry");
    let (daemon, _backup) = server.hanging_at("partNumber");
    server.cut(daemon);
    let mut daemon = server.told("FAILED");
    let waiting = server.retry();
    assert_eq!(waiting.1, "\"PENDING\"");
    let jobs = server.run(&["jobs", "shop"]);
    assert_eq!(
        (&jobs[0]["id"], &jobs[0]["attempt"]),
        (&json!(waiting.0), &json!(2))
    );
    assert_eq!(jobs[0]["retry_of"], jobs[1]["id"]);
    for _ in 0..2 {
        daemon.kill();
        daemon = server.daemon();
        assert_eq!(server.retry(), waiting);
    }
    daemon.kill();
    // Its time comes while nothing runs.
    rusqlite::Connection::open(server.data().join("agent.db"))
        .unwrap()
        .execute(
            "UPDATE jobs SET not_before = created_at WHERE retry_of IS NOT NULL",
            [],
        )
        .unwrap();
    let _daemon = server.daemon();
    poll_until(PATIENCE, "end of the retry", || {
        (server.retry().1 == "\"COMPLETED\"").then_some(())
    });
    let snapshots = server.run(&["snapshots"]);
    assert_eq!(snapshots.as_array().unwrap().len(), 1);
    assert_eq!(snapshots[0]["job_id"], server.retry().0.as_str());
}

#[test]
fn a_failed_backup_is_retried_stopped_and_reset_at_the_console() {
    let server = Server::new("cut-console");
    let _daemon = server.daemon();
    let denied = Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>".into());
    server.proxy.fail(99, |r| is_put(r, "partNumber"), denied);
    assert!(!server.begin(&["backup", "shop"]).success());
    let failed = server.run(&["jobs"])[0].clone();
    assert_eq!(
        (&failed["state"], &failed["attempt"]),
        (&json!("FAILED"), &json!(1))
    );
    let id = failed["id"].as_str().unwrap();
    server
        .proxy
        .fail(99, |r| is_put(r, "partNumber"), Fault::Hang);
    let _retry = server.begin(&["jobs", "retry", id]);
    let newest = poll_until(PATIENCE, "the retry's upload", || {
        let newest = server.run(&["jobs"])[0].clone();
        let upload = newest["stages"].as_array().unwrap();
        let upload = upload.iter().find(|s| s["name"] == "upload_remote");
        let is_sending = newest["attempt"] == 2 && upload.unwrap()["state"] == "RUNNING";
        is_sending.then(|| newest["id"].clone())
    });
    let reset = server.run(&["jobs", "reset", newest.as_str().unwrap()]);
    assert_eq!(reset["state"], "FAILED", "{reset:#}");
    // The streaming stages run at the same time: any of them may be the first to hear of it.
    assert!(reset["error"]["stage"].is_string(), "{reset:#}");
    server.proxy.set(|_| None);
    let done = server.run(&["jobs", "retry", id]);
    assert_eq!(
        (&done["state"], &done["attempt"]),
        (&json!("COMPLETED"), &json!(3))
    );
    let ended = server.run(&["jobs", "stop", id]);
    assert_eq!(ended["code"], "conflict", "{ended:#}");
}

#[test]
fn killed_between_archive_and_manifest() {
    let server = Server::new("cut-index");
    let (daemon, _backup) = server.hanging_at("meta.json");
    server.until_running("upload_remote");
    assert!(!server.traces().is_empty());
    server.cut(daemon);
    server.failed_and_clean();
}

#[test]
fn killed_before_the_manifest_arrived() {
    let server = Server::new("cut-manifest");
    let (daemon, _backup) = server.hanging_at("manifest.json");
    server.cut(daemon);
    server.failed_and_clean();
}

#[test]
fn killed_after_the_manifest_arrived_the_snapshot_counts() {
    let server = Server::new("cut-late");
    let mut daemon = server.daemon();
    // The manifest is put; the look at it afterwards never returns.
    let put = AtomicBool::new(false);
    server.proxy.set(move |request| {
        put.fetch_or(is_put(request, "manifest.json"), Ordering::SeqCst);
        let looks = request.method == "HEAD" && request.target.contains("manifest.json");
        (looks && put.load(Ordering::SeqCst)).then_some(Fault::Hang)
    });
    let _backup = server.begin(&["backup", "shop"]);
    poll_until(PATIENCE, "manifest", || {
        let there = server.traces().iter().any(|t| t.ends_with("manifest.json"));
        there.then_some(())
    });
    daemon.kill();
    server.proxy.set(|_| None);
    let _daemon = server.told("COMPLETED");
    assert_eq!(server.run(&["snapshots"]).as_array().unwrap().len(), 1);
    assert_eq!(server.traces().len(), 4);
}

#[test]
fn killed_in_the_middle_of_a_restore_in_place() {
    let server = Server::new("cut-restore");
    let mut daemon = server.daemon();
    assert!(server.begin(&["backup", "shop"]).success());
    let root = server.site.root();
    fs::write(root.join("wp-content/shell.php"), "<?php evil();").unwrap();
    execute(
        &server.database,
        &server.site,
        "DELETE FROM wp_posts WHERE ID % 2 = 0",
    );
    let before = server.folder.path().join("before");
    copy(root, &before);
    let rows = dump(&server.database, server.site.database());

    let holding = Holding::new(
        &server.database,
        server.site.database(),
        "BEGIN; SELECT COUNT(*) FROM wp_posts",
    );
    let snapshot = server.run(&["snapshots"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let identity = server.folder.path().join("identity");
    let _restore = server.begin(&[
        "restore",
        &snapshot,
        "--in-place",
        "--identity",
        identity.to_str().unwrap(),
    ]);
    server.until_running("restore_db");
    assert!(!root.join("wp-content/shell.php").exists());
    daemon.kill();
    drop(holding);

    let _daemon = server.told("FAILED");
    assert!(
        server.job().1.contains("as it was before"),
        "{:?}",
        server.job()
    );
    assert_same_tree(&before.join("wp-content"), &root.join("wp-content"));
    assert!(dump(&server.database, server.site.database()) == rows);
    assert_eq!(leftovers(root), [""; 0]);
    assert!(only_empty(&server.data().join("formers")));
}

fn only_empty(folder: &Path) -> bool {
    folder
        .read_dir()
        .map_or(true, |mut list| list.next().is_none())
}
