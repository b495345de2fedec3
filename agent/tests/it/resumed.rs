//! A retry sends what is missing where it can, and begins again where it cannot, and says which.

use std::{fs, sync::Arc};

use backupd_base::Code;
use backupd_protocol::{Job, JobState, StageState};
use backupd_storage::{SnapshotPrefix, Storage as _};
use backupd_testkit::{
    MariaDb, WordPress,
    proxy::{Fault, Request},
};

use crate::{
    disturbed::Bucket,
    node::{Node, s3, stage},
};

fn refuse() -> Fault {
    Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>".into())
}

fn is_part(request: &Request) -> bool {
    request.target.contains("partNumber")
}

fn site_of(megabytes: u32) -> (Node, WordPress, Arc<MariaDb>) {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    site.fill(5, 1, megabytes, 1);
    (Node::start(), site, server)
}

fn said(job: &Job) -> &str {
    job.stages[0].message.as_deref().unwrap_or_default()
}

#[test]
fn what_one_provider_has_is_copied_to_the_other_byte_for_byte() {
    let (node, site, _server) = site_of(20);
    let bucket = Bucket::new("resumed");
    bucket.proxy.fail(99, is_part, refuse());
    let (local, folder) = node.local("store");
    let remote = bucket.provider(&node);
    let source = node.source(&site, &[local.clone(), remote.clone()]);
    let first = node.back_up(&source);
    assert_eq!(first.state, JobState::Failed, "{first:#?}");
    let snapshot = node.snapshots().remove(0);

    // The site has moved on: the retry does not look at it.
    fs::write(site.root().join("wp-content/new.txt"), "new").unwrap();
    bucket.proxy.set(|_| None);
    let retry = node.ended(&node.queue.retry(&first.id).unwrap());
    assert_eq!(retry.state, JobState::Completed, "{retry:#?}");
    for name in ["backup_db", "backup_files", "create_bundle"] {
        assert_eq!(stage(&retry, name).state, StageState::Skipped, "{name}");
    }
    assert!(
        said(&retry).contains("1 of 2 providers have the whole snapshot"),
        "{retry:#?}"
    );
    assert_eq!(retry.snapshot_id, Some(snapshot.id.clone()));
    assert!(retry.providers.iter().all(|p| p.stored) && retry.providers.len() == 2);
    let after = node.snapshots();
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].providers, [local, remote]);

    let far = s3(
        &bucket.server.endpoint(),
        bucket.server.full_key(),
        &bucket.prefix,
    );
    let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
    for key in [
        prefix.archive(),
        prefix.index(),
        prefix.meta(),
        prefix.manifest(),
    ] {
        let near = fs::read(folder.join(key.as_str())).unwrap();
        let far = node.runtime.block_on(far.get(&key)).unwrap();
        assert!(far == near, "{key}");
    }
    assert_eq!(bucket.traces(&node).len(), 4);
    let open = node
        .parts
        .store
        .read(|db| backupd::store::transfers::open(db, None));
    assert!(open.unwrap().is_empty());
}

#[test]
fn what_cannot_be_read_is_made_anew_and_the_retry_says_so() {
    let (node, site, _server) = site_of(1);
    let bucket = Bucket::new("refused");
    // One may only be written to; the other refuses, for the first attempt.
    let blind = node.s3(
        &bucket.server.endpoint(),
        bucket.server.write_only_key(),
        "nodes/blind",
    );
    bucket.proxy.fail(99, is_part, refuse());
    let source = node.source(&site, &[blind, bucket.provider(&node)]);
    let first = node.back_up(&source);
    assert_eq!(first.state, JobState::Failed, "{first:#?}");
    assert_eq!(node.snapshots().len(), 1);

    bucket.proxy.set(|_| None);
    let retry = node.ended(&node.queue.retry(&first.id).unwrap());
    assert_eq!(retry.state, JobState::Completed, "{retry:#?}");
    assert!(
        said(&retry).starts_with("From the beginning: "),
        "{}",
        said(&retry)
    );
    assert!(said(&retry).contains("Dumped "), "{}", said(&retry));
    let snapshots = node.snapshots();
    assert_eq!(snapshots.len(), 2);
    assert_eq!(Some(&snapshots[0].id), retry.snapshot_id.as_ref());
    assert_eq!(snapshots[0].providers.len(), 2);
}

#[test]
fn a_damaged_copy_is_not_spread() {
    let (node, site, _server) = site_of(1);
    let bucket = Bucket::new("damaged");
    bucket.proxy.fail(99, is_part, refuse());
    let (local, folder) = node.local("store");
    let source = node.source(&site, &[local.clone(), bucket.provider(&node)]);
    let first = node.back_up(&source);
    let snapshot = node.snapshots().remove(0);
    let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
    let archive = folder.join(prefix.archive().as_str());
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();

    bucket.proxy.set(|_| None);
    let retry = node.ended(&node.queue.retry(&first.id).unwrap());
    assert_eq!(retry.state, JobState::Failed, "{retry:#?}");
    assert_eq!(retry.error.unwrap().code, Code::Corrupt);
    assert_eq!(bucket.traces(&node), [""; 0]);
    assert_eq!(node.snapshots()[0].providers, [local]);
}

#[test]
fn a_first_run_says_nothing_of_all_this() {
    let (node, site, _server) = site_of(1);
    let (local, _) = node.local("store");
    let job = node.back_up(&node.source(&site, &[local]));
    assert!(said(&job).starts_with("Dumped "), "{}", said(&job));
}
