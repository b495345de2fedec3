//! This computer is gone: paper, bucket, and three programs of the distribution.

use std::process::Command;

use backupd_testkit::assert_same_tree;

use crate::{
    whole_way::{protect, site},
    world::World,
};

fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let start = page.find(from).unwrap() + from.len();
    let end = page[start..].find(to).unwrap();
    &page[start..start + end]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_commands_and_the_printed_key_open_a_snapshot() {
    let (_database, site) = site();
    let world = World::new().await;
    let store = world.own_store().await;
    let source = protect(&world, &site, std::slice::from_ref(&store.id)).await;
    let (_, snapshot) = world.back_up(&source).await;
    let snapshot = snapshot.snapshot;

    let page = std::fs::read_to_string(world.home.path("kit.html")).unwrap();
    let folder = world.home.path("by-hand");
    std::fs::create_dir(&folder).unwrap();
    let key = between(&page, "<div class=\"key\" id=\"key\">", "</div>");
    std::fs::write(folder.join("recovery.key"), key).unwrap();
    let place = between(&page, "They lie in</p>\n<pre>", "</pre>")
        .replace("&lt;source&gt;", snapshot.source_id.as_str())
        .replace("&lt;snapshot&gt;", snapshot.id.as_str());
    let archive = World::own_folder(&store)
        .join(place)
        .join("backup.tar.zst.age");
    std::fs::copy(archive, folder.join("backup.tar.zst.age")).unwrap();

    let commands = between(&page, "<pre id=\"commands\">", "</pre>");
    for command in commands.lines() {
        let words: Vec<_> = command.split(' ').collect();
        let ran = Command::new(words[0])
            .args(&words[1..])
            .current_dir(&folder)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{command}: {said}");
    }
    assert_same_tree(
        &site.root().join("wp-content"),
        &folder.join("files/wp-content"),
    );
    let dump = std::fs::read_to_string(folder.join("database.sql")).unwrap();
    assert!(dump.contains("-- Dump completed"));
    world.end().await;
}
