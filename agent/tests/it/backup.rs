//! A site goes into stores and comes back.

use std::{fs, path::Path};

use backupd_protocol::{Job, JobState, RestoreTarget, StageState};
use backupd_storage::Storage as _;
use backupd_testkit::{MariaDb, SeaweedFs, WordPress, assert_same_tree};

use crate::{
    node::{Node, s3, stage},
    site::{dump, execute},
};

fn completed(job: &Job) {
    assert_eq!(job.state, JobState::Completed, "{job:#?}");
    for stage in &job.stages {
        assert_eq!(stage.state, StageState::Completed, "{}", stage.name);
    }
}

/// The restored folder holds the site and its database.
fn is_whole(server: &MariaDb, site: &WordPress, back: &Path) {
    let content = "wp-content";
    assert_same_tree(
        &site.root().join(content),
        &back.join("files").join(content),
    );
    let config = fs::read(site.root().join("wp-config.php")).unwrap();
    assert_eq!(fs::read(back.join("files/wp-config.php")).unwrap(), config);

    let fresh = server.create_database("fresh");
    let sql = fs::File::open(back.join("database.sql")).unwrap();
    let loaded = std::process::Command::new("mariadb")
        .arg("--no-defaults")
        .arg(format!("--socket={}", server.socket().display()))
        .args(["--user=root", &fresh.name])
        .stdin(sql)
        .status()
        .unwrap();
    assert!(loaded.success());
    let named = |text: String, name: &str| text.replace(name, "NAME");
    let original = named(dump(server, site.database()), &site.database().name);
    assert!(named(dump(server, &fresh), &fresh.name) == original);
}

#[test]
fn a_site_comes_back_from_a_folder_and_from_a_bucket() {
    let server = MariaDb::shared();
    let bucket = SeaweedFs::shared();
    let site = WordPress::install(&server);
    site.fill(50, 3, 20, 1);
    let node = Node::start();
    let (local, _) = node.local("store");
    let remote = node.s3(&bucket.endpoint(), bucket.full_key(), "all");
    let source = node.source(&site, &[local.clone(), remote.clone()]);

    let job = node.back_up(&source);
    completed(&job);
    assert_eq!(job.warnings, [""; 0]);
    let total = job.progress.total_bytes.unwrap();
    assert!(
        total > 20 << 20 && job.progress.done_bytes == total,
        "{job:#?}"
    );
    assert!(
        fs::read_dir(node.data().join("jobs"))
            .unwrap()
            .next()
            .is_none()
    );
    let snapshot = node.snapshots().remove(0);
    assert!(snapshot.consistent);
    assert_eq!(snapshot.providers.len(), 2);
    assert_eq!(
        (snapshot.sequence, Some(&snapshot.id)),
        (1, job.snapshot_id.as_ref())
    );

    for (name, provider) in [("local", &local), ("remote", &remote)] {
        let back = node.folder.path().join(name);
        let target = RestoreTarget::Folder {
            path: back.display().to_string(),
        };
        let job = node.restore(&snapshot, provider, &[], target);
        completed(&job);
        assert_eq!(job.landed_in.as_deref(), back.to_str());
        is_whole(&server, &site, &back);
    }
    // What is there already is not touched.
    let taken = node.queue.submit_restore(backupd_protocol::RestoreCreate {
        snapshot_id: snapshot.id.clone(),
        provider_id: local.clone(),
        paths: vec![],
        target: RestoreTarget::Folder {
            path: node.folder.path().join("local").display().to_string(),
        },
        keys: node.lend(&snapshot, &local),
    });
    assert_eq!(taken.unwrap_err().code(), backupd_base::Code::AlreadyExists);

    // The next one is chained to it.
    completed(&node.back_up(&source));
    assert_eq!(node.snapshots()[0].sequence, 2);
}

#[test]
fn a_credential_that_may_only_write_is_enough() {
    let server = MariaDb::shared();
    let bucket = SeaweedFs::shared();
    let site = WordPress::install(&server);
    let node = Node::start();
    let provider = node.s3(&bucket.endpoint(), bucket.write_only_key(), "nodes/one");
    let source = node.source(&site, &[provider]);
    completed(&node.back_up(&source));

    let all = s3(&bucket.endpoint(), bucket.full_key(), "nodes/one");
    let objects = node.runtime.block_on(all.list("tenants/")).unwrap();
    assert_eq!(objects.len(), 4, "{objects:#?}");
}

#[test]
fn tables_without_transactions_make_it_inconsistent_and_are_named() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    execute(
        &server,
        &site,
        "CREATE TABLE wp_old (a INT) ENGINE = MyISAM",
    );
    let node = Node::start();
    let (provider, _) = node.local("store");
    let job = node.back_up(&node.source(&site, &[provider]));
    completed(&job);
    assert!(job.warnings[0].contains("wp_old"), "{:?}", job.warnings);
    assert!(!node.snapshots()[0].consistent);
}

#[test]
fn an_odd_password_works_and_a_wrong_one_says_so() {
    let server = MariaDb::shared();
    let site = WordPress::install(&server);
    let user = &site.database().user;
    let password = "p\"a's\\s #w;o$rd=";
    for host in ["localhost", "127.0.0.1"] {
        let quoted = password.replace('\\', "\\\\").replace('\'', "''");
        server.execute(&format!(
            "ALTER USER '{user}'@'{host}' IDENTIFIED BY '{quoted}'"
        ));
    }
    let node = Node::start();
    let (provider, _) = node.local("store");
    let source = node.source(&site, &[provider]);
    let job = node.back_up(&source);
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(stage(&job, "backup_db").state, StageState::Failed);
    let error = job.error.unwrap();
    assert!(error.message.contains("Access denied"), "{error:?}");

    let config = site.root().join("wp-config.php");
    let text = fs::read_to_string(&config).unwrap();
    let in_php = password.replace('\\', "\\\\").replace('\'', "\\'");
    let text = text.replace(&site.database().password, &in_php);
    fs::write(&config, text).unwrap();
    completed(&node.back_up(&source));
}
