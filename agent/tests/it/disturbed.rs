//! What goes wrong with a backup, and that nothing is left of it.

use std::{fs, path::Path, sync::Arc};

use backupd_base::{Code, ProviderId, SourceId};
use backupd_protocol::{Job, JobCreate, JobState, StageState};
use backupd_storage::Storage as _;
use backupd_testkit::{MariaDb, PATIENCE, Proxy, SeaweedFs, WordPress, poll_until, proxy::Fault};

use crate::{
    node::{Node, s3, stage},
    site::{Holding, execute},
};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(list) = fs::read_dir(folder) else {
        return found;
    };
    for entry in list {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path.display().to_string()),
        }
    }
    found
}

pub fn nothing_is_left(node: &Node, store: &Path) {
    assert_eq!(node.snapshots().len(), 0);
    assert_eq!(files(store), [""; 0]);
    assert_eq!(files(&node.data().join("jobs")), [""; 0]);
    let open = node
        .parts
        .store
        .read(|db| backupd::store::transfers::open(db, None));
    assert!(open.unwrap().is_empty());
}

pub fn reported_once(node: &Node, job: &Job, kind: &str) {
    let events = node.parts.journal.after(0, 1000).unwrap();
    let about: Vec<_> = events
        .iter()
        .filter(|e| e.job_id.as_ref() == Some(&job.id))
        .collect();
    assert_eq!(about.len(), 1, "{about:#?}");
    assert_eq!(about[0].kind, kind);
}

pub fn runs(job: &Job, name: &str) -> bool {
    let stage = stage(job, name);
    stage.state == StageState::Running && stage.progress.done_bytes > 0
}

#[test]
fn stopped_during_the_dump() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    let node = Node::start();
    let (provider, store) = node.local("store");
    let source = node.source(&site, &[provider]);
    let holding = Holding::new(&server, site.database(), "LOCK TABLES wp_posts WRITE");
    let job = node.begin(&source);
    node.wait(&job, |job| runs(job, "backup_db"));

    // Meanwhile the source takes no second job.
    let create = JobCreate {
        source_id: source,
        priority: None,
    };
    let second = node.queue.submit_backup(&create).unwrap_err();
    assert_eq!(second.code(), Code::Conflict);

    node.queue.stop(&job.id).unwrap();
    let job = node.ended(&job);
    drop(holding);
    assert_eq!(job.state, JobState::Cancelled, "{job:#?}");
    assert_eq!(stage(&job, "backup_db").state, StageState::Skipped);
    assert_eq!(stage(&job, "cleanup").state, StageState::Completed);
    nothing_is_left(&node, &store);
    reported_once(&node, &job, "job.cancelled");
}

#[test]
fn stopped_while_files_stream_into_the_store() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    site.fill(5, 1, 60, 1);
    let node = Node::start();
    let (provider, store) = node.local("store");
    let source = node.source(&site, &[provider]);
    node.parts.resources.speed().set(1 << 20);
    let job = node.begin(&source);
    let streams = |job: &Job| {
        runs(job, "backup_files") && runs(job, "create_bundle") && runs(job, "upload_remote")
    };
    node.wait(&job, streams);
    assert!(!files(&store).is_empty());
    node.queue.stop(&job.id).unwrap();
    let job = node.ended(&job);
    assert_eq!(job.state, JobState::Cancelled, "{job:#?}");
    nothing_is_left(&node, &store);
    reported_once(&node, &job, "job.cancelled");
}

#[test]
fn stopped_before_it_began() {
    let server = MariaDb::shared();
    let node = Node::start();
    let (provider, store) = node.local("store");
    let sites: Vec<_> = (0..3).map(|_| WordPress::install(&server)).collect();
    let holding: Vec<_> = sites[..2]
        .iter()
        .map(|site| Holding::new(&server, site.database(), "LOCK TABLES wp_posts WRITE"))
        .collect();
    let providers = [provider];
    let jobs: Vec<_> = sites
        .iter()
        .map(|site| node.begin(&node.source(site, &providers)))
        .collect();
    // Two places at the disk: the third waits.
    for job in &jobs[..2] {
        node.wait(job, |job| job.state == JobState::Running);
    }
    let third = node.queue.stop(&jobs[2].id).unwrap();
    assert_eq!(third.state, JobState::Cancelled);
    reported_once(&node, &third, "job.cancelled");
    for job in &jobs[..2] {
        node.queue.stop(&job.id).unwrap();
        node.ended(job);
    }
    drop(holding);
    nothing_is_left(&node, &store);
    let again = node.queue.stop(&jobs[2].id).unwrap_err();
    assert_eq!(again.code(), Code::Conflict);
}

/// A backup whose dump waits at `wp_posts`, and what came of it after `act`.
fn dump_disturbed(act: impl FnOnce(&MariaDb, &WordPress, Holding)) -> Job {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    let node = Node::start();
    let (provider, store) = node.local("store");
    let source = node.source(&site, &[provider]);
    let holding = Holding::new(&server, site.database(), "LOCK TABLES wp_posts WRITE");
    let job = node.begin(&source);
    node.wait(&job, |job| runs(job, "backup_db"));
    act(&server, &site, holding);
    let job = node.ended(&job);
    assert_eq!(job.state, JobState::Failed, "{job:#?}");
    assert_eq!(stage(&job, "backup_db").state, StageState::Failed);
    nothing_is_left(&node, &store);
    reported_once(&node, &job, "job.failed");
    job
}

#[test]
fn a_lost_connection_fails_the_dump_and_names_the_table() {
    let job = dump_disturbed(|server, site, _holding| {
        let connection = poll_until(PATIENCE, "waiting dump", || {
            let id = server.query(&format!(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{}' \
                 AND STATE LIKE 'Waiting%'",
                site.database().name
            ));
            (!id.trim().is_empty()).then(|| id.trim().to_owned())
        });
        server.execute(&format!("KILL {connection}"));
    });
    let error = job.error.unwrap();
    assert_eq!(error.code, Code::Tool);
    assert!(error.message.contains("wp_posts"), "{error:?}");
}

#[test]
fn a_table_that_is_altered_during_the_dump_fails_it_by_name() {
    let job = dump_disturbed(|server, site, holding| {
        execute(server, site, "ALTER TABLE wp_users ADD COLUMN extra INT");
        drop(holding);
    });
    let error = job.error.unwrap();
    assert!(error.message.contains("wp_users"), "{error:?}");
}

pub struct Bucket {
    pub server: Arc<SeaweedFs>,
    pub proxy: Proxy,
    pub prefix: String,
}

impl Bucket {
    pub fn new(prefix: &str) -> Self {
        let server = SeaweedFs::shared();
        Self {
            proxy: Proxy::start(server.port()),
            server,
            prefix: prefix.to_owned(),
        }
    }

    pub fn provider(&self, node: &Node) -> ProviderId {
        node.s3(&self.proxy.endpoint(), self.server.full_key(), &self.prefix)
    }

    /// Objects and open uploads, seen past the proxy.
    pub fn traces(&self, node: &Node) -> Vec<String> {
        let all = s3(
            &self.server.endpoint(),
            self.server.full_key(),
            &self.prefix,
        );
        let objects = node.runtime.block_on(all.list("tenants/")).unwrap();
        let open = node.runtime.block_on(all.open_uploads("tenants/")).unwrap();
        let objects = objects.into_iter().map(|o| o.key.to_string());
        objects.chain(open.into_iter().map(|o| o.id)).collect()
    }
}

/// The server is the third: it ends with its last holder.
fn site_of(content_mb: u32) -> (Node, WordPress, Arc<MariaDb>) {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    site.fill(5, 1, content_mb, 1);
    (Node::start(), site, server)
}

#[test]
fn a_store_that_refuses_leaves_nothing_and_the_other_store_has_it() {
    let (node, site, _server) = site_of(20);
    let bucket = Bucket::new("refusing");
    let is_part = |r: &backupd_testkit::proxy::Request| r.target.contains("partNumber=2");
    bucket.proxy.fail(
        99,
        is_part,
        Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>".into()),
    );
    let (local, _) = node.local("store");
    let remote = bucket.provider(&node);
    let source: SourceId = node.source(&site, &[local.clone(), remote.clone()]);
    let job = node.back_up(&source);
    // Not all have it: that is no success, and the one that has it is not thrown away.
    assert_eq!(job.state, JobState::Failed, "{job:#?}");
    let stored: Vec<_> = job
        .providers
        .iter()
        .map(|p| (&p.provider_id, p.stored))
        .collect();
    assert!(
        stored.contains(&(&local, true)) && stored.contains(&(&remote, false)),
        "{stored:?}"
    );
    assert_eq!(node.snapshots()[0].providers, [local]);
    assert_eq!(bucket.traces(&node), [""; 0]);
    reported_once(&node, &job, "job.failed");
}

#[test]
fn a_part_that_is_lost_is_sent_again() {
    let (node, site, _server) = site_of(20);
    let bucket = Bucket::new("losing");
    let is_part = |r: &backupd_testkit::proxy::Request| r.target.contains("partNumber=1");
    bucket.proxy.fail(1, is_part, Fault::LoseAnswer);
    let source = node.source(&site, &[bucket.provider(&node)]);
    let job = node.back_up(&source);
    assert_eq!(job.state, JobState::Completed, "{job:#?}");
    assert_eq!(bucket.traces(&node).len(), 4);
}

#[test]
fn a_manifest_that_cannot_be_written_makes_no_snapshot() {
    let (node, site, _server) = site_of(1);
    let bucket = Bucket::new("uncommitted");
    let is_manifest = |r: &backupd_testkit::proxy::Request| {
        r.method == "PUT" && r.target.contains("manifest.json")
    };
    bucket.proxy.fail(
        99,
        is_manifest,
        Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>".into()),
    );
    let source = node.source(&site, &[bucket.provider(&node)]);
    let job = node.back_up(&source);
    assert_eq!(job.state, JobState::Failed, "{job:#?}");
    assert_eq!(stage(&job, "upload_remote").state, StageState::Failed);
    assert_eq!(node.snapshots().len(), 0);
    assert_eq!(bucket.traces(&node), [""; 0]);
}
