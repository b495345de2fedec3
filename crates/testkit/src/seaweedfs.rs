//! SeaweedFS as the S3 server.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    sync::{Arc, LazyLock},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Child,
    folder::{sweep_sockets, temporary},
    free_port, http, poll_until, spawn, tool,
};

/// A key that the server knows.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
}

/// A server with a bucket `backups`.
#[derive(Debug)]
pub struct SeaweedFs {
    port: u16,
    filer_port: u16,
    full: Identity,
    write_only: Identity,
    child: Option<Child>,
    folder: TempDir,
}

impl SeaweedFs {
    /// The bucket that is there from the start.
    pub const BUCKET: &str = "backups";

    /// A new server. It takes about three seconds.
    ///
    /// # Panics
    /// When the program is not there or does not start.
    #[must_use]
    pub fn start() -> Self {
        // A port can be taken between the look at it and the start.
        for _ in 0..3 {
            if let Some(server) = Self::try_start() {
                return server;
            }
        }
        panic!("SeaweedFS did not start in three attempts");
    }

    /// The server that the tests of one process share, from the first that asks to its end.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: LazyLock<Arc<SeaweedFs>> = LazyLock::new(|| Arc::new(SeaweedFs::start()));
        Arc::clone(&SHARED)
    }

    fn try_start() -> Option<Self> {
        let folder = temporary("weed");
        let identity = |name: &str| Identity {
            access_key: format!("{name}key"),
            secret_key: hex::encode(rand::random::<[u8; 20]>()),
        };
        let (full, write_only) = (identity("full"), identity("write"));
        let config = folder.path().join("s3.json");
        fs::write(&config, config_text(&full, &write_only)).expect("write the configuration");
        let log = folder.path().join("log");
        let output = File::create(&log).expect("make a log file");
        let (port, filer_port) = (free_port(), free_port());
        let mut command = Command::new(tool("seaweedfs/bin/weed"));
        command.args([
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-filer",
            "-s3",
        ]);
        command.args(["-volume.max=50", "-master.volumeSizeLimitMB=128"]);
        command.args(["-master.telemetry=false", "-s3.iam=false"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(format!("-dir={}", folder.path().display()));
        command.arg(format!("-s3.config={}", config.display()));
        command.args([
            format!("-s3.port={port}"),
            format!("-filer.port={filer_port}"),
        ]);
        for other in [
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port.grpc",
            "s3.port.grpc",
        ] {
            command.arg(format!("-{other}={}", free_port()));
        }
        command
            .env_clear()
            .env("HOME", folder.path())
            .env("PATH", "/usr/bin:/bin");
        command.current_dir(folder.path());
        command
            .stdout(output.try_clone().expect("clone a handle"))
            .stderr(output);
        let mut child = spawn(command);
        let mut made = false;
        let ready = poll_until(Duration::from_secs(60), "answer of SeaweedFS", || {
            if child.ended().is_some() {
                return Some(false);
            }
            // A bucket is a folder of the filer; S3 answers when it knows its identities.
            made = made || make_bucket(filer_port, Self::BUCKET);
            let answers = http::get(port, &format!("/{}", Self::BUCKET));
            (made && answers.is_ok_and(|answer| answer.status == 403)).then_some(true)
        });
        if !ready {
            let said = fs::read_to_string(&log).unwrap_or_default();
            eprintln!("SeaweedFS ended at once:\n{said}");
        }
        ready.then_some(Self {
            port,
            filer_port,
            full,
            write_only,
            child: Some(child),
            folder,
        })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port of the S3 interface.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A key that may do everything.
    #[must_use]
    pub fn full_key(&self) -> &Identity {
        &self.full
    }

    /// A key that may write into [`BUCKET`](Self::BUCKET) below `nodes/`, and nothing else: not read, list,
    /// delete or look.
    #[must_use]
    pub fn write_only_key(&self) -> &Identity {
        &self.write_only
    }

    /// Makes another bucket.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn create_bucket(&self, name: &str) {
        assert!(make_bucket(self.filer_port, name), "make bucket {name}");
    }

    /// Whether a folder of the bucket [`BUCKET`](Self::BUCKET) is there.
    #[must_use]
    pub fn holds(&self, folder: &str) -> bool {
        let path = format!("/buckets/{}/{folder}", Self::BUCKET);
        http::request("GET", self.filer_port, &path).is_ok_and(|answer| answer.status == 200)
    }

    /// The process id, to measure it or to hurt it.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.as_ref().expect("there until dropped").id()
    }

    /// Where its data lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        drop(self.child.take());
        sweep_sockets();
    }
}

fn make_bucket(filer_port: u16, name: &str) -> bool {
    http::request("POST", filer_port, &format!("/buckets/{name}/"))
        .is_ok_and(|answer| (200..300).contains(&answer.status))
}

fn config_text(full: &Identity, write_only: &Identity) -> String {
    let bucket = SeaweedFs::BUCKET;
    let identity = |name: &str, key: &Identity, may: &str| {
        let Identity {
            access_key,
            secret_key,
        } = key;
        format!(
            r#"{{"name":"{name}","credentials":[{{"accessKey":"{access_key}","secretKey":"{secret_key}"}}],{may}}}"#
        )
    };
    let full = identity(
        "full",
        full,
        r#""actions":["Admin","Read","Write","List","Tagging"]"#,
    );
    // SeaweedFS's own action `Write` includes deleting; a policy in Amazon's language does not.
    let write = identity("write", write_only, r#""policyNames":["write"]"#);
    let policy = format!(
        r#"{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":[\"s3:PutObject\",\"s3:AbortMultipartUpload\"],\"Resource\":[\"arn:aws:s3:::{bucket}/nodes/*\"]}}]}}"#
    );
    format!(
        r#"{{"identities":[{full},{write}],"policies":[{{"name":"write","content":"{policy}"}}]}}"#
    )
}
