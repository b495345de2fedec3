//! Somebody in between: TLS ends at them on both legs, they see every byte, and they pass on or
//! change what they like.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use backupd_base::Code;
use backupd_protocol::tls::{Identity, client_config, server_config};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::{LONG, Master, Node, until};

/// Everything that was seen in the clear, both ways.
type Seen = Arc<Mutex<Vec<u8>>>;

/// Relays between TLS and TLS to `node`, with a key of its own on both legs.
async fn relay(node: SocketAddr) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let own = Identity::generate().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(&own, None).unwrap()));
    let connector = TlsConnector::from(Arc::new(client_config(&own, None).unwrap()));
    let all = seen.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, connector, seen) = (acceptor.clone(), connector.clone(), all.clone());
            tokio::spawn(async move {
                let master = acceptor.accept(socket).await.ok()?;
                let socket = TcpStream::connect(node).await.ok()?;
                let name = ServerName::try_from("backupd").unwrap();
                let node = connector.connect(name, socket).await.ok()?;
                let (master_in, master_out) = split(master);
                let (node_in, node_out) = split(node);
                tokio::select! {
                    () = copy(master_in, node_out, seen.clone()) => {}
                    () = copy(node_in, master_out, seen) => {}
                }
                Some(())
            });
        }
    });
    (address, seen)
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, seen: Seen) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        seen.lock().unwrap().extend_from_slice(&buffer[..n]);
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

fn holds(seen: &Seen, needle: &str) -> bool {
    let seen = seen.lock().unwrap();
    seen.windows(needle.len()).any(|w| w == needle.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_with_the_right_code_typed_enrols_nobody_and_sees_no_key() {
    // Debug builds are slow; `BACKUPD_RELAYED` runs as many as one likes.
    let runs: u32 = std::env::var("BACKUPD_RELAYED").map_or(100, |n| n.parse().unwrap());
    let node = Node::start().await;
    let (between, seen) = relay(node.address).await;
    for run in 0..runs {
        let opened = node.open(LONG);
        let master = Master::new();
        let error = master.enrol(between, &opened.code).await.unwrap_err();
        assert_eq!(error.code(), Code::CodeRejected, "run {run}: {error}");
        assert!(node.running.agent().enrolment.get().is_none(), "run {run}");
        assert!(!holds(&seen, master.key()), "run {run}");
        assert!(!holds(&seen, opened.code.reveal()), "run {run}");
        // The master stops before it proves anything: no third message is ever seen.
        assert!(!holds(&seen, "/pairing/finish"), "run {run}");
        seen.lock().unwrap().clear();
        let tried = run as usize + 1;
        until("the node counts the attempt as failed", || {
            node.events("pairing.failed").len() >= tried
        })
        .await;
    }
    // The same node, without anyone in between.
    let opened = node.open(LONG);
    Master::new()
        .enrol(node.address, &opened.code)
        .await
        .unwrap();
    node.stop().await;
}
