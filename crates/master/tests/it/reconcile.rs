//! The catalogue and the bucket, compared; and the catalogue from the bucket and the paper alone.

use std::sync::Arc;

use backupd_base::{Code, SecretString};
use backupd_master::view::{TaskState, TaskView};
use backupd_registry::{Registry, RemovalRow};
use backupd_storage::{SnapshotPrefix, Storage as _};
use backupd_testkit::{PATIENCE, assert_same_tree, eventually};
use chrono::Utc;

use crate::{
    Master,
    retention::Bucket,
    testing::Home,
    whole_way::{protect, site},
    world::World,
};

#[tokio::test(flavor = "multi_thread")]
async fn missing_changed_and_orphaned_are_told_apart_and_orphans_come_home() {
    let (_database, site) = site();
    let bucket = Bucket::new();
    let mut world = World::new().await;
    let far = bucket.add(&world).await;
    let source = protect(&world, &site, std::slice::from_ref(&far)).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(world.back_up(&source).await.1.snapshot);
    }
    let clean = world.master.provider_reconcile(&far).await.unwrap();
    assert_eq!(clean, Default::default());
    let own = world.own_store().await.id;
    let folder = world.master.provider_reconcile(&own).await;
    assert_eq!(folder.unwrap_err().code(), Code::Invalid);

    // The first was forgotten here, though it lies there; the second lost its index, the third has
    // another archive; beside them a backup that was cut short, and somebody's file.
    world.master.close().await;
    let data = world.home.path("data");
    let removal = RemovalRow {
        snapshot_id: made[0].id.clone(),
        provider_id: far.clone(),
        source_id: source.id.clone(),
        sequence: 1,
        created_at: made[0].created_at,
        stored_bytes: 1,
        reason: "rule".into(),
        begun_at: Utc::now(),
        done_at: None,
    };
    world.master = world
        .home
        .between(world.master, || {
            let registry = Registry::open(&data).unwrap();
            registry
                .removals_begin(std::slice::from_ref(&removal))
                .unwrap();
            registry
                .removal_end(&removal.snapshot_id, &far, Utc::now())
                .unwrap();
        })
        .await;
    let prefix = |n: usize| SnapshotPrefix::new(&source.tenant_id, &source.id, &made[n].id);
    let store = &bucket.storage;
    store.delete(&prefix(1).index()).await.unwrap();
    store.delete(&prefix(2).archive()).await.unwrap();
    store
        .put(&prefix(2).archive(), "short".into())
        .await
        .unwrap();
    let cut = SnapshotPrefix::new(
        &source.tenant_id,
        &source.id,
        &backupd_base::SnapshotId::new(),
    );
    store.put(&cut.archive(), "half".into()).await.unwrap();
    // A manifest of a stranger, and one that was moved.
    let forged = SnapshotPrefix::new(
        &source.tenant_id,
        &source.id,
        &backupd_base::SnapshotId::new(),
    );
    let moved = store.get(&prefix(0).manifest()).await.unwrap();
    store.put(&forged.manifest(), moved).await.unwrap();
    let before = store.list("").await.unwrap();

    let found = world.master.provider_reconcile(&far).await.unwrap();
    let missing: Vec<_> = found.missing.iter().map(|m| &m.snapshot_id).collect();
    assert_eq!(missing, [&made[1].id]);
    assert!(found.missing[0].message.contains("index"));
    let changed: Vec<_> = found.changed.iter().map(|m| &m.snapshot_id).collect();
    assert_eq!(changed, [&made[2].id]);
    assert_eq!((found.orphaned.len(), found.unfinished), (2, 1));
    let good = found.orphaned.iter().find(|o| o.snapshot_id == made[0].id);
    let good = good.unwrap();
    assert_eq!(good.problem, None);
    assert_eq!(good.source_name.as_deref(), Some("shop.example"));
    let bad = found.orphaned.iter().find(|o| o.snapshot_id != made[0].id);
    let bad = bad.unwrap();
    assert_eq!(bad.problem.as_ref().unwrap().code, Code::Corrupt);

    let asked = [good.snapshot_id.clone(), bad.snapshot_id.clone()];
    let adopted = world.master.snapshots_adopt(&far, &asked).await.unwrap();
    assert_eq!(adopted, [made[0].id.clone()]);
    let found = world.master.provider_reconcile(&far).await.unwrap();
    assert_eq!(found.orphaned.len(), 1);
    let verified = world.master.snapshot_verify(&made[0].id).await.unwrap();
    assert_eq!(world.done(&verified).await.state, TaskState::Completed);
    // Looked at only: nothing there was touched.
    assert_eq!(store.list("").await.unwrap(), before);
    world.end().await;
}

fn paper_key(home: &Home) -> SecretString {
    let page = std::fs::read_to_string(home.path("kit.html")).unwrap();
    let start = page.find("AGE-SECRET-KEY-").unwrap();
    let end = page[start..].find('<').unwrap();
    page[start..start + end].trim().to_owned().into()
}

async fn done(master: &Master, task: &TaskView) -> TaskView {
    eventually(PATIENCE, "end of the task", async || {
        let tasks = master.tasks_list().await.unwrap();
        let now = tasks.into_iter().find(|t| t.id == task.id).unwrap();
        (now.state != TaskState::Running).then_some(now)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_bucket_and_the_paper_alone_everything_comes_back() {
    let (_database, site) = site();
    let bucket = Bucket::new();
    let world = World::new().await;
    let far = bucket.add(&world).await;
    let source = protect(&world, &site, std::slice::from_ref(&far)).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(world.back_up(&source).await.1.snapshot);
    }
    let key = paper_key(&world.home);
    world.end().await;

    // One of the middle was removed by a retention; one more was cut short.
    let prefix = SnapshotPrefix::new(&source.tenant_id, &source.id, &made[1].id);
    backupd_storage::remove_snapshot(&bucket.storage, &prefix)
        .await
        .unwrap();
    let cut = SnapshotPrefix::new(
        &source.tenant_id,
        &source.id,
        &backupd_base::SnapshotId::new(),
    );
    bucket
        .storage
        .put(&cut.archive(), "half".into())
        .await
        .unwrap();
    // Whoever can write there can sign with a key of his own.
    let planted = SnapshotPrefix::new(
        &source.tenant_id,
        &source.id,
        &backupd_base::SnapshotId::new(),
    );
    let newest = SnapshotPrefix::new(&source.tenant_id, &source.id, &made[2].id);
    let text = bucket.storage.get(&newest.manifest()).await.unwrap();
    bucket.storage.put(&planted.manifest(), text).await.unwrap();

    let home = Arc::new(Home::new());
    let master = home.open().await;
    let kind = bucket.kind.clone();
    let wrong = backupd_archive::Keypair::generate().to_secret();
    let refused = master
        .catalogue_rebuild("Acme", kind.clone(), bucket.full(), &wrong)
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    let rebuilt = master
        .catalogue_rebuild("Acme", kind.clone(), bucket.full(), &key)
        .await
        .unwrap();
    assert_eq!(
        (rebuilt.sources, rebuilt.snapshots, rebuilt.left_out),
        (1, 2, 1)
    );
    let again = master
        .catalogue_rebuild("Acme", kind, bucket.full(), &key)
        .await;
    assert_eq!(again.unwrap_err().code(), Code::AlreadyExists);

    let listed = master.snapshots_list(None).await.unwrap();
    let ids: Vec<_> = listed.iter().map(|s| s.snapshot.id.clone()).collect();
    assert_eq!(ids, [made[2].id.clone(), made[0].id.clone()]);
    assert_eq!(listed[0].snapshot.manifest_sha256, made[2].manifest_sha256);
    assert_eq!(listed[0].snapshot.source_id, source.id);
    // The key of the paper works here now, and another paper is to be saved.
    let verified = master.snapshot_verify(&ids[1]).await.unwrap();
    assert_eq!(done(&master, &verified).await.state, TaskState::Completed);
    let folder = home.path("restored");
    std::fs::create_dir(&folder).unwrap();
    let task = master
        .snapshot_restore(&ids[0], &[], &folder)
        .await
        .unwrap();
    let restored = done(&master, &task).await;
    let landed = restored.landed_in.unwrap();
    let back = std::path::Path::new(&landed).join("files/wp-content");
    assert_same_tree(&site.root().join("wp-content"), &back);
    assert!(!master.setup_status().await.unwrap().kit_saved);
    master.setup_save_kit(home.path("kit.html")).await.unwrap();
    assert_ne!(
        backupd_base::ExposeSecret::expose_secret(&paper_key(&home)),
        backupd_base::ExposeSecret::expose_secret(&key)
    );
    master.close().await;
}
