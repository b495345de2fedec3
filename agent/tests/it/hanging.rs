//! Jobs that do not end by themselves: seen, ended, named, and nothing left of them.

use std::{fs, path::Path, time::Duration};

use backupd::{jobs::Patience, store::jobs};
use backupd_base::{Code, JobId};
use backupd_protocol::{Job, JobState, StageState};
use backupd_testkit::{MariaDb, PATIENCE, WordPress, poll_until, proxy::Fault};

use crate::{
    disturbed::{Bucket, nothing_is_left, reported_once, runs},
    node::{Node, stage},
    site::Holding,
};

const SOON: Duration = Duration::from_millis(400);

fn quick() -> Patience {
    Patience {
        look: Duration::from_millis(20),
        ..Patience::default()
    }
}

/// Dump programs at work on a database.
fn dumps_of(database: &str) -> usize {
    let is_dump = |folder: &Path| {
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("dump") && line.split('\0').any(|word| word == database)
    };
    let processes = fs::read_dir("/proc").unwrap();
    processes
        .filter(|p| is_dump(&p.as_ref().unwrap().path()))
        .count()
}

fn hung(job: &Job, name: &str, waited_for: &str) {
    assert_eq!(job.state, JobState::Failed, "{job:#?}");
    let error = job.error.as_ref().unwrap();
    assert_eq!(
        (error.code, error.stage.as_deref()),
        (Code::Timeout, Some(name))
    );
    assert!(error.message.contains(waited_for), "{error:?}");
    assert_eq!(stage(job, name).state, StageState::Failed);
    assert_eq!(stage(job, "cleanup").state, StageState::Completed);
}

#[test]
fn a_dump_behind_a_forgotten_lock_is_ended_with_its_child() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    let node = Node::with_patience(Patience {
        database: SOON,
        ..quick()
    });
    let (provider, store) = node.local("store");
    let source = node.source(&site, &[provider]);
    let holding = Holding::new(&server, site.database(), "LOCK TABLES wp_posts WRITE");
    let job = node.begin(&source);
    node.wait(&job, |job| runs(job, "backup_db"));
    let database = &site.database().name;
    assert_eq!(dumps_of(database), 1);
    let job = node.ended(&job);
    hung(
        &job,
        "backup_db",
        &format!("waiting for the dump of database {database}"),
    );
    assert_eq!(dumps_of(database), 0);
    nothing_is_left(&node, &store);
    reported_once(&node, &job, "job.failed");
    drop(holding);
}

#[test]
fn an_upload_that_is_never_answered_is_ended_and_names_the_provider() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    site.fill(5, 1, 60, 1);
    let node = Node::with_patience(Patience {
        stream: SOON,
        ..quick()
    });
    let bucket = Bucket::new("hanging");
    bucket
        .proxy
        .fail(99, |r| r.target.contains("partNumber"), Fault::Hang);
    let provider = bucket.provider(&node);
    let source = node.source(&site, std::slice::from_ref(&provider));
    let job = node.back_up(&source);
    hung(
        &job,
        "upload_remote",
        &format!("waiting for provider {provider}"),
    );
    assert_eq!(bucket.traces(&node), [""; 0]);
    reported_once(&node, &job, "job.failed");
}

#[test]
fn a_reset_ends_what_hangs_and_nothing_else() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    let node = Node::start();
    node.queue.retry_failures(backupd::jobs::Backoff::default());
    let (provider, store) = node.local("store");
    let source = node.source(&site, &[provider]);
    let holding = Holding::new(&server, site.database(), "LOCK TABLES wp_posts WRITE");
    let job = node.begin(&source);
    node.wait(&job, |job| runs(job, "backup_db"));
    let reset = node.runtime.block_on(node.queue.reset(&job.id)).unwrap();
    hung(&reset, "backup_db", "reset on request");
    nothing_is_left(&node, &store);
    // An admin is there: nothing is tried again behind his back.
    assert_eq!(node.queue.list(Some(&source), 10).unwrap().len(), 1);
    let again = node
        .runtime
        .block_on(node.queue.reset(&job.id))
        .unwrap_err();
    assert_eq!(again.code(), Code::Conflict);
    drop(holding);
    assert_eq!(node.back_up(&source).state, JobState::Completed);
}

/// A job that is RUNNING in the database, and nowhere else.
fn dead(node: &Node, like: &Job) -> JobId {
    let mut job = like.clone();
    job.id = JobId::new();
    job.state = JobState::Running;
    job.error = None;
    job.snapshot_id = None;
    job.finished_at = None;
    node.parts
        .store
        .write(|tx| jobs::insert(tx, &job, "{}"))
        .unwrap();
    job.id
}

#[test]
fn a_job_that_nobody_runs_is_reset_or_found() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    for (patience, is_found) in [(Patience::default(), false), (quick(), true)] {
        let node = Node::with_patience(patience);
        let (provider, _) = node.local("store");
        let source = node.source(&site, &[provider]);
        let job = node.back_up(&source);
        let dead = dead(&node, &job);
        let ended = if is_found {
            poll_until(PATIENCE, "end of the dead job", || {
                Some(node.queue.get(&dead).unwrap()).filter(|job| job.state.is_final())
            })
        } else {
            node.runtime.block_on(node.queue.reset(&dead)).unwrap()
        };
        assert_eq!(ended.state, JobState::Failed);
        let why = ended.error.unwrap().message;
        assert_eq!(why.contains("reset on request"), !is_found, "{why}");
        assert_eq!(node.back_up(&source).state, JobState::Completed);
    }
}

#[test]
fn a_thread_that_does_not_come_back_is_given_up_and_does_no_harm_later() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    let node = Node::with_patience(Patience {
        grace: Duration::from_millis(100),
        ..quick()
    });
    let (stuck, store) = node.local("stuck");
    let (other, _) = node.local("other");
    let source = node.source(&site, std::slice::from_ref(&stuck));
    node.host.stick(Some(stuck.clone()));
    let job = node.begin(&source);
    node.wait(&job, |job| {
        stage(job, "upload_remote").state == StageState::Running
    });
    let reset = node.runtime.block_on(node.queue.reset(&job.id)).unwrap();
    assert_eq!(reset.state, JobState::Failed, "{reset:#?}");
    assert!(
        reset.warnings.iter().any(|w| w.contains("given up")),
        "{reset:#?}"
    );
    let view = node.queue.resources().unwrap();
    assert_eq!((view.io.holders, view.network.holders), (vec![], vec![]));
    assert_eq!(node.queue.running_count(), 0);
    // The source is free for the next one.
    let elsewhere = node.source(&site, &[other]);
    assert_eq!(node.back_up(&elsewhere).state, JobState::Completed);

    node.host.stick(None);
    let open = || {
        node.parts
            .store
            .read(|db| backupd::store::transfers::open(db, None))
    };
    poll_until(PATIENCE, "end of the thread", || {
        open().unwrap().is_empty().then_some(())
    });
    assert_eq!(node.queue.get(&job.id).unwrap(), reset);
    reported_once(&node, &reset, "job.failed");
    assert_eq!(node.snapshots().len(), 1);
    assert!(!store.join("tenants").exists());
}
