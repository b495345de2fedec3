//! A server that was taken over, or a disk that rots.

use std::path::{Path, PathBuf};

use backupd_base::Code;
use backupd_master::view::{MasterEvent, NodeState, Protection, TaskState};
use backupd_protocol::LiveMessage;
use backupd_testkit::{PATIENCE, eventually};

use crate::{
    whole_way::{protect, site},
    world::{World, becomes},
};

fn find(below: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(find(&path, name));
        } else if path.ends_with(name) {
            found.push(path);
        }
    }
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_archive_restores_nothing() {
    let (_database, site) = site();
    let world = World::new().await;
    let store = world.own_store().await;
    let source = protect(&world, &site, std::slice::from_ref(&store.id)).await;
    let (_, snapshot) = world.back_up(&source).await;
    let archive = &find(World::own_folder(&store), "backup.tar.zst.age")[0];
    let size = std::fs::metadata(archive).unwrap().len();
    flip(archive, usize::try_from(size / 2).unwrap());

    let id = &snapshot.snapshot.id;
    let verified = world.master.snapshot_verify(id).await.unwrap();
    let verified = world.done(&verified).await;
    assert_eq!(verified.state, TaskState::Failed);
    assert_eq!(verified.error.unwrap().code, Code::Corrupt);

    let folder = world.home.path("restored");
    std::fs::create_dir(&folder).unwrap();
    let task = world
        .master
        .snapshot_restore(id, &[], &folder)
        .await
        .unwrap();
    let task = world.done(&task).await;
    assert_eq!(task.error.unwrap().code, Code::Corrupt);
    let left = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(left, 0, "a part of a restore was left behind");

    // Shorter than it was: seen before a byte is read.
    let short = std::fs::OpenOptions::new()
        .write(true)
        .open(archive)
        .unwrap();
    short.set_len(size - 1).unwrap();
    let cut = world.master.snapshot_verify(id).await.unwrap_err();
    assert_eq!(cut.code(), Code::Corrupt);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_index_is_not_shown() {
    let (_database, site) = site();
    let world = World::new().await;
    let store = world.own_store().await;
    let source = protect(&world, &site, std::slice::from_ref(&store.id)).await;
    let (_, snapshot) = world.back_up(&source).await;
    let index = &find(World::own_folder(&store), "index.jsonl.zst.age")[0];
    let size = std::fs::metadata(index).unwrap().len();
    flip(index, usize::try_from(size - 20).unwrap());
    let shown = world.master.snapshot_files(&snapshot.snapshot.id, "").await;
    assert_eq!(shown.unwrap_err().code(), Code::Corrupt);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_was_changed_does_not_enter_the_catalogue() {
    let (_database, site) = site();
    let world = World::new().await;
    let store = world.own_store().await;
    let source = protect(&world, &site, std::slice::from_ref(&store.id)).await;
    // The master is away while the server backs up, and somebody changes what it wrote.
    world.master.close().await;
    let World {
        home,
        master,
        mut server,
        node,
    } = world;
    drop(master);
    server.back_up_alone(&source.id).await;
    let manifest = &find(World::own_folder(&store), "manifest.json")[0];
    flip(manifest, 40);

    let master = home.open().await;
    let mut events = master.subscribe();
    becomes(&master, &node.id, NodeState::Online).await;
    let refused = eventually(PATIENCE, "refusal", async || {
        let sources = master.sources_list().await.unwrap();
        sources.into_iter().find(|s| s.problem.is_some())
    })
    .await;
    assert_eq!(refused.protection, Protection::Attention);
    assert_eq!(refused.snapshots, 0);
    let told = std::iter::from_fn(|| events.try_recv().ok()).any(|event| {
        matches!(
            event,
            MasterEvent::Live { message: LiveMessage::Event(event), .. }
                if event.kind == "snapshot.refused"
        )
    });
    assert!(told);
    // Put right, it is believed.
    flip(manifest, 40);
    eventually(PATIENCE, "snapshot", async || {
        let sources = master.sources_list().await.unwrap();
        sources
            .into_iter()
            .find(|s| s.problem.is_none() && s.snapshots == 1)
    })
    .await;
    master.close().await;
    server.stop().await;
}
