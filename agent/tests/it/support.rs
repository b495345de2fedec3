//! A node to call and a master to call it with.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use backupd::{
    app::{App, Running},
    config::Config,
    pairing::Opened,
};
use backupd_base::{NodeId, Result, TenantId};
use backupd_protocol::{
    API, Event,
    pairing::{ApiKey, Binding, Enrolment, PairingCode, client},
    tls::{self, Identity, Pin},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Long enough for anything here on a busy machine.
pub const LONG: Duration = backupd_testkit::PATIENCE;

pub fn config(data: &Path) -> Config {
    Config {
        data_dir: data.to_owned(),
        host: Ipv4Addr::LOCALHOST.into(),
        port: 0,
        ..Config::default()
    }
}

/// An agent in this process, on a real socket.
pub struct Node {
    pub dir: tempfile::TempDir,
    pub running: Running,
    pub address: SocketAddr,
}

impl Node {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = App::build(config(&dir.path().join("data"))).unwrap();
        let running = app.spawn().await.unwrap();
        let address = running.agent().listening().unwrap();
        Self {
            dir,
            running,
            address,
        }
    }

    /// Opens a window that lives for `lifetime`.
    pub fn open(&self, lifetime: Duration) -> Opened {
        self.running.agent().pairing.open(lifetime, true).unwrap()
    }

    pub fn pin(&self) -> Pin {
        self.running.agent().enrolment.own_pin()
    }

    pub fn events(&self, kind: &str) -> Vec<Event> {
        let mut events = self.running.agent().journal.after(0, u32::MAX).unwrap();
        events.retain(|event| event.kind == kind);
        events
    }

    pub async fn stop(self) {
        self.running.drain().await.unwrap();
    }
}

/// A master's keys and what it tells a node.
pub struct Master {
    pub identity: Identity,
    pub enrolment: Enrolment,
}

impl Master {
    pub fn new() -> Self {
        let recipient = || age::x25519::Identity::generate().to_public().to_string();
        Self {
            identity: Identity::generate().unwrap(),
            enrolment: Enrolment {
                node_id: NodeId::new(),
                tenant_id: TenantId::new(),
                recipients: vec![recipient(), recipient()],
                api_key: ApiKey::generate(),
            },
        }
    }

    pub fn key(&self) -> &str {
        self.enrolment.api_key.reveal()
    }

    pub async fn enrol(&self, address: SocketAddr, code: &PairingCode) -> Result<client::Enrolled> {
        client::enrol(&address.to_string(), code, &self.identity, &self.enrolment).await
    }

    /// A connection pinned to the node's key.
    pub async fn dial(&self, node: &Node) -> Dialled {
        Dialled::open(node.address, &self.identity, Some(node.pin()))
            .await
            .unwrap()
    }
}

/// A node that a master has enrolled.
pub async fn enrolled() -> (Node, Master) {
    let node = Node::start().await;
    let master = Master::new();
    let opened = node.open(LONG);
    master.enrol(node.address, &opened.code).await.unwrap();
    (node, master)
}

/// Another code of the same length.
pub fn wrong(code: &PairingCode) -> PairingCode {
    let mut text = code.reveal().to_owned();
    let last = text.pop().unwrap();
    text.push(if last == '2' { '3' } else { '2' });
    text.parse().unwrap()
}

pub async fn tls(
    address: SocketAddr,
    from: IpAddr,
    identity: &Identity,
    pin: Option<Pin>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(address).await?;
    let config = tls::client_config(identity, pin).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("backupd").unwrap(), stream)
        .await
}

/// One TLS connection that speaks HTTP.
pub struct Dialled {
    sender: SendRequest<Full<Bytes>>,
    pub node: Pin,
    exporter: [u8; 32],
}

impl Dialled {
    pub async fn open(
        address: SocketAddr,
        identity: &Identity,
        pin: Option<Pin>,
    ) -> std::io::Result<Self> {
        Self::open_from(address, Ipv4Addr::LOCALHOST.into(), identity, pin).await
    }

    pub async fn open_from(
        address: SocketAddr,
        from: IpAddr,
        identity: &Identity,
        pin: Option<Pin>,
    ) -> std::io::Result<Self> {
        let stream = tls(address, from, identity, pin).await?;
        let (_, connection) = stream.get_ref();
        let node = tls::peer_pin(connection).unwrap();
        let exporter = tls::exporter(connection).unwrap();
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move { drop(driver.await) });
        Ok(Self {
            sender,
            node,
            exporter,
        })
    }

    pub fn binding(&self, identity: &Identity) -> Binding {
        Binding {
            master: identity.pin(),
            node: self.node,
            exporter: self.exporter,
        }
    }

    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> hyper::Result<(StatusCode, Value)> {
        let (status, _, bytes) = self.raw(method, path, key, body).await?;
        Ok((
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        ))
    }

    /// The answer as it comes, with its content type.
    pub async fn raw(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> hyper::Result<(StatusCode, String, Bytes)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{API}{path}"))
            .header(HOST, "node")
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let kind = head.headers.get(CONTENT_TYPE);
        let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        Ok((head.status, kind, bytes))
    }

    pub async fn get(&mut self, path: &str, key: &str) -> (StatusCode, Value) {
        self.call(Method::GET, path, Some(key), None).await.unwrap()
    }

    pub async fn post(&mut self, path: &str, body: Value) -> hyper::Result<(StatusCode, Value)> {
        self.call(Method::POST, path, None, Some(body)).await
    }
}

/// Polls until `condition` holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LONG;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
