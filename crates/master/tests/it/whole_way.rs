//! Protect, back up, look inside, restore: to a folder on the server and to a bucket.

use backupd_base::{Code, ProviderId};
use backupd_master::view::{
    CredentialsInput, FileKind, NodeState, Protection, SourceView, TaskState,
};
use backupd_protocol::{JobKind, JobState, ProviderKind};
use backupd_testkit::{MariaDb, PATIENCE, SeaweedFs, WordPress, assert_same_tree, eventually};

use crate::world::World;

pub fn site() -> (std::sync::Arc<MariaDb>, WordPress) {
    let database = MariaDb::shared();
    let site = WordPress::install(&database);
    site.fill(30, 3, 3, 7);
    (database, site)
}

pub async fn protect(world: &World, site: &WordPress, stores: &[ProviderId]) -> SourceView {
    let root = site.root().to_str().unwrap();
    world
        .master
        .source_protect(&world.node.id, root, "shop.example", stores)
        .await
        .unwrap()
}

/// Adds the bucket, and answers what the two sides know of it.
pub async fn bucket(world: &World, weed: &SeaweedFs) -> ProviderId {
    let kind = ProviderKind::S3 {
        endpoint: weed.endpoint(),
        region: "us-east-1".into(),
        bucket: SeaweedFs::BUCKET.into(),
        prefix: "master-tests".into(),
        path_style: true,
    };
    let credentials = || CredentialsInput {
        access_key_id: weed.full_key().access_key.clone(),
        secret_access_key: weed.full_key().secret_key.clone().into(),
    };
    let master = &world.master;
    let tested = master
        .provider_test(kind.clone(), Some(credentials()), None)
        .await;
    assert!(tested.unwrap().usable);
    let wrong = CredentialsInput {
        secret_access_key: "wrong".to_owned().into(),
        ..credentials()
    };
    let tested = master.provider_test(kind.clone(), Some(wrong), None).await;
    assert!(!tested.unwrap().usable);
    let added = master
        .provider_add("Bucket", kind.clone(), Some(credentials()))
        .await;
    let id = added.unwrap().id;
    let tested = master.provider_test(kind, None, Some(&id)).await;
    assert!(tested.unwrap().usable, "the kept credentials do not work");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_found_site_to_restored_files() {
    let (_database, site) = site();
    let weed = SeaweedFs::shared();
    let world = World::new().await;
    let master = &world.master;

    let base = site.root().parent().unwrap().to_str().unwrap();
    let found = master.node_scan(&world.node.id, Some(base)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].title.as_deref(), Some(WordPress::TITLE));

    let own = world.own_store().await.id;
    let bucket = bucket(&world, &weed).await;
    let source = protect(&world, &site, &[own.clone(), bucket.clone()]).await;
    assert_eq!(source.protection, Protection::Waiting);
    let twice = master
        .source_protect(&world.node.id, site.root().to_str().unwrap(), "x", &[own])
        .await;
    assert_eq!(twice.unwrap_err().code(), Code::AlreadyExists);
    let used = master.provider_remove(&bucket).await.unwrap_err();
    assert_eq!(used.code(), Code::Conflict);
    assert!(used.to_string().contains("shop.example"), "{used}");

    let (job, snapshot) = world.back_up(&source).await;
    assert_eq!(job.state, JobState::Completed);
    assert_eq!(snapshot.source_name, "shop.example");
    assert_eq!(snapshot.snapshot.providers.len(), 2);
    let overview = master.overview_get().await.unwrap();
    assert_eq!(overview.sources[0].protection, Protection::Protected);
    assert_eq!(overview.sources[0].snapshots, 1);
    let id = &snapshot.snapshot.id;

    let top = master.snapshot_files(id, "").await.unwrap();
    let names: Vec<_> = top.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["files", "backup.json", "database.sql"]);
    let inside = master.snapshot_files(id, "files/wp-content").await.unwrap();
    let uploads = inside.iter().find(|e| e.name == "uploads").unwrap();
    assert_eq!(uploads.kind, FileKind::Folder);
    assert!(uploads.files > 3 && uploads.size > 3 << 20, "{uploads:?}");
    let missing = master.snapshot_files(id, "files/nothing").await;
    assert_eq!(missing.unwrap_err().code(), Code::NotFound);

    let verified = world.done(&master.snapshot_verify(id).await.unwrap()).await;
    assert_eq!(verified.state, TaskState::Completed, "{:?}", verified.error);
    let said = verified.message.unwrap();
    assert!(
        said.contains("This server") && said.contains("Bucket"),
        "{said}"
    );

    let folder = world.home.path("restored");
    std::fs::create_dir(&folder).unwrap();
    let whole = master.snapshot_restore(id, &[], &folder).await.unwrap();
    let whole = world.done(&whole).await;
    assert_eq!(whole.state, TaskState::Completed, "{:?}", whole.error);
    let landed = std::path::PathBuf::from(whole.landed_in.unwrap());
    assert_eq!(landed.parent(), Some(folder.as_path()));
    assert_same_tree(
        &site.root().join("wp-content"),
        &landed.join("files/wp-content"),
    );
    let dump = std::fs::read_to_string(landed.join("database.sql")).unwrap();
    assert!(dump.contains("-- Dump completed"));

    // One folder, a second time beside the first.
    let some = master
        .snapshot_restore(id, std::slice::from_ref(&uploads.path), &folder)
        .await
        .unwrap();
    assert_eq!(
        some.title,
        format!("Restore {} files of shop.example", uploads.files)
    );
    let some = world.done(&some).await;
    assert_eq!(some.state, TaskState::Completed, "{:?}", some.error);
    let landed = std::path::PathBuf::from(some.landed_in.unwrap());
    assert_same_tree(
        &site.root().join("wp-content/uploads"),
        &landed.join("files/wp-content/uploads"),
    );
    assert!(!landed.join("database.sql").exists());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_read_while_the_server_is_gone() {
    let (_database, site) = site();
    let weed = SeaweedFs::shared();
    let mut world = World::new().await;
    let bucket = bucket(&world, &weed).await;
    let source = protect(&world, &site, &[bucket]).await;
    let (_, snapshot) = world.back_up(&source).await;
    world.server.stop().await;
    world.becomes(NodeState::Offline).await;

    let folder = world.home.path("restored");
    std::fs::create_dir(&folder).unwrap();
    let id = &snapshot.snapshot.id;
    let task = world
        .master
        .snapshot_restore(id, &[], &folder)
        .await
        .unwrap();
    let task = world.done(&task).await;
    assert_eq!(task.state, TaskState::Completed, "{:?}", task.error);
    let landed = std::path::PathBuf::from(task.landed_in.unwrap());
    assert_same_tree(
        &site.root().join("wp-content"),
        &landed.join("files/wp-content"),
    );
    // Without the key it stays closed, and says why.
    world.home.drawer.lock(true);
    let locked = world.master.snapshot_verify(id).await.unwrap_err();
    assert_eq!(locked.code(), Code::KeyringLocked);
    world.home.drawer.lock(false);
    world.home.drawer.empty();
    let emptied = world.master.snapshot_verify(id).await.unwrap_err();
    assert_eq!(emptied.code(), Code::KeyMissing);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_restored_in_place_and_brought_back() {
    let (database, site) = site();
    let world = World::new().await;
    let own = world.own_store().await.id;
    let source = protect(&world, &site, &[own]).await;
    let (_, snapshot) = world.back_up(&source).await;
    let name = &site.database().name;
    let title = "SELECT option_value FROM wp_options WHERE option_name = 'blogname'";
    let before = database.query_in(name, title);

    let marker = site.root().join("wp-content/uploads/later.txt");
    std::fs::write(&marker, "made after the backup").unwrap();
    let _ = database.query_in(
        name,
        "UPDATE wp_options SET option_value = 'Hacked' WHERE option_name = 'blogname'",
    );

    let id = &snapshot.snapshot.id;
    let master = &world.master;
    let started = master.snapshot_restore_in_place(id).await.unwrap();
    let job = master.job_get(&started.job_id).await.unwrap().job;
    assert_eq!(job.kind, JobKind::Restore);
    let job = world.ended(&job).await;
    assert_eq!(job.state, JobState::Completed, "{:?}", job.error);
    assert!(job.can_undo);
    assert!(!marker.exists());
    assert_eq!(database.query_in(name, title), before);

    let (node, restored) = (&started.node_id, &started.job_id);
    master.restore_undo(node, restored).await.unwrap();
    let undo = master.jobs_list(node).await.unwrap().remove(0);
    assert_ne!(undo.id, *restored);
    let undo = world.ended(&undo).await;
    assert_eq!(undo.state, JobState::Completed, "{:?}", undo.error);
    assert_eq!(
        std::fs::read_to_string(&marker).unwrap(),
        "made after the backup"
    );
    assert_eq!(database.query_in(name, title).trim(), "Hacked");
    let nothing_kept = master.restore_confirm(node, restored).await.unwrap_err();
    assert_eq!(nothing_kept.code(), Code::Conflict);
    eventually(PATIENCE, "news that nothing is kept", async || {
        let job = master.job_get(restored).await.unwrap().job;
        (!job.can_undo).then_some(())
    })
    .await;

    // A second time, and kept.
    let started = master.snapshot_restore_in_place(id).await.unwrap();
    let job = master.job_get(&started.job_id).await.unwrap().job;
    world.ended(&job).await;
    master
        .restore_confirm(&started.node_id, &started.job_id)
        .await
        .unwrap();
    assert!(!marker.exists());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_source_and_a_revoked_node_leave_their_snapshots() {
    let (_database, site) = site();
    let world = World::new().await;
    let own = world.own_store().await.id;
    let source = protect(&world, &site, &[own]).await;
    let (_, snapshot) = world.back_up(&source).await;
    let master = &world.master;
    master.source_remove(&source.id).await.unwrap();
    assert!(master.sources_list().await.unwrap().is_empty());
    let refused = master.job_start(&source.id).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    // Still to be read, as long as the server answers.
    let id = &snapshot.snapshot.id;
    assert_eq!(master.snapshot_files(id, "").await.unwrap().len(), 3);
    master.node_revoke(&world.node.id).await.unwrap();
    let kept = master.snapshots_list(None).await.unwrap();
    assert_eq!(
        (kept.len(), kept[0].source_name.as_str()),
        (1, "shop.example")
    );
    assert_eq!(kept[0].node_name, world.node.name);
    world.end().await;
}
