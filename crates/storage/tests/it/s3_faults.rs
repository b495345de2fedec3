//! S3 when the server or the line misbehaves.

use std::time::{Duration, Instant};

use backupd_base::Code;
use backupd_storage::{S3, Storage};
use backupd_testkit::{
    Identity,
    proxy::{Fault, Request},
};

use crate::{
    line::{Line, error_body, is_complete, is_part, is_put, parameters, random, upload_survives},
    stores::key,
};

#[tokio::test(flavor = "multi_thread")]
async fn parts_survive_what_a_line_does() {
    let line = Line::new();
    for fault in [
        Fault::Answer(500, error_body("InternalError")),
        Fault::Answer(503, error_body("SlowDown")),
        Fault::Answer(429, String::new()),
        Fault::Cut(0),
        Fault::Cut(1_000_000),
        Fault::LoseAnswer,
        Fault::CutAnswer(40),
        // The server sees other bytes than were signed and summed.
        Fault::Corrupt,
    ] {
        line.proxy.fail(2, is_part, fault.clone());
        let before = line.count(is_part);
        upload_survives(&line).await;
        assert_eq!(line.count(is_part) - before, 4, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_survives_what_a_line_does() {
    let line = Line::new();
    for (fault, asked) in [
        (Fault::Answer(500, error_body("InternalError")), 2),
        // "200 OK" with an error in its body is an error.
        (Fault::Answer(200, error_body("InternalError")), 2),
        (Fault::Cut(10), 2),
        // Done, but the answer is lost: looking shows it, nobody asks twice.
        (Fault::LoseAnswer, 1),
        (Fault::CutAnswer(40), 1),
    ] {
        line.proxy.fail(1, is_complete, fault.clone());
        let before = line.count(is_complete);
        upload_survives(&line).await;
        assert_eq!(line.count(is_complete) - before, asked, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_said_yes_and_did_nothing_is_not_believed() {
    let line = Line::new();
    let ok = "<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETag>&quot;x&quot;</ETag></CompleteMultipartUploadResult>";
    line.proxy
        .fail(1, is_complete, Fault::Answer(200, ok.into()));
    let upload = line.once.start_upload(&key("lie")).await.unwrap();
    upload.part(1, 0, random(100)).await.unwrap();
    assert_eq!(
        upload.complete(100).await.unwrap_err().code(),
        Code::Unavailable
    );
    assert_eq!(line.direct().head(&key("lie")).await.unwrap(), None);
    // Asked again, the server does it.
    upload.complete(100).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_whose_answer_is_lost_is_known_as_ours() {
    let line = Line::new();
    for fault in [
        Fault::LoseAnswer,
        Fault::Cut(2),
        Fault::Answer(502, String::new()),
    ] {
        line.proxy.fail(1, is_put, fault.clone());
        let (key, body) = (key("put"), random(1000));
        line.retry().put(&key, body.clone()).await.unwrap();
        assert_eq!(line.direct().get(&key).await.unwrap(), body, "{fault:?}");
        line.direct().delete(&key).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_breaks_off_is_read_again() {
    let line = Line::new();
    let (key, body) = (key("read"), random(100_000));
    line.once.put(&key, body.clone()).await.unwrap();
    for fault in [
        Fault::CutAnswer(5000),
        Fault::CutAnswer(10),
        Fault::Answer(500, String::new()),
    ] {
        let get = |r: &Request| r.method == "GET";
        line.proxy.fail(1, get, fault.clone());
        let cut = line.once.get(&key).await.unwrap_err();
        assert_eq!(cut.code(), Code::Unavailable, "{fault:?}: {cut}");
        line.proxy.fail(1, get, fault);
        assert_eq!(line.retry().get(&key).await.unwrap(), body);
        line.proxy.fail(1, get, Fault::CutAnswer(5000));
        let range = line.retry().get_range(&key, 10..90_000).await.unwrap();
        assert_eq!(range, body[10..90_000]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_in_a_timeout() {
    let line = Line::new();
    line.proxy.set(|_| Some(Fault::Hang));
    let (options, credentials) = parameters(&line.proxy.endpoint(), line.server.full_key());
    let patience = Duration::from_millis(300);
    let hasty = S3::with_patience(options, credentials, patience).unwrap();
    let begun = Instant::now();
    let error = hasty.get(&key("none")).await.unwrap_err();
    assert_eq!(error.code(), Code::Timeout, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_unavailable() {
    let (options, credentials) = parameters(
        &format!("http://127.0.0.1:{}", backupd_testkit::free_port()),
        &Identity {
            access_key: "a".into(),
            secret_key: "b".into(),
        },
    );
    let nobody = S3::new(options, credentials).unwrap();
    let error = nobody.list("").await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_failed_leaves_nothing_after_abort() {
    let line = Line::new();
    let upload = line.once.start_upload(&key("gone")).await.unwrap();
    upload.part(1, 0, random(5 << 20)).await.unwrap();
    line.proxy.fail(1, is_part, Fault::Cut(1000));
    upload.part(2, 5 << 20, random(100_000)).await.unwrap_err();
    let open = upload.open_upload();
    drop(upload);
    // As the next process does from its journal.
    line.direct().abort_upload(&open).await.unwrap();
    assert_eq!(line.direct().open_uploads("").await.unwrap(), []);
    assert_eq!(line.direct().list("").await.unwrap(), []);
}
