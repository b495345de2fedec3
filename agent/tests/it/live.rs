//! What goes out while somebody looks, and what is kept for when nobody did.

use backupd_protocol::{Event, LiveMessage, StatsHistory};
use futures_util::StreamExt as _;
use hyper::StatusCode;
use tokio::time::timeout;
use tokio_tungstenite::{client_async, tungstenite::client::IntoClientRequest as _};

use crate::support::{LONG, enrolled, tls, until};

#[tokio::test]
async fn samples_and_events_arrive_live_and_end_with_the_enrolment() {
    let (node, master) = enrolled().await;
    let from = std::net::Ipv4Addr::LOCALHOST.into();
    let stream = tls(node.address, from, &master.identity, Some(node.pin()))
        .await
        .unwrap();
    let mut request = "ws://node/api/v1/stats/live".into_client_request().unwrap();
    let bearer = format!("Bearer {}", master.key()).parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    let mut next = async || -> Option<LiveMessage> {
        let message = timeout(LONG, socket.next()).await.unwrap()?;
        serde_json::from_str(message.ok()?.to_text().ok()?).ok()
    };
    let LiveMessage::Sample(first) = next().await.unwrap() else {
        panic!("a sample comes first");
    };
    assert!(first.memory_total > 0);
    let agent = node.running.agent();
    agent.enrolment.revoke().unwrap();
    while next().await.is_some() {}

    let history: StatsHistory = agent.stats.history(backupd_protocol::StatsRange::Hour);
    assert!(history.samples.iter().any(|s| s.at_ms == first.at_ms));
    node.stop().await;
}

#[tokio::test]
async fn the_journal_is_read_on_from_the_last_number() {
    let (node, master) = enrolled().await;
    let mut dialled = master.dial(&node).await;
    let (status, all) = dialled.get("/events", master.key()).await;
    assert_eq!(status, StatusCode::OK);
    let all: Vec<Event> = serde_json::from_value(all).unwrap();
    let seqs: Vec<u64> = all.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all[0].kind, "agent.started");
    let (_, page) = dialled.get("/events?after=1&limit=1", master.key()).await;
    let page: Vec<Event> = serde_json::from_value(page).unwrap();
    assert_eq!(page, all[1..2]);
    until("a sample is kept", || {
        let range = backupd_protocol::StatsRange::Hour;
        !node.running.agent().stats.history(range).samples.is_empty()
    })
    .await;
    node.stop().await;
}
