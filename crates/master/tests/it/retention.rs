//! What goes from a bucket and from a server's folder, who takes it away, and how both sides agree.

use backupd_base::{Code, ProviderId, SnapshotId, SourceId};
use backupd_master::view::{
    CredentialsInput, Decision, MasterEvent, NodeState, ProviderKind, Retention, SourceView,
};
use backupd_protocol::LiveMessage;
use backupd_registry::{Registry, RemovalRow};
use backupd_storage::{S3, S3Credentials, S3Options, SnapshotPrefix, Storage as _};
use backupd_testkit::{PATIENCE, SeaweedFs, eventually};
use chrono::Utc;

use crate::{
    whole_way::{protect, site},
    world::{World, becomes},
};

pub fn last(keep_last: u32) -> Retention {
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

/// A part of the bucket of a test's own, and this computer's way to it.
pub struct Bucket {
    pub kind: ProviderKind,
    pub storage: S3,
    weed: std::sync::Arc<SeaweedFs>,
}

impl Bucket {
    pub fn new() -> Self {
        let weed = SeaweedFs::shared();
        let prefix = format!("nodes/{}", ProviderId::new());
        let key = weed.full_key();
        let options = S3Options {
            endpoint: weed.endpoint(),
            region: "us-east-1".into(),
            bucket: SeaweedFs::BUCKET.into(),
            prefix: prefix.clone(),
            path_style: true,
        };
        let credentials = S3Credentials {
            access_key_id: key.access_key.clone(),
            secret_access_key: key.secret_key.clone().into(),
        };
        Self {
            kind: ProviderKind::S3 {
                endpoint: weed.endpoint(),
                region: "us-east-1".into(),
                bucket: SeaweedFs::BUCKET.into(),
                prefix,
                path_style: true,
            },
            storage: S3::new(options, credentials).unwrap(),
            weed,
        }
    }

    pub fn full(&self) -> CredentialsInput {
        input(self.weed.full_key())
    }

    /// The nodes may only write; this computer has a key of its own.
    pub async fn add(&self, world: &World) -> ProviderId {
        let master = &world.master;
        let writes = input(self.weed.write_only_key());
        let added = master
            .provider_add("Bucket", self.kind.clone(), Some(writes))
            .await;
        let id = added.unwrap().id;
        let managed = master.provider_manage(&id, Some(self.full())).await;
        managed.unwrap();
        id
    }

    /// Snapshots with a manifest.
    pub async fn holds(&self) -> Vec<SnapshotId> {
        let found = backupd_storage::holdings(&self.storage, "").await.unwrap();
        let whole = found.into_iter().filter(|(_, h)| h.manifest.is_some());
        whole.map(|((_, _, id), _)| id).collect()
    }
}

fn input(key: &backupd_testkit::Identity) -> CredentialsInput {
    CredentialsInput {
        access_key_id: key.access_key.clone(),
        secret_access_key: key.secret_key.clone().into(),
    }
}

async fn sequences(world: &World, source: &SourceId) -> Vec<u64> {
    let listed = world.snapshots(source).await;
    let mut sequences: Vec<_> = listed.iter().map(|s| s.snapshot.sequence).collect();
    sequences.sort_unstable();
    sequences
}

/// Backs up without looking at the catalogue, which retention changes meanwhile.
async fn back_up(world: &World, source: &SourceView) {
    let started = world.master.job_start(&source.id).await.unwrap();
    let job = world.ended(&started.job).await;
    assert!(job.error.is_none(), "{:?}", job.error);
}

async fn settles(world: &World, source: &SourceId, bucket: &Bucket, expected: &[u64]) {
    eventually(
        PATIENCE,
        "agreement of both catalogues and the bucket",
        async || {
            let there = world
                .server
                .running()
                .agent()
                .store
                .read(|db| backupd::store::snapshots::list(db, Some(source)));
            let mut there: Vec<_> = there.unwrap().iter().map(|s| s.sequence).collect();
            there.sort_unstable();
            let here = sequences(world, source).await;
            let held = bucket.holds().await.len();
            (here == expected && there == expected && held == expected.len()).then_some(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_kept_in_the_bucket_and_on_the_server_and_both_agree() {
    let (_database, site) = site();
    let bucket = Bucket::new();
    let mut world = World::new().await;
    let own = world.own_store().await.id;
    let far = bucket.add(&world).await;
    let source = protect(&world, &site, &[own, far.clone()]).await;
    for _ in 0..3 {
        world.back_up(&source).await;
    }
    let master = &world.master;
    let mut events = master.subscribe();

    // Looked at only.
    let nothing = master.retention_preview(&source.id, &last(0)).await;
    assert_eq!(nothing.unwrap_err().code(), Code::Invalid);
    let preview = master
        .retention_preview(&source.id, &last(1))
        .await
        .unwrap();
    assert_eq!(preview.snapshots.len(), 6);
    let goes = |d: &Decision| !d.keeps();
    let gone = preview.snapshots.iter().filter(|line| goes(&line.decision));
    assert_eq!(gone.count(), 4);
    assert!(preview.freed_bytes > 0);
    assert_eq!(sequences(&world, &source.id).await, [1, 2, 3]);

    // One is held; the rule is set; nothing goes before the next backup.
    let oldest = world.snapshots(&source.id).await.pop().unwrap();
    master
        .snapshot_hold(&oldest.snapshot.id, true)
        .await
        .unwrap();
    assert!(
        world
            .snapshots(&source.id)
            .await
            .pop()
            .unwrap()
            .snapshot
            .held
    );
    master
        .source_retention(&source.id, Some(last(2)))
        .await
        .unwrap();
    let shown = master.sources_list().await.unwrap().remove(0);
    assert_eq!(shown.retention, Some(last(2)));
    assert_eq!(sequences(&world, &source.id).await, [1, 2, 3]);
    back_up(&world, &source).await;
    settles(&world, &source.id, &bucket, &[1, 3, 4]).await;
    let mut report = || {
        std::iter::from_fn(|| events.try_recv().ok()).find_map(|event| match event {
            MasterEvent::Live {
                message: LiveMessage::Event(event),
                ..
            } if event.kind == "retention.removed" && event.seq == 0 => Some(event.message),
            _ => None,
        })
    };
    let told = eventually(PATIENCE, "report of the removal", || {
        std::future::ready(report())
    })
    .await;
    assert!(
        told.contains("shop.example") && told.contains("Bucket"),
        "{told}"
    );

    // Away for three backups: what came and went unseen on the server is no gap in the chain, and
    // what is released goes.
    let id = oldest.snapshot.id;
    world.master.snapshot_hold(&id, false).await.unwrap();
    world.master.close().await;
    for _ in 0..3 {
        world.server.back_up_alone(&source.id).await;
    }
    world.master = world.home.reopen(world.master).await;
    becomes(&world.master, &world.node.id, NodeState::Online).await;
    settles(&world, &source.id, &bucket, &[6, 7]).await;
    let shown = world.master.sources_list().await.unwrap().remove(0);
    assert_eq!(shown.problem, None);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_on_the_server_what_came_and_went_unseen_is_no_gap() {
    let (_database, site) = site();
    let mut world = World::new().await;
    let own = world.own_store().await.id;
    let source = protect(&world, &site, &[own]).await;
    let rule = world.master.source_retention(&source.id, Some(last(1)));
    rule.await.unwrap();
    world.back_up(&source).await;
    world.master.close().await;
    for _ in 0..3 {
        world.server.back_up_alone(&source.id).await;
    }
    eventually(PATIENCE, "removal on the server", async || {
        let agent = world.server.running().agent();
        let left = agent
            .store
            .read(|db| backupd::store::snapshots::list(db, None));
        (left.unwrap().len() == 1).then_some(())
    })
    .await;
    world.master = world.home.reopen(world.master).await;
    eventually(PATIENCE, "the newest one alone", async || {
        (sequences(&world, &source.id).await == [4]).then_some(())
    })
    .await;
    let shown = world.master.sources_list().await.unwrap().remove(0);
    assert_eq!(shown.problem, None);
    // The chain goes on.
    back_up(&world, &source).await;
    eventually(PATIENCE, "the next one", async || {
        (sequences(&world, &source.id).await == [5]).then_some(())
    })
    .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_ended_in_the_middle_finishes_at_its_start() {
    let (_database, site) = site();
    let bucket = Bucket::new();
    let mut world = World::new().await;
    let far = bucket.add(&world).await;
    let source = protect(&world, &site, std::slice::from_ref(&far)).await;
    let (_, first) = world.back_up(&source).await;
    world.back_up(&source).await;
    world.master.close().await;
    let data = world.home.path("data");
    world.master = world
        .home
        .between(world.master, || {
            let registry = Registry::open(&data).unwrap();
            let removal = RemovalRow {
                snapshot_id: first.snapshot.id.clone(),
                provider_id: far,
                source_id: source.id.clone(),
                sequence: 1,
                created_at: first.snapshot.created_at,
                stored_bytes: 1,
                reason: "rule".into(),
                begun_at: Utc::now(),
                done_at: None,
            };
            registry.removals_begin(&[removal]).unwrap();
        })
        .await;
    settles(&world, &source.id, &bucket, &[2]).await;
    let prefix = SnapshotPrefix::new(&source.tenant_id, &source.id, &first.snapshot.id);
    let left = bucket.storage.list(&prefix.as_prefix()).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_in_favour_of_what_the_bucket_lost() {
    let (_database, site) = site();
    let bucket = Bucket::new();
    let world = World::new().await;
    let far = bucket.add(&world).await;
    let source = protect(&world, &site, std::slice::from_ref(&far)).await;
    for _ in 0..2 {
        world.back_up(&source).await;
    }
    // The newer one is lost behind everybody's back; the rule asks for the last one only.
    let newest = world.snapshots(&source.id).await.remove(0).snapshot;
    let prefix = SnapshotPrefix::new(&source.tenant_id, &source.id, &newest.id);
    bucket.storage.delete(&prefix.archive()).await.unwrap();
    let rule = world.master.source_retention(&source.id, Some(last(1)));
    rule.await.unwrap();
    back_up(&world, &source).await;
    // Only what is proven to be there took a place: the third; the first is no longer asked for.
    eventually(PATIENCE, "removal of the first", async || {
        (sequences(&world, &source.id).await == [2, 3]).then_some(())
    })
    .await;
    world.end().await;
}
