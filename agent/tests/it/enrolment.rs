//! The code: right, wrong, expired, used up, raced for; and what becomes of an enrolment.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use backupd_base::Code;
use backupd_protocol::pairing::{ATTEMPTS, MasterExchange, StartAnswer, StartRequest, client};
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Dialled, LONG, Master, Node, enrolled, until, wrong};

#[tokio::test]
async fn the_first_start_shows_a_code_that_enrols() {
    let node = Node::start().await;
    let master = Master::new();
    let shown = node.running.first_window().unwrap();
    let code = shown.code.to_lowercase().parse().unwrap();
    let enrolled = master.enrol(node.address, &code).await.unwrap();
    assert_eq!(enrolled.pin, node.pin());
    assert_eq!(enrolled.hello.node_id, master.enrolment.node_id);
    assert!(enrolled.hello.signing_key.starts_with("ed25519:"));
    assert!(enrolled.hello.seal_recipient.starts_with("age1"));

    let mut dialled = master.dial(&node).await;
    let (status, health) = dialled.get("/health", master.key()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(health["node_id"], master.enrolment.node_id.as_str());
    assert_eq!(node.events("pairing.enrolled").len(), 1);
    // The window closed behind it.
    let again = Master::new().enrol(node.address, &code).await.unwrap_err();
    assert_eq!(again.code(), Code::WindowClosed, "{again}");
    node.stop().await;
}

#[tokio::test]
async fn an_enrolment_outlives_the_process_and_a_restart_opens_no_window() {
    let node = Node::start().await;
    let data = node.dir.path().join("data");
    // Not enrolled, and restarted: the code of the first start is gone, and there is no other.
    node.running.drain().await.unwrap();
    let start = async || {
        let app = backupd::app::App::build(crate::support::config(&data)).unwrap();
        app.spawn().await.unwrap()
    };
    let running = start().await;
    assert!(running.first_window().is_none());
    assert!(!running.agent().pairing.is_open());
    let master = Master::new();
    let opened = running.agent().pairing.open(LONG, false).unwrap();
    let address = running.agent().listening().unwrap();
    let enrolled = master.enrol(address, &opened.code).await.unwrap();
    running.drain().await.unwrap();

    let running = start().await;
    assert!(running.first_window().is_none());
    let address = running.agent().listening().unwrap().to_string();
    let hello = client::enrolled(
        &address,
        &master.identity,
        &master.enrolment.api_key,
        enrolled.pin,
    )
    .await
    .unwrap();
    assert_eq!(hello, enrolled.hello);
    running.drain().await.unwrap();
}

#[tokio::test]
async fn a_wrong_code_enrols_nobody_and_the_sixth_attempt_is_not_even_answered() {
    let node = Node::start().await;
    let opened = node.open(LONG);
    let bad = wrong(&opened.code);
    for _ in 0..ATTEMPTS {
        let error = Master::new().enrol(node.address, &bad).await.unwrap_err();
        assert_eq!(error.code(), Code::CodeRejected, "{error}");
        // The connection's end is what tells the node; it may come a moment later.
        let seen = node.events("pairing.failed").len();
        until("the attempt is counted as failed", || {
            node.events("pairing.failed").len() > seen.saturating_sub(1)
        })
        .await;
    }
    until("the window is used up", || {
        !node.running.agent().pairing.is_open()
    })
    .await;
    // Even the right code is worth nothing now.
    let error = Master::new()
        .enrol(node.address, &opened.code)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::WindowClosed, "{error}");
    assert!(node.running.agent().enrolment.get().is_none());
    assert_eq!(node.events("pairing.failed").len(), ATTEMPTS as usize);
    assert_eq!(node.events("pairing.closed").len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn an_expired_code_is_worth_nothing() {
    let node = Node::start().await;
    let opened = node.open(Duration::from_millis(300));
    until("the window expires", || {
        !node.events("pairing.closed").is_empty()
    })
    .await;
    let error = Master::new()
        .enrol(node.address, &opened.code)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::WindowClosed, "{error}");
    assert!(node.running.agent().enrolment.get().is_none());
    node.stop().await;
}

#[tokio::test]
async fn a_thousand_clients_at_once_get_five_answers_and_one_exchange_at_a_time() {
    let (node, right) = (Node::start().await, Master::new());
    let opened = node.open(LONG);
    let (sent, mut got) = tokio::sync::mpsc::unbounded_channel();
    let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(40));
    for _ in 0..1000 {
        let (address, sent, slots) = (node.address, sent.clone(), slots.clone());
        tokio::spawn(async move {
            let _slot = slots.acquire_owned().await.unwrap();
            let _ = sent.send(guess(address, Ipv4Addr::LOCALHOST).await.is_some());
        });
    }
    drop(sent);
    let mut answers = 0;
    while let Some(answered) = got.recv().await {
        answers += u32::from(answered);
    }
    // What the crowd left of the attempts, from addresses that have not failed yet.
    for i in 1..=50 {
        let from = Ipv4Addr::new(127, 0, 2, i);
        answers += u32::from(guess(node.address, from).await.is_some());
    }
    assert!(answers <= ATTEMPTS, "{answers} answers");
    let late = Dialled::open_from(node.address, [127, 0, 3, 1].into(), &right.identity, None);
    let (_, start) = MasterExchange::start(&opened.code).unwrap();
    let (status, _) = late
        .await
        .unwrap()
        .post("/pairing/start", json!(start))
        .await
        .unwrap();
    assert_eq!(status, StatusCode::FORBIDDEN, "the window is used up");
    assert!(node.running.agent().enrolment.get().is_none());
    node.stop().await;
}

/// Begins an exchange with some code; there is one when it is answered.
async fn guess(address: SocketAddr, from: Ipv4Addr) -> Option<()> {
    let identity = Master::new().identity;
    let dialled = Dialled::open_from(address, from.into(), &identity, None);
    let mut dialled = dialled.await.ok()?;
    let (_, start) = MasterExchange::start(&"00000".parse().unwrap()).unwrap();
    let (status, _) = dialled.post("/pairing/start", json!(start)).await.ok()?;
    (status == StatusCode::OK).then_some(())
}

#[tokio::test]
async fn while_one_exchange_is_under_way_another_costs_no_attempt() {
    let node = Node::start().await;
    let opened = node.open(LONG);
    let first = Master::new();
    let mut holds = Dialled::open(node.address, &first.identity, None)
        .await
        .unwrap();
    let (exchange, start) = MasterExchange::start(&opened.code).unwrap();
    let (status, answer) = holds.post("/pairing/start", json!(start)).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    for _ in 0..3 {
        let error = Master::new()
            .enrol(node.address, &opened.code)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::WindowClosed, "{error}");
    }
    // The first goes on undisturbed.
    let answer: StartAnswer = serde_json::from_value(answer).unwrap();
    let binding = holds.binding(&first.identity);
    let (awaited, finish) = exchange
        .finish(&binding, &answer, &first.enrolment)
        .unwrap();
    let (status, answer) = holds.post("/pairing/finish", json!(finish)).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    awaited
        .open(&serde_json::from_value(answer).unwrap())
        .unwrap();
    node.stop().await;
}

#[tokio::test]
async fn all_refusals_look_alike() {
    let node = Node::start().await;
    let opened = node.open(LONG);
    let master = Master::new();
    let mut seen = Vec::new();
    let mut refused = async |dialled: &mut Dialled, path: &str, body: serde_json::Value| {
        let asked = Instant::now();
        let (status, body) = dialled.post(path, body).await.unwrap();
        let took = asked.elapsed();
        assert!(took >= Duration::from_millis(490), "{path} after {took:?}");
        seen.push((status, body));
    };
    let dial = async || {
        Dialled::open(node.address, &master.identity, None)
            .await
            .unwrap()
    };
    // A proof without an exchange.
    let nothing = json!({"ke3": "", "enrolment": ""});
    refused(&mut dial().await, "/pairing/finish", nothing.clone()).await;
    // A first message that is none.
    let (_, start) = MasterExchange::start(&opened.code).unwrap();
    let garbled = StartRequest {
        ke1: vec![1; 3],
        ..start.clone()
    };
    refused(&mut dial().await, "/pairing/start", json!(garbled)).await;
    // A proof that is wrong.
    let mut dialled = dial().await;
    dialled.post("/pairing/start", json!(start)).await.unwrap();
    refused(&mut dialled, "/pairing/finish", nothing).await;
    // No window.
    node.running
        .agent()
        .pairing
        .open(Duration::ZERO, true)
        .unwrap();
    refused(&mut dial().await, "/pairing/start", json!(start)).await;
    assert_eq!(seen[0].0, StatusCode::FORBIDDEN);
    assert!(seen.iter().all(|s| *s == seen[0]), "{seen:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_proof_on_another_connection_is_refused() {
    let node = Node::start().await;
    let opened = node.open(LONG);
    let master = Master::new();
    let dial = async || {
        Dialled::open(node.address, &master.identity, None)
            .await
            .unwrap()
    };
    let (mut one, mut other) = (dial().await, dial().await);
    let (exchange, start) = MasterExchange::start(&opened.code).unwrap();
    let (_, answer) = one.post("/pairing/start", json!(start)).await.unwrap();
    let answer = serde_json::from_value(answer).unwrap();
    let binding = one.binding(&master.identity);
    let (_, finish) = exchange
        .finish(&binding, &answer, &master.enrolment)
        .unwrap();
    let (status, _) = other.post("/pairing/finish", json!(finish)).await.unwrap();
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(node.running.agent().enrolment.get().is_none());
    node.stop().await;
}

#[tokio::test]
async fn a_lost_last_answer_is_found_out_by_a_pinned_call() {
    let (node, master) = enrolled().await;
    let address = node.address.to_string();
    let key = &master.enrolment.api_key;
    let hello = client::enrolled(&address, &master.identity, key, node.pin()).await;
    assert_eq!(hello.unwrap().node_id, master.enrolment.node_id);
    // One that was never enrolled learns just that.
    let other = Master::new();
    let key = &other.enrolment.api_key;
    let error = client::enrolled(&address, &other.identity, key, node.pin()).await;
    assert_eq!(error.unwrap_err().code(), Code::Unauthorized);
    node.stop().await;
}

#[tokio::test]
async fn a_revoked_master_is_out_and_its_credentials_with_it() {
    let (node, master) = enrolled().await;
    let mut dialled = master.dial(&node).await;
    let delete = dialled.call(Method::DELETE, "/enrolment", Some(master.key()), None);
    assert_eq!(delete.await.unwrap().0, StatusCode::NO_CONTENT);
    let (status, _) = dialled.get("/health", master.key()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(node.events("pairing.revoked").len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn another_master_takes_over_only_when_it_is_in() {
    let (node, first) = enrolled().await;
    assert_eq!(
        node.running
            .agent()
            .pairing
            .open(LONG, false)
            .unwrap_err()
            .code(),
        Code::Conflict
    );
    let opened = node.open(LONG);
    let mut dialled = first.dial(&node).await;
    assert_eq!(dialled.get("/health", first.key()).await.0, StatusCode::OK);
    let second = Master::new();
    second.enrol(node.address, &opened.code).await.unwrap();
    assert_eq!(
        dialled.get("/health", first.key()).await.0,
        StatusCode::UNAUTHORIZED
    );
    let mut dialled = second.dial(&node).await;
    assert_eq!(dialled.get("/health", second.key()).await.0, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn a_rotated_key_replaces_the_old_one() {
    let (node, master) = enrolled().await;
    let fresh = Master::new();
    let mut dialled = master.dial(&node).await;
    let body = json!({"api_key": fresh.key()});
    let put = dialled.call(
        Method::PUT,
        "/enrolment/key",
        Some(master.key()),
        Some(body),
    );
    assert_eq!(put.await.unwrap().0, StatusCode::NO_CONTENT);
    let (status, _) = dialled.get("/health", master.key()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(dialled.get("/health", fresh.key()).await.0, StatusCode::OK);
    node.stop().await;
}
