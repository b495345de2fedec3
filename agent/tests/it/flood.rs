//! Sockets that drip.

use std::{net::Ipv4Addr, time::Duration};

use hyper::{Method, StatusCode};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};

use crate::support::{Dialled, enrolled};

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_dripping_sockets_and_a_proper_call_is_answered_within_a_second() {
    let (node, master) = enrolled().await;
    let address = node.address;
    // Within a second where the machine has nothing else to do.
    let began = Instant::now();
    for _ in 0..5 {
        let pin = Some(node.pin());
        let mut dialled = Dialled::open(address, &master.identity, pin).await.unwrap();
        let (status, _) = dialled.get("/health", master.key()).await;
        assert_eq!(status, StatusCode::OK);
    }
    let limit = Duration::from_secs(1).max(began.elapsed() / 5 * 40);
    let mut drips = Vec::new();
    for _ in 0..500 {
        drips.push(tokio::spawn(async move {
            // Comes back as soon as it is put out, with a byte of a handshake now and then.
            loop {
                let Ok(mut socket) = TcpStream::connect(address).await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                while socket.write_all(&[0x16]).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }));
    }
    // From the same address as the flood, and from another.
    for from in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)] {
        for _ in 0..5 {
            let began = Instant::now();
            let answered = loop {
                let call = async {
                    let pin = Some(node.pin());
                    let mut dialled =
                        Dialled::open_from(address, from.into(), &master.identity, pin)
                            .await
                            .ok()?;
                    let call = dialled.call(Method::GET, "/health", Some(master.key()), None);
                    Some(call.await.ok()?.0)
                };
                if let Some(status) = call.await {
                    break status;
                }
                assert!(began.elapsed() < limit, "{from}: turned away for {limit:?}");
            };
            let took = began.elapsed();
            assert_eq!(answered, StatusCode::OK);
            assert!(took < limit, "{from}: {took:?}");
        }
    }
    for drip in drips {
        drip.abort();
    }
    node.stop().await;
}

#[tokio::test]
async fn headers_that_never_end_are_cut_off() {
    let (node, master) = enrolled().await;
    let from = Ipv4Addr::LOCALHOST.into();
    let mut stream = crate::support::tls(node.address, from, &master.identity, None)
        .await
        .unwrap();
    stream
        .write_all(b"GET /api/v1/health HTTP/1.1\r\nX-Drip: ")
        .await
        .unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    use tokio::io::AsyncReadExt as _;
    let _ = stream.read_to_end(&mut answer).await;
    let took = began.elapsed();
    assert!(
        (Duration::from_secs(9)..Duration::from_secs(30)).contains(&took),
        "{took:?}"
    );
    node.stop().await;
}
