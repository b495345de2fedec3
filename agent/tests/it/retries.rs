//! What failed is tried again: when it may pass, not for ever, and not against anybody's will.

use std::{sync::Arc, time::Duration};

use backupd::jobs::Backoff;
use backupd_base::{Code, SourceId};
use backupd_protocol::{Job, JobState};
use backupd_testkit::{MariaDb, PATIENCE, WordPress, poll_until};
use chrono::{TimeDelta, Utc};

use crate::node::Node;

/// A node that tries again, a source on it, and the server its site needs.
fn node(backoff: Backoff) -> (Node, SourceId, WordPress, Arc<MariaDb>) {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    let node = Node::start();
    node.queue.retry_failures(backoff);
    let (provider, _) = node.local("store");
    let source = node.source(&site, &[provider]);
    (node, source, site, server)
}

fn at_once() -> Backoff {
    Backoff {
        first: Duration::from_millis(5),
        factor: 1,
        ..Backoff::default()
    }
}

fn newest(node: &Node, source: &SourceId) -> Job {
    node.queue.list(Some(source), 1).unwrap().remove(0)
}

#[test]
fn a_store_out_of_reach_is_tried_again_later_and_an_admin_need_not_wait() {
    let (node, source, _site, _server) = node(Backoff::default());
    node.host.fail(Some(Code::Unavailable));
    let first = node.back_up(&source);
    assert_eq!(first.state, JobState::Failed);
    let retry = newest(&node, &source);
    assert_eq!((retry.state, retry.attempt), (JobState::Pending, 2));
    assert_eq!(retry.retry_of.as_ref(), Some(&first.id));
    let wait = retry.not_before.unwrap() - Utc::now();
    let most = TimeDelta::seconds(60);
    assert!(wait > TimeDelta::seconds(20) && wait <= most, "{wait}");
    // One report of the failure, and it says what comes next.
    let events = node.parts.journal.after(0, 100).unwrap();
    assert_eq!(events.len(), 1, "{events:#?}");
    assert!(events[0].message.contains("attempt 2 of 4"), "{events:#?}");
    assert_eq!(events[0].data["retry_job_id"], retry.id.as_str());

    // Asked for by an admin, on the failed job, it is due.
    node.host.fail(None);
    let forward = node.queue.retry(&first.id).unwrap();
    assert_eq!(forward.id, retry.id);
    let done = node.ended(&forward);
    assert_eq!(done.state, JobState::Completed, "{done:#?}");
    let again = node.queue.retry(&done.id).unwrap_err();
    assert_eq!(again.code(), Code::Conflict);
}

#[test]
fn the_attempts_are_counted_and_a_person_may_go_on() {
    let (node, source, _site, _server) = node(at_once());
    node.host.fail(Some(Code::Timeout));
    let first = node.begin(&source);
    let last = poll_until(PATIENCE, "fourth attempt", || {
        Some(newest(&node, &source)).filter(|job| job.attempt == 4 && job.state.is_final())
    });
    let chain = node.queue.list(Some(&source), 100).unwrap();
    let attempts: Vec<_> = chain.iter().map(|job| job.attempt).collect();
    assert_eq!(attempts, [4, 3, 2, 1]);
    assert!(
        chain[..3]
            .iter()
            .all(|job| job.retry_of.as_ref() == Some(&first.id))
    );

    node.host.fail(None);
    let fifth = node.queue.retry(&last.id).unwrap();
    assert_eq!((fifth.attempt, fifth.not_before), (5, None));
    assert_eq!(fifth.retry_of, Some(first.id));
    assert_eq!(node.ended(&fifth).state, JobState::Completed);
}

#[test]
fn what_does_not_pass_is_not_tried_again() {
    let (node, source, _site, _server) = node(at_once());
    for code in [Code::Denied, Code::Corrupt, Code::DiskFull] {
        node.host.fail(Some(code));
        let job = node.back_up(&source);
        assert_eq!(job.error.unwrap().code, code);
        assert_eq!(newest(&node, &source).id, job.id);
    }
}

#[test]
fn stopping_the_waiting_retry_ends_the_chain_and_a_new_job_takes_its_place() {
    let (node, source, _site, _server) = node(Backoff::default());
    node.host.fail(Some(Code::Unavailable));
    let first = node.back_up(&source);
    let retry = newest(&node, &source);
    assert!(retry.is_waiting());
    let stopped = node.queue.stop(&retry.id).unwrap();
    assert_eq!(stopped.state, JobState::Cancelled);
    assert_eq!(newest(&node, &source).id, retry.id);

    // A failed one may be tried again all the same, and fails as attempt 3.
    let third = node.ended(&node.queue.retry(&first.id).unwrap());
    assert_eq!((third.state, third.attempt), (JobState::Failed, 3));
    let waiting = newest(&node, &source);
    assert_eq!((waiting.attempt, waiting.is_waiting()), (4, true));

    // Somebody backs it up now: no 409, and the retry is not needed any more.
    node.host.fail(None);
    let fresh = node.back_up(&source);
    assert_eq!(fresh.state, JobState::Completed, "{fresh:#?}");
    assert_eq!((fresh.attempt, fresh.retry_of), (1, None));
    let gone = node.queue.get(&waiting.id).unwrap();
    assert_eq!(gone.state, JobState::Cancelled);
    let events = node.parts.journal.after(0, 100).unwrap();
    let told = |e: &&backupd_protocol::Event| e.job_id.as_ref() == Some(&waiting.id);
    assert_eq!(events.iter().filter(told).count(), 1, "{events:#?}");
}
