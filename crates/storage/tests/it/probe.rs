//! "Test connection".

use backupd_storage::{
    S3,
    probe::{Check, Finding, Level, probe},
};
use backupd_testkit::{Identity, Proxy, SeaweedFs, proxy::Fault};

use crate::stores::{self, random_prefix, s3_at};

fn level(findings: &[Finding], check: Check) -> Option<Level> {
    let found = findings.iter().find(|finding| finding.check == check);
    found.map(|finding| finding.level)
}

#[track_caller]
fn expect(findings: &[Finding], expected: &[(Check, Level)]) {
    let found: Vec<_> = findings.iter().map(|f| (f.check, f.level)).collect();
    assert_eq!(found, expected, "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_good_but_can_be_emptied() {
    let store = stores::local();
    expect(
        &probe(&*store, "tenants/t").await,
        &[
            (Check::Write, Level::Good),
            (Check::Read, Level::Good),
            (Check::List, Level::Good),
            (Check::Multipart, Level::Good),
            (Check::NoOverwrite, Level::Good),
            (Check::Delete, Level::Warning),
            (Check::Checksum, Level::Good),
        ],
    );
    assert_eq!(store.list("").await.unwrap(), []);
    assert_eq!(store.open_uploads("").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_a_full_key_leaves_nothing_behind() {
    let store = stores::s3();
    let findings = probe(&*store, "").await;
    for check in [
        Check::Write,
        Check::Read,
        Check::List,
        Check::Multipart,
        Check::NoOverwrite,
        Check::Clock,
    ] {
        assert_eq!(level(&findings, check), Some(Level::Good), "{findings:#?}");
    }
    assert_eq!(level(&findings, Check::Delete), Some(Level::Warning));
    assert!(
        findings.iter().all(|f| f.level != Level::Bad),
        "{findings:#?}"
    );
    assert_eq!(store.list("").await.unwrap(), []);
    assert_eq!(store.open_uploads("").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_only_write_is_good_for_a_server() {
    let server = SeaweedFs::shared();
    let node = s3_at(&server.endpoint(), server.write_only_key(), "");
    let findings = probe(&node, "nodes/n1/").await;
    for (check, expected) in [
        (Check::Write, Level::Good),
        (Check::Read, Level::Warning),
        (Check::List, Level::Warning),
        (Check::Multipart, Level::Warning),
        (Check::NoOverwrite, Level::Good),
        (Check::Delete, Level::Good),
    ] {
        assert_eq!(
            level(&findings, check),
            Some(expected),
            "{check}: {findings:#?}"
        );
    }
    // Where it may not write, that is all there is to say.
    expect(
        &probe(&node, "elsewhere").await,
        &[(Check::Write, Level::Bad)],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_once() {
    let server = SeaweedFs::shared();
    let wrong = Identity {
        access_key: "nobody".into(),
        secret_key: "nothing".into(),
    };
    let stranger = s3_at(&server.endpoint(), &wrong, "");
    expect(&probe(&stranger, "").await, &[(Check::Write, Level::Bad)]);
    let nowhere = format!("http://127.0.0.1:{}", backupd_testkit::free_port());
    let unreachable: S3 = s3_at(&nowhere, server.full_key(), "");
    expect(
        &probe(&unreachable, "").await,
        &[(Check::Write, Level::Bad)],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_replaces_objects_is_told() {
    let server = SeaweedFs::shared();
    let proxy = Proxy::start(server.port());
    // As a server does that knows nothing newer than plain S3.
    proxy.set(|request| {
        let modern = request.header("if-none-match").is_some()
            || request.header("x-amz-checksum-algorithm").is_some();
        modern.then(|| Fault::Answer(501, String::new()))
    });
    let store = s3_at(&proxy.endpoint(), server.full_key(), &random_prefix());
    let findings = probe(&store, "").await;
    assert_eq!(level(&findings, Check::Write), Some(Level::Good));
    assert_eq!(level(&findings, Check::NoOverwrite), Some(Level::Warning));
    assert_eq!(level(&findings, Check::Checksum), Some(Level::Warning));
}
