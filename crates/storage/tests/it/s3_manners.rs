//! How S3 is spoken: what is sent, what is believed, what a key may do.

use std::process::Command;

use backupd_base::Code;
use backupd_storage::{S3, Storage};
use backupd_testkit::{
    Identity, Proxy, SeaweedFs,
    proxy::{Fault, Request},
};
use bytes::Bytes;

use crate::{
    line::{Line, error_body, parameters, random, upload_survives},
    stores::{key, random_prefix, s3_at},
};

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_their_names_and_secrets_stay_secret() {
    let server = SeaweedFs::shared();
    let wrong = Identity {
        access_key: server.full_key().access_key.clone(),
        secret_key: "canary-secret-key".into(),
    };
    let (options, credentials) = parameters(&server.endpoint(), &wrong);
    assert!(!format!("{credentials:?}").contains("canary"));
    let store = S3::new(options, credentials).unwrap();
    let refused = store.list("").await.unwrap_err();
    assert_eq!(refused.code(), Code::Denied, "{refused}");
    assert!(!format!("{refused:?} {store:?}").contains("canary"));

    let (mut options, credentials) = parameters(&server.endpoint(), server.full_key());
    options.bucket = "no-such-bucket".into();
    let missing = S3::new(options, credentials)
        .unwrap()
        .list("")
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound, "{missing}");
    assert!(missing.to_string().contains("NoSuchBucket"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let line = Line::new();
    let elsewhere = Proxy::start(line.server.port());
    let redirect = format!(
        "HTTP/1.1 307 Elsewhere\r\nLocation: {}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        elsewhere.endpoint()
    );
    line.proxy.set(move |_| Some(Fault::Raw(redirect.clone())));
    let error = line.once.put(&key("a"), Bytes::new()).await.unwrap_err();
    assert_eq!(error.code(), Code::Invalid, "{error}");
    assert_eq!(elsewhere.seen(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_go_out_bare_with_their_checksum() {
    let line = Line::new();
    upload_survives(&line).await;
    line.once.put(&key("small"), random(10)).await.unwrap();
    let sent: Vec<Request> = line.proxy.seen();
    let bodies = sent.iter().filter(|r| r.method == "PUT");
    assert_eq!(bodies.clone().count(), 3);
    for request in bodies {
        assert!(
            request.header("x-amz-checksum-crc32c").is_some(),
            "{request:?}"
        );
        assert_eq!(request.header("content-encoding"), None);
        assert_eq!(request.header("x-amz-trailer"), None);
        assert_eq!(request.header("x-amz-decoded-content-length"), None);
        let signed = request.header("x-amz-content-sha256").unwrap();
        assert_eq!(
            signed.len(),
            64,
            "the body is part of the signature: {signed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_conditional_writes_is_asked_plainly() {
    let line = Line::new();
    // As servers answer that do not know a header.
    line.proxy.set(|request| {
        let modern = [
            "if-none-match",
            "x-amz-checksum-crc32c",
            "x-amz-checksum-algorithm",
        ];
        let known = modern.iter().all(|name| request.header(name).is_none());
        (!known).then(|| Fault::Answer(501, error_body("NotImplemented")))
    });
    line.once
        .put(&key("plain"), Bytes::from_static(b"1"))
        .await
        .unwrap();
    upload_survives(&line).await;
    let second = line.once.put(&key("plain"), Bytes::from_static(b"2")).await;
    assert_eq!(second.unwrap_err().code(), Code::AlreadyExists);
    let found = line.once.guarantees(&key("plain")).await.unwrap();
    assert!(!found.no_overwrite && !found.checksum);
    assert_eq!(line.direct().get(&key("plain")).await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_corrected_by_the_servers_or_named() {
    let line = Line::new();
    let skewed = |date: &str| {
        let body = error_body("RequestTimeTooSkewed");
        Fault::Raw(format!(
            "HTTP/1.1 403 Forbidden\r\n{date}Content-Type: application/xml\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
    };
    // A server that does not tell its time: named, and not tried again in vain.
    let silent = skewed("");
    line.proxy.set(move |_| Some(silent.clone()));
    let error = line.retry().get(&key("a")).await.unwrap_err();
    assert_eq!(error.code(), Code::ClockSkew, "{error}");
    assert_eq!(line.proxy.seen().len(), 1);
    // One that tells: asked again with its time.
    let ahead = skewed("Date: Fri, 31 Dec 2049 23:00:00 GMT\r\n");
    line.proxy.set(move |request| {
        let theirs = request
            .header("x-amz-date")
            .is_some_and(|d| d.starts_with("20491231T23"));
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
        Some(if theirs {
            Fault::Raw(answer.into())
        } else {
            ahead.clone()
        })
    });
    assert_eq!(line.once.get(&key("a")).await.unwrap(), "hi");
    // The real server has the true time: corrected back.
    line.proxy.set(|_| None);
    line.once.put(&key("b"), Bytes::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_key_can_write_its_own_and_nothing_else() {
    let server = SeaweedFs::shared();
    let folder = format!("nodes/{}", uuid::Uuid::new_v4());
    let owner = s3_at(&server.endpoint(), server.full_key(), "");
    let node = s3_at(&server.endpoint(), server.write_only_key(), "");
    let denied = |result: backupd_base::Result<()>, what: &str| {
        assert_eq!(result.unwrap_err().code(), Code::Denied, "{what}");
    };
    let mine = key(&format!("{folder}/archive"));
    node.put(&mine, Bytes::from_static(b"mine")).await.unwrap();
    let big = key(&format!("{folder}/big"));
    let upload = node.start_upload(&big).await.unwrap();
    upload.part(1, 0, random(1000)).await.unwrap();
    upload.complete(1000).await.unwrap();
    assert_eq!(owner.head(&big).await.unwrap().unwrap().size, 1000);
    let aborted = node
        .start_upload(&key(&format!("{folder}/c")))
        .await
        .unwrap();
    aborted.abort().await.unwrap();

    denied(node.get(&mine).await.map(drop), "read");
    denied(node.head(&mine).await.map(drop), "look");
    denied(node.list("").await.map(drop), "list");
    denied(node.delete(&mine).await, "delete");
    denied(
        node.put(&key("other/a"), Bytes::new()).await,
        "write elsewhere",
    );
    let over = node.put(&mine, Bytes::from_static(b"worse")).await;
    assert_eq!(over.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(owner.get(&mine).await.unwrap(), "mine");
    assert_eq!(owner.open_uploads(&folder).await.unwrap(), []);
}

#[test]
fn the_environment_changes_nothing() {
    const ENDPOINT: &str = "STORAGE_TEST_ENDPOINT";
    const KEYS: &str = "STORAGE_TEST_KEYS";
    if let (Ok(endpoint), Ok(keys)) = (std::env::var(ENDPOINT), std::env::var(KEYS)) {
        let (access_key, secret_key) = keys.split_once(' ').unwrap();
        let identity = Identity {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
        };
        let store = s3_at(&endpoint, &identity, &random_prefix());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let key = key("a");
        let put = store.put(&key, Bytes::from_static(b"here"));
        return runtime.block_on(put).unwrap();
    }
    // This very test once more, in a process with a misleading environment.
    let server = SeaweedFs::shared();
    let Identity {
        access_key,
        secret_key,
    } = server.full_key();
    let trap = Proxy::start(server.port());
    let trap_at = trap.endpoint();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "s3_manners::the_environment_changes_nothing"]);
    again.env(ENDPOINT, server.endpoint());
    again.env(KEYS, format!("{access_key} {secret_key}"));
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "wrong"),
        ("AWS_SECRET_ACCESS_KEY", "wrong"),
        ("AWS_SESSION_TOKEN", "wrong"),
        ("AWS_REGION", "nowhere"),
        ("AWS_PROFILE", "none"),
        ("AWS_CA_BUNDLE", "/nonexistent"),
        ("AWS_ENDPOINT_URL", &trap_at),
        ("AWS_ENDPOINT_URL_S3", &trap_at),
        ("HTTP_PROXY", &trap_at),
        ("http_proxy", &trap_at),
        ("ALL_PROXY", &trap_at),
    ] {
        again.env(name, value);
    }
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    assert_eq!(trap.seen(), []);
}
