//! A node that goes and comes, and one that is not who it was.

use std::time::Duration;

use backupd_base::Code;
use backupd_master::view::{MasterEvent, NodeState};
use backupd_protocol::{LiveMessage, StatsRange};
use backupd_testkit::PATIENCE;
use tokio::{sync::broadcast::Receiver, time::timeout};

use crate::world::World;

async fn next<T>(
    events: &mut Receiver<MasterEvent>,
    mut pick: impl FnMut(MasterEvent) -> Option<T>,
) -> T {
    let found = async {
        loop {
            if let Some(found) = pick(events.recv().await.unwrap()) {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.expect("no such event")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stops_is_offline_and_found_again() {
    let mut world = World::new().await;
    world.server.stop().await;
    let node = world.becomes(NodeState::Offline).await;
    assert_eq!(node.problem.unwrap().code, Code::Unavailable);
    let unanswered = world.master.node_scan(&node.id, None).await;
    assert_eq!(unanswered.unwrap_err().code(), Code::Unavailable);
    let mut events = world.master.subscribe();
    world.server.restart().await;
    world.becomes(NodeState::Online).await;
    // What happened meanwhile is in the journal, and is told once.
    let kind = next(&mut events, |event| match event {
        MasterEvent::Live {
            message: LiveMessage::Event(event),
            ..
        } => Some(event.kind),
        _ => None,
    })
    .await;
    assert_eq!(kind, "agent.started");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_at_the_same_address_is_refused() {
    let mut world = World::new().await;
    world.server.replace().await;
    let node = world.becomes(NodeState::Refused).await;
    assert_eq!(node.problem.unwrap().code, Code::WrongPeer);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_come_while_somebody_looks_and_no_longer() {
    let world = World::new().await;
    let mut events = world.master.subscribe();
    world.master.node_watch(&world.node.id).await.unwrap();
    let is_sample = |event| match event {
        MasterEvent::Live {
            message: LiveMessage::Sample(sample),
            ..
        } => Some(sample.at_ms),
        _ => None,
    };
    let first = next(&mut events, is_sample).await;
    let second = next(&mut events, is_sample).await;
    assert!(second > first);
    let history = world
        .master
        .node_stats(&world.node.id, StatsRange::Hour)
        .await;
    assert!(!history.unwrap().samples.is_empty());

    world.master.node_unwatch(&world.node.id).await.unwrap();
    let quiet = async {
        // One may be on its way.
        let mut late = 0;
        while late < 3 {
            late += u32::from(is_sample(events.recv().await.unwrap()).is_some());
        }
    };
    let more = timeout(Duration::from_secs(4), quiet).await;
    assert!(more.is_err(), "samples still come");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_master_knows_its_nodes() {
    let world = World::new().await;
    world.master.close().await;
    let World {
        home,
        master,
        mut server,
        node,
    } = world;
    drop(master);
    // Locked at the start: told, and nothing is made anew; unlocked later: it goes on by itself.
    home.drawer.lock(true);
    let master = home.open().await;
    let known = crate::world::becomes(&master, &node.id, NodeState::Offline).await;
    assert_eq!(known.problem.unwrap().code, Code::KeyringLocked);
    home.drawer.lock(false);
    let known = crate::world::becomes(&master, &node.id, NodeState::Online).await;
    assert_eq!(known.fingerprint, node.fingerprint);
    master.close().await;
    server.stop().await;
}
