//! Canaries: what must not turn up in a log, a database, a command line or an answer.

use std::{fs, path::Path};

use hyper::Method;
use serde_json::json;

use crate::{
    killed::{Daemon, backupd},
    support::{Dialled, Master},
};

fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else if entry.file_type().unwrap().is_file() {
            found.push(entry.path());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_codes_are_in_no_file_and_no_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let log = dir.path().join("log");
    let mut daemon = Daemon::start_logging(&data, &log);
    let master = Master::new();
    let code = daemon.code.clone().unwrap();
    let enrolled = master.enrol(daemon.address, &code).await.unwrap();
    let mut dialled = Dialled::open(daemon.address, &master.identity, Some(enrolled.pin))
        .await
        .unwrap();
    // A credential the node cannot open, and one it can: neither may show.
    let canary = "canary-4f1c-secret-access-key";
    let recipient: age::x25519::Recipient = enrolled.hello.seal_recipient.parse().unwrap();
    let secret = json!({"access_key_id": "id", "secret_access_key": canary}).to_string();
    let sealed = age::encrypt_and_armor(&recipient, secret.as_bytes()).unwrap();
    let provider = |sealed: &str| {
        json!({
            "id": "bucket",
            "name": "bucket",
            "kind": {"type": "s3", "endpoint": "http://127.0.0.1:1", "region": "eu",
                     "bucket": "bucket", "prefix": "", "path_style": true},
            "sealed_credentials": sealed,
        })
    };
    for (sealed, status) in [(sealed.as_str(), 204), (canary, 400)] {
        let body = Some(provider(sealed));
        let put = dialled.call(Method::PUT, "/providers/bucket", Some(master.key()), body);
        let (got, body) = put.await.unwrap();
        assert_eq!(got.as_u16(), status, "{body}");
        assert!(!holds(body.to_string().as_bytes(), canary));
    }
    let (_, listed) = dialled.get("/providers", master.key()).await;
    assert!(!listed.to_string().contains("sealed"), "{listed}");
    dialled.get("/health", "canary-wrong-api-key").await;

    let command_line = fs::read(format!("/proc/{}/cmdline", daemon.pid())).unwrap();
    let environment = fs::read(format!("/proc/{}/environ", daemon.pid())).unwrap();
    assert!(daemon.terminate().success());
    let status = backupd(&data).args(["status", "--json"]).output().unwrap();

    let secrets = [master.key(), canary, "canary-wrong-api-key"];
    for secret in secrets {
        assert!(!holds(&command_line, secret) && !holds(&environment, secret));
        assert!(!holds(&status.stdout, secret) && !holds(&status.stderr, secret));
    }
    let mut all = vec![log.clone()];
    files(&data, &mut all);
    for path in all {
        let bytes = fs::read(&path).unwrap();
        for secret in secrets {
            assert!(!holds(&bytes, secret), "{secret} in {}", path.display());
        }
        // The log shows the code, as the console does; nothing else keeps it.
        if path != log {
            assert!(!holds(&bytes, code.reveal()), "{}", path.display());
        }
    }
    assert!(holds(&fs::read(&log).unwrap(), code.reveal()));
}
