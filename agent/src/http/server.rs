//! Accepts connections, each within its limits, and hands them to the router.
//!
//! A slow or silent caller costs a place among the strangers for seconds; see `limits`.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router, body::Body};
use backupd_protocol::tls;
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{CertificateError, server::Acceptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tower::ServiceExt as _;

use super::{
    Connection, Peer,
    limits::{Place, Places},
};
use crate::agent::Agent;

/// A TLS handshake is two round trips.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Until the headers of a request are whole, and until the next request of a connection.
const HEADERS: Duration = Duration::from_secs(10);

/// What is under way may end in this time when the agent stops.
const DRAIN: Duration = Duration::from_secs(10);

/// After an error of accept that is not the caller's: descriptors ran out, most likely.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// Serves the API over TLS until the agent shuts down, then lets what is under way end.
pub async fn serve_tls(listener: TcpListener, agent: Arc<Agent>, router: Router) {
    let places = Places::default();
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = agent.shutdown.cancelled() => break,
        };
        while tasks.try_join_next().is_some() {}
        match accepted {
            Ok((socket, from)) => {
                let id = NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed);
                let place = places.enter(id, from.ip());
                tasks.spawn(caller(
                    socket,
                    from,
                    place,
                    id,
                    agent.clone(),
                    router.clone(),
                ));
                // A burst must not put a newcomer out before it was heard.
                tokio::task::yield_now().await;
            }
            Err(error) => accept_failed(&error).await,
        }
    }
    drop(listener);
    drain(tasks).await;
}

/// Serves the API to root and to the agent's own user until the agent shuts down.
pub async fn serve_control(listener: UnixListener, agent: Arc<Agent>, router: Router) {
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = agent.shutdown.cancelled() => break,
        };
        while tasks.try_join_next().is_some() {}
        match accepted {
            Ok((socket, _)) => {
                let (agent, router) = (agent.clone(), router.clone());
                tasks.spawn(async move {
                    if !may_control(&socket) {
                        tracing::warn!(
                            "turned a user of this machine away from the control socket"
                        );
                        return;
                    }
                    let id = NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed);
                    let peer = Peer::Console;
                    let connection = Connection { id, peer };
                    speak(socket, connection, &agent, router).await;
                });
            }
            Err(error) => accept_failed(&error).await,
        }
    }
    drop(listener);
    drain(tasks).await;
}

async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(ACCEPT_AGAIN).await;
}

async fn drain(mut tasks: tokio::task::JoinSet<()>) {
    let ended = timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "cut connections that did not end"
        );
        tasks.shutdown().await;
    }
}

async fn caller(
    socket: TcpStream,
    from: SocketAddr,
    mut place: Place,
    id: u64,
    agent: Arc<Agent>,
    router: Router,
) {
    let leave = place.leave.clone();
    let talk = async {
        let Some((stream, peer)) = shake_hands(socket, from, &agent, &place).await else {
            return;
        };
        if let Peer::Remote { pin, .. } = &peer
            && agent.enrolment.is_master(pin)
            && place.promote().is_err()
        {
            return;
        }
        speak(stream, Connection { id, peer }, &agent, router).await;
    };
    tokio::select! {
        () = talk => {}
        () = leave.cancelled() => {}
    }
    let pairing = agent.pairing.clone();
    // Ends an exchange, which may write: not on this thread.
    let _ = tokio::task::spawn_blocking(move || pairing.gone(id)).await;
}

async fn shake_hands(
    socket: TcpStream,
    from: SocketAddr,
    agent: &Agent,
    place: &Place,
) -> Option<(TlsStream<TcpStream>, Peer)> {
    // Small answers go out at once.
    let _ = socket.set_nodelay(true);
    let handshake = async {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
        place.speaks();
        let door = agent.enrolment.door(agent.pairing.is_open());
        hello.into_stream(door).await
    };
    let stream = match timeout(HANDSHAKE, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            if is_wrong_key(&error) {
                let why = "a TLS key that is not the master's";
                agent.rejections.report(from.ip(), why).await;
            }
            return None;
        }
        Err(_) => return None,
    };
    let (_, connection) = stream.get_ref();
    let peer = Peer::Remote {
        address: from.ip(),
        pin: tls::peer_pin(connection).ok()?,
        exporter: tls::exporter(connection).ok()?,
    };
    Some((stream, peer))
}

/// Others are scanners, or a line that broke.
fn is_wrong_key(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|e| e.downcast_ref());
    matches!(
        inner,
        Some(
            rustls::Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure | CertificateError::BadSignature
            ) | rustls::Error::NoCertificatesPresented
        )
    )
}

async fn speak<S>(stream: S, connection: Connection, agent: &Agent, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = router.layer(Extension(connection));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        router.clone().oneshot(request.map(Body::new))
    });
    let talk = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut talk = std::pin::pin!(talk);
    let ended = tokio::select! {
        ended = talk.as_mut() => ended,
        () = agent.shutdown.cancelled() => {
            talk.as_mut().graceful_shutdown();
            talk.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Root and the user the agent runs as; the kernel vouches for it.
fn may_control(socket: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    socket
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}
