//! What goes from folders of this server, what never does, and what a crash in the middle leaves.

use std::{
    fs,
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use backupd::{
    retention,
    store::{Store, providers, removals, removed, snapshots, sources},
};
use backupd_archive::{FORMAT, Manifest, ManifestObject, SignedManifest};
use backupd_base::{Code, Error, JobId, ProviderId, Result, SnapshotId, SourceId, TenantId};
use backupd_protocol::{Event, Retention, Snapshot, retention::RemoveReason};
use backupd_storage::{
    Guarantees, Key, Local, ObjectInfo, OpenUpload, SnapshotPrefix, Storage, Upload,
};
use backupd_testkit::{MariaDb, PATIENCE, SeaweedFs, WordPress, poll_until};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use ed25519_dalek::SigningKey;
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::{
    killed::{Daemon, backupd},
    node::Node,
    support::enrolled,
};

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 15, 12, 0, 0).unwrap()
}

fn last(keep_last: u32) -> Retention {
    Retention {
        keep_last,
        daily: 0,
        weekly: 0,
        monthly: 0,
        yearly: 0,
        keep_within_days: None,
        quota_bytes: None,
    }
}

/// A chain of snapshots as backups would have left them, a day apart, the last one at `now`.
struct Chain {
    tenant: TenantId,
    source: SourceId,
    provider: ProviderId,
    made: Vec<Snapshot>,
}

impl Chain {
    async fn make(
        store: &Store,
        storage: &dyn Storage,
        (tenant, source, provider): (TenantId, SourceId, ProviderId),
        length: u32,
    ) -> Self {
        let mut chain = Self {
            tenant,
            source,
            provider,
            made: Vec::new(),
        };
        for n in 1..=length {
            let made = now() - TimeDelta::days(i64::from(length - n));
            let snapshot = chain.link(storage, made).await;
            store.write(|tx| snapshots::enter(tx, &snapshot)).unwrap();
            chain.made.push(snapshot);
        }
        chain
    }

    async fn link(&self, storage: &dyn Storage, created_at: DateTime<Utc>) -> Snapshot {
        let id = SnapshotId::new();
        let prefix = SnapshotPrefix::new(&self.tenant, &self.source, &id);
        let object = |name: &str, bytes: usize| ManifestObject {
            name: name.into(),
            bytes: bytes as u64,
            sha256: backupd_archive::Digest([7; 32]),
        };
        let before = self.made.last();
        let manifest = Manifest {
            format: FORMAT,
            tenant_id: self.tenant.clone(),
            source_id: self.source.clone(),
            snapshot_id: id.clone(),
            job_id: JobId::new(),
            node_id: None,
            module: "wordpress".into(),
            sequence: before.map_or(0, |s| s.sequence) + 1,
            previous: before.map(|s| s.manifest_sha256.parse().unwrap()),
            created_at,
            archive: object("backup.tar.zst.age", 1000),
            index: object("index.jsonl.zst.age", 10),
            content_bytes: 5000,
            entries: 3,
            consistent: true,
            warnings_count: 0,
            recipients: Vec::new(),
            program: "backupd".into(),
        };
        let signed = SignedManifest::sign(manifest, &SigningKey::from_bytes(&[7; 32])).unwrap();
        for (key, bytes) in [
            (prefix.archive(), vec![1; 1000]),
            (prefix.index(), vec![2; 10]),
            (prefix.meta(), vec![3; 5]),
            (prefix.manifest(), signed.bytes().to_vec()),
        ] {
            storage.put(&key, bytes.into()).await.unwrap();
        }
        let manifest = signed.manifest();
        Snapshot {
            id,
            tenant_id: self.tenant.clone(),
            source_id: self.source.clone(),
            job_id: manifest.job_id.clone(),
            providers: vec![self.provider.clone()],
            sequence: manifest.sequence,
            created_at,
            stored_bytes: 1000,
            content_bytes: 5000,
            files: 3,
            manifest_sha256: signed.sha256().to_string(),
            consistent: true,
            warnings: Vec::new(),
            held: false,
        }
    }

    fn prefix(&self, sequence: u64) -> SnapshotPrefix {
        let at = usize::try_from(sequence).unwrap() - 1;
        SnapshotPrefix::new(&self.tenant, &self.source, &self.made[at].id)
    }
}

/// A node with one source of `length` snapshots in one folder.
struct World {
    node: Node,
    folder: std::path::PathBuf,
    chain: Chain,
}

impl World {
    fn new(length: u32, rule: Option<Retention>) -> Self {
        let node = Node::start();
        let (provider, folder) = node.local("store");
        Self::over(node, provider, folder, length, rule)
    }

    fn over(
        node: Node,
        provider: ProviderId,
        folder: std::path::PathBuf,
        length: u32,
        rule: Option<Retention>,
    ) -> Self {
        let source = node.source_at(Path::new("/srv/site"), std::slice::from_ref(&provider));
        node.set_retention(&source, rule);
        let tenant = node.tenant_of(&source);
        let storage = Local::new(&folder).unwrap();
        let owner = (tenant, source, provider);
        let made = Chain::make(&node.parts.store, &storage, owner, length);
        let chain = node.runtime.block_on(made);
        Self {
            node,
            folder,
            chain,
        }
    }

    fn apply(&self) -> Result<()> {
        self.apply_at(now())
    }

    fn apply_at(&self, now: DateTime<Utc>) -> Result<()> {
        let (parts, source) = (&self.node.parts, &self.chain.source);
        self.node
            .runtime
            .block_on(retention::apply(parts, source, now))
    }

    fn left(&self) -> Vec<u64> {
        let mut left: Vec<_> = self.node.snapshots().iter().map(|s| s.sequence).collect();
        left.sort_unstable();
        left
    }

    /// Sequences of the snapshots of which anything lies in the folder.
    fn there(&self) -> Vec<u64> {
        let there = |n: &u64| self.folder.join(self.chain.prefix(*n).as_prefix()).exists();
        (1..=self.chain.made.len() as u64).filter(there).collect()
    }

    fn events(&self, kind: &str) -> Vec<Event> {
        let mut events = self.node.parts.journal.after(0, u32::MAX).unwrap();
        events.retain(|event| event.kind == kind);
        events
    }
}

#[test]
fn what_the_rule_no_longer_keeps_goes_and_is_reported_once() {
    let world = World::new(6, Some(last(2)));
    let stranger = world.folder.join("tenants/readme.txt");
    fs::write(&stranger, "not ours").unwrap();
    world.apply().unwrap();
    assert_eq!(world.left(), [5, 6]);
    assert_eq!(world.there(), [5, 6]);
    assert!(stranger.exists());
    let events = world.events("retention.removed");
    let told: Vec<_> = events.iter().map(|e| e.data["sequence"].as_str()).collect();
    assert_eq!(told, ["4", "3", "2", "1"]);
    assert!(events[0].message.contains("Test shop"), "{:?}", events[0]);
    world.apply().unwrap();
    assert_eq!(world.events("retention.removed").len(), 4);

    // The chain goes on, and can be followed across what is gone.
    let store = &world.node.parts.store;
    let gone = store.read(|db| removed::list(db, &world.chain.source, 1, 2));
    let gone = gone.unwrap();
    let links: Vec<_> = gone.iter().map(|link| link.sequence).collect();
    assert_eq!(links, [2, 3]);
    let text = gone[0].manifest.as_ref().unwrap();
    let signed = SignedManifest::parse_self_signed(text.as_bytes()).unwrap();
    assert_eq!(signed.sha256().to_string(), gone[0].manifest_sha256);
}

#[test]
fn the_chain_goes_on_where_the_newest_link_is_gone() {
    let world = World::new(2, None);
    let (store, chain) = (&world.node.parts.store, &world.chain);
    let newest = &chain.made[1];
    store
        .write(|tx| snapshots::forget(tx, &newest.id, &chain.provider, None))
        .unwrap();
    let head = store.read(|db| snapshots::head(db, &chain.source)).unwrap();
    assert_eq!(head, Some((2, newest.manifest_sha256.clone())));
}

#[test]
fn without_a_rule_nothing_goes() {
    let world = World::new(3, None);
    world.apply().unwrap();
    assert_eq!(world.left(), [1, 2, 3]);
}

#[test]
fn nothing_goes_in_favour_of_what_is_not_there() {
    let world = World::new(5, Some(last(1)));
    // The newest is cut, the one before it has lost its manifest.
    let archive = world.folder.join(world.chain.prefix(5).archive().as_str());
    fs::remove_file(&archive).unwrap();
    fs::write(&archive, [1; 999]).unwrap();
    let manifest = world.folder.join(world.chain.prefix(4).manifest().as_str());
    fs::remove_file(manifest).unwrap();
    world.apply().unwrap();
    assert_eq!(world.left(), [3, 4, 5]);
    // A disk that is not mounted, or a clock that jumped, takes nothing.
    let away = world.folder.with_extension("away");
    fs::rename(&world.folder, &away).unwrap();
    fs::create_dir(&world.folder).unwrap();
    world.apply().unwrap();
    world.apply_at(now() - TimeDelta::days(3000)).unwrap();
    assert_eq!(world.left(), [3, 4, 5]);
}

#[test]
fn what_is_held_stays_until_it_is_released() {
    let world = World::new(4, Some(last(1)));
    let (parts, id) = (&world.node.parts, &world.chain.made[1].id);
    retention::hold(parts, id, true).unwrap();
    retention::hold(parts, id, true).unwrap();
    world.apply().unwrap();
    assert_eq!(world.left(), [2, 4]);
    assert_eq!(world.events("snapshot.held").len(), 1);
    retention::hold(parts, id, false).unwrap();
    world.apply().unwrap();
    assert_eq!(world.left(), [4]);
}

#[test]
fn a_quota_that_cannot_be_met_is_told_once() {
    let rule = Retention {
        quota_bytes: Some(2500),
        ..last(9)
    };
    let world = World::new(4, Some(rule));
    for snapshot in &world.chain.made[1..] {
        retention::hold(&world.node.parts, &snapshot.id, true).unwrap();
    }
    world.apply().unwrap();
    world.apply().unwrap();
    assert_eq!(world.left(), [2, 3, 4]);
    assert_eq!(world.events("retention.over_quota").len(), 1);
    let gone = &world.events("retention.removed")[0];
    assert!(gone.message.contains("quota"), "{}", gone.message);
}

#[test]
fn a_bucket_is_never_thinned_from_a_node() {
    let node = Node::start();
    let bucket = SeaweedFs::shared();
    let prefix = format!("retention-{}", JobId::new());
    let provider = node.s3(&bucket.endpoint(), bucket.full_key(), &prefix);
    let source = node.source_at(Path::new("/srv/site"), std::slice::from_ref(&provider));
    node.set_retention(&source, Some(last(1)));
    let storage = crate::node::s3(&bucket.endpoint(), bucket.full_key(), &prefix);
    let owner = (node.tenant_of(&source), source.clone(), provider);
    let made = Chain::make(&node.parts.store, &storage, owner, 3);
    node.runtime.block_on(made);
    let apply = retention::apply(&node.parts, &source, now());
    node.runtime.block_on(apply).unwrap();
    assert_eq!(node.snapshots().len(), 3);
    let there = node.runtime.block_on(storage.list("")).unwrap();
    assert_eq!(there.len(), 12);
}

/// A folder on a disk that fails after some deletions: as good as a power cut in between.
struct Failing {
    folder: Local,
    deletions_left: AtomicUsize,
}

#[async_trait]
impl Storage for Failing {
    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        self.folder.put(key, body).await
    }
    async fn start_upload(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.folder.start_upload(key).await
    }
    async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.folder.open_uploads(prefix).await
    }
    async fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.folder.abort_upload(upload).await
    }
    async fn get(&self, key: &Key) -> Result<Bytes> {
        self.folder.get(key).await
    }
    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        self.folder.get_range(key, range).await
    }
    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        self.folder.head(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.folder.list(prefix).await
    }
    async fn delete(&self, key: &Key) -> Result<()> {
        let left = &self.deletions_left;
        let may = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if may.is_err() {
            return Err(Error::new(Code::Internal, "the disk failed"));
        }
        self.folder.delete(key).await
    }
    async fn guarantees(&self, scratch: &Key) -> Result<Guarantees> {
        self.folder.guarantees(scratch).await
    }
}

#[test]
fn cut_short_after_any_deletion_it_is_finished_later_and_reported_once() {
    // Three snapshots of four objects go.
    for deletions in 0..=12 {
        let node = Node::start();
        let folder = node.folder.path().join("store");
        let storage = Arc::new(Failing {
            folder: Local::new(&folder).unwrap(),
            deletions_left: AtomicUsize::new(deletions),
        });
        let provider = node.provider(storage.clone());
        let world = World::over(node, provider, folder, 4, Some(last(1)));
        assert_eq!(world.apply().is_err(), deletions < 12);
        // Whatever lies there with a manifest is whole.
        for sequence in world.there() {
            let prefix = world.chain.prefix(sequence);
            let there = |key: Key| world.folder.join(key.as_str()).exists();
            if there(prefix.manifest()) {
                assert!(there(prefix.archive()) && there(prefix.index()));
            }
        }
        if deletions < 12 {
            // What is going can be neither held nor restored.
            let id = &world.chain.made[0].id;
            let held = retention::hold(&world.node.parts, id, true);
            assert_eq!(held.unwrap_err().code(), Code::Conflict);
        }
        // Later the rule is gone, but what was begun is finished all the same.
        world.node.set_retention(&world.chain.source, None);
        storage.deletions_left.store(usize::MAX, Ordering::SeqCst);
        let finish = retention::finish(&world.node.parts);
        world.node.runtime.block_on(finish).unwrap();
        assert_eq!((world.left(), world.there()), (vec![4], vec![4]));
        assert_eq!(world.events("retention.removed").len(), 3);
    }
}

#[test]
fn a_daemon_finishes_at_its_start_what_a_killed_one_began() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let config = dir.path().join("config");
    let keys = [(); 2].map(|()| age::x25519::Identity::generate().to_public().to_string());
    let text = format!(
        "recipients = {keys:?}\n[[source]]\nname = \"shop\"\npath = \"/srv/shop\"\n\
         [source.retention]\nkeep_last = 1\n"
    );
    fs::write(&config, text).unwrap();
    let command = || {
        let mut command = backupd(&data);
        command
            .env("BACKUPD_CONFIG", &config)
            .env("BACKUPD_PORT", "0");
        command
    };
    assert!(Daemon::of(&mut command()).terminate().success());

    let store = Store::open(&data).unwrap();
    let kept = store.read(sources::list).unwrap().remove(0).source;
    assert_eq!(kept.retention, Some(last(1)));
    let provider = store.read(providers::list).unwrap().remove(0).provider.id;
    let storage = Local::new(data.join("store")).unwrap();
    let owner = (kept.tenant_id, kept.id, provider.clone());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let chain = runtime.block_on(Chain::make(&store, &storage, owner, 3));
    // The former process got as far as the first manifest.
    let removal = removals::Removal {
        snapshot_id: chain.made[0].id.clone(),
        provider_id: provider,
        reason: RemoveReason::Rule,
        manifest: None,
    };
    store.write(|tx| removals::begin(tx, &removal)).unwrap();
    let manifest = chain.prefix(1).manifest();
    runtime.block_on(storage.delete(&manifest)).unwrap();
    drop(store);

    let mut daemon = Daemon::of(&mut command());
    let remains = data.join("store").join(chain.prefix(1).as_prefix());
    let patience = PATIENCE;
    poll_until(patience, "end of the removal", || {
        (!remains.exists()).then_some(())
    });
    assert!(daemon.terminate().success());
    let store = Store::open(&data).unwrap();
    let left = store.read(|db| snapshots::list(db, None)).unwrap();
    let left: Vec<_> = left.iter().map(|s| s.sequence).collect();
    // And nothing new at a start, though the rule asks for one only.
    assert_eq!(left, [3, 2]);
    assert!(store.read(removals::open).unwrap().is_empty());
}

#[test]
fn a_backup_that_completed_makes_room() {
    let database = MariaDb::shared();
    let site = WordPress::install(&database);
    let node = Node::start();
    let (provider, _) = node.local("store");
    let source = node.source(&site, &[provider]);
    node.set_retention(&source, Some(last(2)));
    for _ in 0..4 {
        let job = node.back_up(&source);
        assert!(job.error.is_none(), "{:?}", job.error);
    }
    poll_until(PATIENCE, "removal of the oldest", || {
        let mut left: Vec<_> = node.snapshots().iter().map(|s| s.sequence).collect();
        left.sort_unstable();
        (left == [3, 4]).then_some(())
    });
    let again = node.back_up(&source);
    assert!(again.error.is_none(), "{:?}", again.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_holds_releases_and_reads_what_is_gone() {
    let (node, master) = enrolled().await;
    let agent = node.running.agent().clone();
    let built_in = agent.inventory.providers().unwrap().remove(0).id;
    let storage = Local::new(node.dir.path().join("data/store")).unwrap();
    let owner = (TenantId::new(), SourceId::new(), built_in.clone());
    let chain = Chain::make(&agent.store, &storage, owner, 2).await;
    let mut line = master.dial(&node).await;
    let key = Some(master.key());
    let id = &chain.made[0].id;
    let hold = format!("/snapshots/{id}/hold");
    let one = format!("/snapshots/{id}");
    for (method, held) in [(Method::PUT, true), (Method::DELETE, false)] {
        let (status, _) = line.call(method, &hold, key, None).await.unwrap();
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(line.get(&one, master.key()).await.1["held"], json!(held));
    }
    let unknown = format!("/snapshots/{}/hold", SnapshotId::new());
    let answer = line.call(Method::PUT, &unknown, key, None).await.unwrap();
    assert_eq!(answer.0, StatusCode::NOT_FOUND);

    // What lies in a folder here is not forgotten on the word of a master.
    let local = format!("/snapshots/{id}/providers/{built_in}");
    let (status, _) = line.call(Method::DELETE, &local, key, None).await.unwrap();
    assert_eq!(status, StatusCode::FORBIDDEN);
    let bucket = ProviderId::new();
    let mut elsewhere = chain.link(&storage, now()).await;
    elsewhere.sequence = 3;
    elsewhere.providers = vec![bucket.clone()];
    let entered = agent.store.write(|tx| snapshots::enter(tx, &elsewhere));
    entered.unwrap();
    let far = format!("/snapshots/{}/providers/{bucket}", elsewhere.id);
    for _ in 0..2 {
        let (status, _) = line.call(Method::DELETE, &far, key, None).await.unwrap();
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    let gone = format!("/snapshots/removed?source={}&after=1", chain.source);
    let (_, links) = line.get(&gone, master.key()).await;
    assert_eq!(links[0]["id"], json!(elsewhere.id));
    assert_eq!(links.as_array().unwrap().len(), 1);
    node.stop().await;
}
