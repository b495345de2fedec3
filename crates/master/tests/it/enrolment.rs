//! Enrolling, and giving a server up.

use std::sync::atomic::Ordering;

use backupd_base::Code;
use backupd_master::view::{EnrolStep, MasterEvent, NodeState};
use backupd_protocol::pairing::WINDOW;

use crate::{
    relay::Relay,
    testing::Home,
    whole_way::{protect, site},
    world::{Server, World, becomes, enrolled},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_code_enrols_and_the_node_is_followed() {
    let home = Home::new();
    let master = home.ready().await;
    let mut server = Server::start().await;
    let mut events = master.subscribe();
    let code = server.code().to_lowercase();
    let node = master.node_enrol(&server.address(), &code).await.unwrap();
    assert_eq!(server.node_id().as_ref(), Some(&node.id));
    let pin = server.running().agent().enrolment.own_pin();
    assert_eq!(node.fingerprint, pin.for_people());

    let mut steps = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let MasterEvent::EnrolStepped { step, .. } = event {
            steps.push(step);
        }
    }
    use EnrolStep::{Connecting, Enrolled, Proven, Proving};
    assert_eq!(steps, [Connecting, Proving, Proven, Enrolled]);

    // Sites can be looked for at once, before it was heard of for the first time.
    let empty = home.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let found = master.node_scan(&node.id, empty.to_str()).await.unwrap();
    assert!(found.is_empty());
    let online = becomes(&master, &node.id, NodeState::Online).await;
    assert_eq!(online.problem, None);
    assert!(online.last_seen.is_some());
    master.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_is_rejected_and_five_close_the_window() {
    let home = Home::new();
    let master = home.ready().await;
    let mut server = Server::start().await;
    let right = server.code();
    let wrong = if right.starts_with('0') {
        "1AAAA"
    } else {
        "0AAAA"
    };
    let kept = home.drawer.len();
    for attempt in 1..=5 {
        let refused = master.node_enrol(&server.address(), wrong).await;
        let code = refused.unwrap_err().code();
        assert_eq!(code, Code::CodeRejected, "attempt {attempt}");
    }
    assert_eq!(home.drawer.len(), kept, "keys of failed enrolments stay");
    // The right one is refused here before it is sent anywhere.
    let late = master.node_enrol(&server.address(), &right).await;
    assert_eq!(late.unwrap_err().code(), Code::TooMany);
    assert_eq!(server.node_id(), None);
    assert!(master.nodes_list().await.unwrap().is_empty());
    master.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_window_nothing_is_enrolled() {
    let world = World::new().await;
    // The window closed with the enrolment.
    let again = world
        .master
        .node_enrol(&world.server.address(), "XC9D2")
        .await;
    assert_eq!(again.unwrap_err().code(), Code::WindowClosed);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_last_answer_is_asked_for_again() {
    let home = Home::new();
    let master = home.ready().await;
    let mut server = Server::start().await;
    // The client's turns: hello; finished and the first message; the proof.
    let relay = Relay::losing(server.port(), 3).await;
    let node = master
        .node_enrol(&relay.address, &server.code())
        .await
        .unwrap();
    assert!(relay.lost.load(Ordering::SeqCst), "no answer was lost");
    assert_eq!(server.node_id().as_ref(), Some(&node.id));
    becomes(&master, &node.id, NodeState::Online).await;
    master.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_node_is_forgotten_on_both_sides() {
    let world = World::new().await;
    let kept = world.home.drawer.len();
    world.master.node_revoke(&world.node.id).await.unwrap();
    assert_eq!(world.server.node_id(), None);
    assert_eq!(world.home.drawer.len(), kept - 1);
    assert!(world.master.nodes_list().await.unwrap().is_empty());
    let gone = world.master.node_get(&world.node.id).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let stores = world.master.providers_list().await.unwrap();
    assert!(stores.is_empty(), "{stores:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_another_master_took_over_is_refused() {
    let world = World::new().await;
    let other = Home::new();
    let thief = other.ready().await;
    let pairing = &world.server.running().agent().pairing;
    let opened = pairing.open(WINDOW, true).unwrap();
    thief
        .node_enrol(&world.server.address(), opened.code.reveal())
        .await
        .unwrap();
    let node = world.becomes(NodeState::Refused).await;
    assert!(node.problem.is_some());
    thief.close().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_enrolled_again_keeps_its_sources_and_snapshots() {
    let (_database, site) = site();
    let world = World::new().await;
    let store = world.own_store().await;
    let source = protect(&world, &site, std::slice::from_ref(&store.id)).await;
    world.back_up(&source).await;
    let kept = world.home.drawer.len();

    let again = enrolled(&world.master, &world.server).await;
    assert_ne!(again.id, world.node.id);
    assert_eq!(
        world.home.drawer.len(),
        kept,
        "the former key is still kept"
    );
    let nodes = world.master.nodes_list().await.unwrap();
    assert_eq!(nodes.len(), 1);
    let sources = world.master.sources_list().await.unwrap();
    assert_eq!(
        (&sources[0].id, &sources[0].node_id),
        (&source.id, &again.id)
    );

    let (_, snapshot) = world.back_up(&source).await;
    assert_eq!(snapshot.snapshot.sequence, 2);
    assert_eq!(snapshot.node_id, again.id);
    world.end().await;
}
