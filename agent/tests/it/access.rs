//! Who gets an answer: the master with both its keys, and nobody else.

use std::net::Ipv4Addr;

use backupd_base::Code;
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Dialled, LONG, Master, enrolled, tls, until};

/// Whether any byte of an answer comes over TLS with `identity`; TLS 1.3 clients learn of a
/// refusal only when they read.
async fn is_answered(node: &crate::support::Node, master: &Master, key: &str) -> bool {
    let from = Ipv4Addr::LOCALHOST.into();
    let Ok(mut stream) = tls(node.address, from, &master.identity, None).await else {
        return false;
    };
    let request =
        format!("GET /api/v1/health HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {key}\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = [0; 64];
    matches!(stream.read(&mut answer).await, Ok(1..))
}

#[tokio::test]
async fn the_api_key_without_the_masters_tls_key_is_refused_and_reported() {
    let (node, master) = enrolled().await;
    let thief = Master::new();
    assert!(!is_answered(&node, &thief, master.key()).await);
    until("the rejection is reported", || {
        node.events("security.rejected").len() == 1
    })
    .await;
    assert!(is_answered(&node, &master, master.key()).await);
    // While a window is open any key may shake hands; none but the master's is answered.
    node.open(LONG);
    let mut dialled = Dialled::open(node.address, &thief.identity, None)
        .await
        .unwrap();
    let (status, _) = dialled.get("/health", master.key()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    node.stop().await;
}

#[tokio::test]
async fn a_client_without_any_certificate_is_refused() {
    let (node, _) = enrolled().await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates([]);
    let socket = tokio::net::TcpStream::connect(node.address).await.unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("backupd").unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    assert!(connector.connect(name, socket).await.is_err());
    node.stop().await;
}

#[tokio::test]
async fn the_masters_tls_key_without_its_api_key_is_401_and_reported() {
    let (node, master) = enrolled().await;
    let mut dialled = master.dial(&node).await;
    let without = dialled.call(Method::GET, "/health", None, None);
    let (status, body) = without.await.unwrap();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body["code"], "unauthorized");
    let (status, _) = dialled.get("/health", Master::new().key()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // Twice from one address within a minute: reported once.
    assert_eq!(node.events("security.rejected").len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn after_five_failures_an_address_waits() {
    let (node, master) = enrolled().await;
    let mut dialled = master.dial(&node).await;
    for _ in 0..5 {
        let (status, _) = dialled.get("/health", "wrong").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let (status, body) = dialled.get("/health", "wrong").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(body["code"], "too_many");
    node.stop().await;
}

#[tokio::test]
async fn strangers_that_fail_do_not_lock_the_master_out() {
    let (node, master) = enrolled().await;
    node.open(LONG);
    let stranger = Master::new();
    let mut dialled = Dialled::open(node.address, &stranger.identity, None)
        .await
        .unwrap();
    for _ in 0..6 {
        dialled.get("/health", "wrong").await;
    }
    let (status, _) = dialled.get("/health", "wrong").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let mut dialled = master.dial(&node).await;
    assert_eq!(dialled.get("/health", master.key()).await.0, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn a_body_is_not_read_before_the_caller_is_known() {
    let (node, master) = enrolled().await;
    let from = Ipv4Addr::LOCALHOST.into();
    let mut stream = tls(node.address, from, &master.identity, None)
        .await
        .unwrap();
    // A body is announced, and not a byte of it sent.
    let request = "POST /api/v1/jobs HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
    node.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let (node, master) = enrolled().await;
    let mut dialled = master.dial(&node).await;
    let body = json!({"path": "x".repeat(65 * 1024)});
    let post = dialled.call(Method::POST, "/verify-site", Some(master.key()), Some(body));
    let (status, body) = post.await.unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["code"], "invalid");
    node.stop().await;
}

#[tokio::test]
async fn a_window_cannot_be_opened_over_the_network() {
    let (node, master) = enrolled().await;
    let mut dialled = master.dial(&node).await;
    let body = Some(json!({"replace": true}));
    let post = dialled.call(Method::POST, "/pairing/window", Some(master.key()), body);
    let (status, body) = post.await.unwrap();
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    assert!(!node.running.agent().pairing.is_open());
    node.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_told_to_the_master_only() {
    let (node, master) = enrolled().await;
    let mut dialled = master.dial(&node).await;
    let (status, body) = dialled.get("/nonsense", master.key()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(body["code"], "not_found");
    let (status, _) = dialled.get("/jobs/0198c2d1", master.key()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, body) = dialled.get("/events?after=x", master.key()).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::BAD_REQUEST, &json!("invalid"))
    );
    let (status, _) = dialled.get("/nonsense", "wrong").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        Code::NotFound,
        serde_json::from_value(json!("not_found")).unwrap()
    );
    node.stop().await;
}
