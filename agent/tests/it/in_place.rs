//! A restore over the site itself, its way back, and its end.

use std::{fs, path::PathBuf};

use backupd_base::{Code, ProviderId, SourceId};
use backupd_protocol::{JobState, RestoreCreate, RestoreTarget, Snapshot, StageState};
use backupd_testkit::{MariaDb, WordPress, assert_same_tree};

use crate::{
    node::Node,
    site::{Holding, copy, dump, execute, leftovers},
};

struct Backed {
    node: Node,
    server: std::sync::Arc<MariaDb>,
    site: WordPress,
    source: SourceId,
    provider: ProviderId,
    snapshot: Snapshot,
    /// The site and its database when it was backed up, and damaged afterwards.
    good: (PathBuf, String),
    bad: (PathBuf, String),
}

impl Backed {
    /// A site that was backed up and then damaged in every way.
    fn new() -> Self {
        let server = MariaDb::shared();
        let site = WordPress::install(&server);
        site.fill(30, 2, 1, 1);
        // The definer is another user: only an administrator could make it anew in his name.
        execute(
            &server,
            &site,
            "CREATE DEFINER='root'@'localhost' TRIGGER keeper BEFORE INSERT ON wp_links \
             FOR EACH ROW SET NEW.link_notes = 'x'",
        );
        let content = site.root().join("wp-content");
        fs::create_dir_all(content.join("cache")).unwrap();
        fs::write(content.join("cache/page.html"), "cached").unwrap();
        let node = Node::start();
        let (provider, _) = node.local("store");
        let source = node.source(&site, std::slice::from_ref(&provider));
        let good = node.folder.path().join("good");
        copy(site.root(), &good);
        let good = (good, dump(&server, site.database()));
        let job = node.back_up(&source);
        assert_eq!(job.state, JobState::Completed, "{job:#?}");

        fs::remove_dir_all(content.join("uploads")).unwrap();
        fs::write(content.join("index.php"), "<?php evil();").unwrap();
        fs::write(content.join("shell.php"), "<?php evil();").unwrap();
        execute(
            &server,
            &site,
            "DELETE FROM wp_posts WHERE ID % 2 = 0; DROP TABLE wp_links; \
             CREATE TABLE wp_evil (a INT); CREATE TABLE other_tool (a INT)",
        );
        let bad = node.folder.path().join("bad");
        copy(site.root(), &bad);
        let bad = (bad, dump(&server, site.database()));
        Self {
            snapshot: node.snapshots().remove(0),
            node,
            server,
            site,
            source,
            provider,
            good,
            bad,
        }
    }

    fn create(&self, paths: &[&str]) -> RestoreCreate {
        RestoreCreate {
            snapshot_id: self.snapshot.id.clone(),
            provider_id: self.provider.clone(),
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
            target: RestoreTarget::InPlace,
            keys: self.node.lend(&self.snapshot, &self.provider),
        }
    }

    fn is(&self, (tree, database): &(PathBuf, String)) {
        for part in ["wp-content", "wp-admin", "wp-includes"] {
            assert_same_tree(&tree.join(part), &self.site.root().join(part));
        }
        assert!(dump(&self.server, self.site.database()) == *database);
    }

    fn nothing_is_left(&self) {
        assert_eq!(leftovers(self.site.root()), [""; 0]);
        let formers = self.node.data().join("formers");
        assert!(
            formers
                .read_dir()
                .map_or(true, |mut list| list.next().is_none())
        );
    }
}

#[test]
fn a_site_is_restored_over_itself_and_brought_back() {
    let backed = Backed::new();
    let job = backed
        .node
        .queue
        .submit_restore(backed.create(&[]))
        .unwrap();
    let job = backed.node.ended(&job);
    assert_eq!(job.state, JobState::Completed, "{job:#?}");
    assert!(job.can_undo);

    // Everything is as it was backed up; a table of another tool and a cache stay.
    assert_same_tree(
        &backed.good.0.join("wp-content"),
        &backed.site.root().join("wp-content"),
    );
    let database = &backed.site.database().name;
    assert_eq!(
        backed
            .server
            .query_in(database, "SHOW TABLES LIKE 'wp_evil'"),
        ""
    );
    assert_ne!(
        backed
            .server
            .query_in(database, "SHOW TABLES LIKE 'other_tool'"),
        ""
    );
    execute(&backed.server, &backed.site, "DROP TABLE other_tool");
    let user = format!("`{}`@`", backed.site.database().user);
    let now = dump(&backed.server, backed.site.database());
    assert!(
        now.contains(&user),
        "the trigger is the site's own user's now"
    );
    let strip =
        |text: &str| -> String { text.lines().filter(|l| !l.contains("DEFINER=")).collect() };
    assert!(strip(&now) == strip(&backed.good.1));
    assert!(backed.site.serve().page("/").contains(WordPress::TITLE));

    // As long as the former state is kept there is no second restore, but there are backups.
    let second = backed
        .node
        .queue
        .submit_restore(backed.create(&[]))
        .unwrap_err();
    assert_eq!(second.code(), Code::Conflict);
    let backup = backed.node.back_up(&backed.source);
    assert_eq!(backup.state, JobState::Completed, "{backup:#?}");

    execute(
        &backed.server,
        &backed.site,
        "CREATE TABLE other_tool (a INT)",
    );
    let undo = backed.node.queue.submit_undo(&job.id).unwrap();
    let undo = backed.node.ended(&undo);
    assert_eq!(undo.state, JobState::Completed, "{undo:#?}");
    backed.is(&backed.bad);
    backed.nothing_is_left();
    assert!(!backed.node.queue.get(&job.id).unwrap().can_undo);
    assert_eq!(
        backed.node.queue.confirm(&job.id).unwrap_err().code(),
        Code::Conflict
    );
}

#[test]
fn what_is_confirmed_is_gone_and_chosen_parts_leave_the_rest_alone() {
    let backed = Backed::new();
    let create = backed.create(&["files/wp-content/uploads"]);
    let refused = backed
        .node
        .ended(&backed.node.queue.submit_restore(create).unwrap());
    // The folder is gone, the one above it is there: it comes back whole.
    assert_eq!(refused.state, JobState::Completed, "{refused:#?}");
    let uploads = "wp-content/uploads";
    assert_same_tree(
        &backed.good.0.join(uploads),
        &backed.site.root().join(uploads),
    );
    assert!(backed.site.root().join("wp-content/shell.php").exists());
    assert!(dump(&backed.server, backed.site.database()) == backed.bad.1);

    let confirmed = backed.node.queue.confirm(&refused.id).unwrap();
    assert!(!confirmed.can_undo);
    backed.nothing_is_left();
    assert_same_tree(
        &backed.good.0.join(uploads),
        &backed.site.root().join(uploads),
    );
}

#[test]
fn stopped_in_the_middle_everything_is_as_it_was() {
    let backed = Backed::new();
    // The load waits for this: files are swapped already.
    let holding = Holding::new(
        &backed.server,
        backed.site.database(),
        "BEGIN; SELECT COUNT(*) FROM wp_posts",
    );
    let job = backed
        .node
        .queue
        .submit_restore(backed.create(&[]))
        .unwrap();
    let running = backed.node.wait(&job, |job| {
        let stage = job.stages.iter().find(|s| s.name == "restore_db").unwrap();
        stage.state == StageState::Running && stage.progress.done_bytes > 0
    });
    assert!(!running.state.is_final());
    assert!(backed.site.root().join(".maintenance").exists());
    assert!(!backed.site.root().join("wp-content/shell.php").exists());
    backed.node.queue.stop(&job.id).unwrap();
    drop(holding);
    let job = backed.node.ended(&job);
    assert_eq!(job.state, JobState::Cancelled, "{job:#?}");
    assert!(!job.can_undo);
    backed.is(&backed.bad);
    backed.nothing_is_left();
}
