//! Who works and who waits is seen, and how many may work is changed while they do.

use backupd_protocol::{JobState, Limits};
use backupd_testkit::{MariaDb, WordPress};
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::{node::Node, site::Holding, support::enrolled};

#[test]
fn holders_and_waiters_are_seen_and_a_higher_limit_lets_them_in() {
    let server = MariaDb::shared();
    let node = Node::start();
    let resources = &node.parts.resources;
    let one = Limits {
        max_io: Some(1),
        ..Limits::default()
    };
    resources.change(&node.parts.store, &one).unwrap();
    let (provider, _) = node.local("store");
    let sites: Vec<_> = (0..3).map(|_| WordPress::install(&server)).collect();
    let holding: Vec<_> = sites
        .iter()
        .map(|site| Holding::new(&server, site.database(), "LOCK TABLES wp_posts WRITE"))
        .collect();
    let sources: Vec<_> = sites
        .iter()
        .map(|site| node.source(site, std::slice::from_ref(&provider)))
        .collect();
    let jobs: Vec<_> = sources.iter().map(|source| node.begin(source)).collect();
    node.wait(&jobs[0], |job| job.state == JobState::Running);
    let view = node.queue.resources().unwrap();
    let ids = |list: &[backupd_protocol::Occupant]| -> Vec<_> {
        list.iter().map(|o| o.job_id.clone()).collect()
    };
    assert_eq!(ids(&view.io.holders), [jobs[0].id.clone()]);
    assert_eq!(
        ids(&view.io.waiters),
        [jobs[1].id.clone(), jobs[2].id.clone()]
    );
    assert_eq!(view.io.waiters[0].since, jobs[1].created_at);
    assert_eq!((view.io.limit.value, view.io.limit.configured), (1, 2));

    resources
        .change(&node.parts.store, &Limits::default())
        .unwrap();
    node.wait(&jobs[1], |job| job.state == JobState::Running);
    let view = node.queue.resources().unwrap();
    assert_eq!((view.io.holders.len(), view.io.waiters.len()), (2, 1));
    drop(holding);
    for job in &jobs {
        assert_eq!(node.ended(job).state, JobState::Completed);
    }
    let view = node.queue.resources().unwrap();
    assert!(view.io.holders.is_empty() && view.cpu.holders.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_reads_and_changes_the_limits() {
    let (node, master) = enrolled().await;
    let mut dialled = master.dial(&node).await;
    let (status, view) = dialled.get("/resources", master.key()).await;
    assert_eq!(
        (status, &view["io"]["limit"]["value"]),
        (StatusCode::OK, &json!(2))
    );
    let put = |body| (Method::PUT, "/resources", Some(master.key()), Some(body));
    let (method, path, key, body) = put(json!({"max_bandwidth_mbps": 80, "max_network": 1}));
    let (status, view) = dialled.call(method, path, key, body).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        view["bandwidth_mbps"],
        json!({"value": 80, "configured": 0, "is_changed": true})
    );
    assert_eq!(
        node.running.agent().parts.resources.speed().get(),
        10_000_000
    );
    let (method, path, key, body) = put(json!({"max_io": 0}));
    let (status, refused) = dialled.call(method, path, key, body).await.unwrap();
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::BAD_REQUEST, &json!("invalid"))
    );
    let (_, view) = dialled.get("/resources", master.key()).await;
    assert_eq!(view["network"]["limit"]["value"], json!(1));
    node.stop().await;
}
