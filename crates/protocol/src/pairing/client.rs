//! The master's side of an enrolment over a real connection: TLS 1.3, HTTP/1.1, two requests on
//! one connection, since the exchange is bound to it.
//!
//! **A lost last answer.** The node makes the enrolment durable before it answers. When the answer
//! does not arrive, [`enrol`] dials again, this time with both pins and the API key, and asks
//! `GET /enrolment`: an answer means the node is enrolled, `Unauthorized` or a refused handshake
//! that it is not. A master that wants to ask later keeps node pin and API key and calls
//! [`enrolled`].

use std::{sync::Arc, time::Duration};

use backupd_base::{Code, Context, Error, Result};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    ApiKey, Binding, DEFAULT_PORT, Enrolment, FinishAnswer, MasterExchange, NodeHello, PairingCode,
    StartAnswer,
};
use crate::{
    API, ErrorBody,
    tls::{self, Identity, Pin},
};

/// A server that does not answer by then is not there, or a firewall swallows it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For one request; the longest costs the node an Argon2 and a commit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Larger than any answer in a pairing.
const MAX_ANSWER: usize = 64 * 1024;

/// How often a lost last answer is asked for, a second apart.
const ASK_AGAIN: u32 = 3;

/// A node that was enrolled.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// Its TLS key from now on.
    pub pin: Pin,
    /// What it said of itself.
    pub hello: NodeHello,
}

/// Enrols the node at `address` (`host`, `host:port`, `[v6]:port`) with the code its console shows.
///
/// # Errors
/// - `CodeRejected`: mistyped, or somebody is in between; the node has one attempt fewer.
/// - `WindowClosed`: expired, used up, never opened, or another exchange is under way.
/// - `TooMany`: too many failures from this address; wait a minute.
/// - `Incompatible`: the agent speaks another version of the protocol.
/// - `Unavailable`, `Timeout`: nobody answers there. After the proof was sent this means that it is
///   not known whether the node is enrolled; see the module.
pub async fn enrol(
    address: &str,
    code: &PairingCode,
    identity: &Identity,
    enrolment: &Enrolment,
) -> Result<Enrolled> {
    let (exchange, start) = MasterExchange::start(code)?;
    let mut connection = Connection::open(address, identity, None)
        .await
        .map_err(as_closed)?;
    let binding = connection.binding(identity);
    let answer: StartAnswer = connection
        .post("/pairing/start", &start)
        .await
        .map_err(as_closed)?;
    let sealed = enrolment.clone();
    // Argon2 would hold the runtime's thread for tens of milliseconds.
    let (awaited, finish) =
        tokio::task::spawn_blocking(move || exchange.finish(&binding, &answer, &sealed))
            .await
            .context("prove the code")??;
    match connection
        .post::<_, FinishAnswer>("/pairing/finish", &finish)
        .await
    {
        Ok(answer) => Ok(Enrolled {
            pin: binding.node,
            hello: awaited.open(&answer)?,
        }),
        Err(lost) if matches!(lost.code(), Code::Unavailable | Code::Timeout) => {
            ask_again(address, identity, &enrolment.api_key, binding.node, lost).await
        }
        Err(refused) => Err(refused),
    }
}

/// Asks a node whether this master enrolled it, over a connection pinned both ways.
///
/// # Errors
/// `Unauthorized` when it did not; `WrongPeer` when another key answers there; `Unavailable` and
/// `Timeout` when nobody does.
pub async fn enrolled(
    address: &str,
    identity: &Identity,
    api_key: &ApiKey,
    pin: Pin,
) -> Result<NodeHello> {
    Connection::open(address, identity, Some(pin))
        .await?
        .send(Method::GET, "/enrolment", Some(api_key), Bytes::new())
        .await
}

async fn ask_again(
    address: &str,
    identity: &Identity,
    api_key: &ApiKey,
    pin: Pin,
    lost: Error,
) -> Result<Enrolled> {
    for _ in 0..ASK_AGAIN {
        match enrolled(address, identity, api_key, pin).await {
            Ok(hello) => return Ok(Enrolled { pin, hello }),
            Err(e) if e.code() == Code::Unauthorized => return Err(super::refusal()),
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
    Err(lost)
}

/// What a refusal before the node's first answer means: no guess was tested.
fn as_closed(error: Error) -> Error {
    match error.code() {
        Code::CodeRejected | Code::Unauthorized => Error::new(
            Code::WindowClosed,
            "no pairing window is open on the server: it expired, was used up, or is in use",
        ),
        _ => error,
    }
}

/// One TLS connection with HTTP/1.1 on it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    host: String,
    node: Pin,
    exporter: [u8; 32],
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Closes the socket: the node ends an exchange that will not be finished.
        self.driver.abort();
    }
}

impl Connection {
    async fn open(address: &str, identity: &Identity, pin: Option<Pin>) -> Result<Self> {
        let host = with_port(address);
        timeout(CONNECT_TIMEOUT, Self::dial(&host, identity, pin))
            .await
            .map_err(|_| Error::new(Code::Timeout, "no answer in 10 seconds"))
            .flatten()
            .with_context(|| format!("connect to {host}"))
    }

    async fn dial(host: &str, identity: &Identity, pin: Option<Pin>) -> Result<Self> {
        let config = tls::client_config(identity, pin)?;
        let socket = TcpStream::connect(host)
            .await
            .context("open a connection")
            .map_err(unreachable)?;
        socket.set_nodelay(true).context("open a connection")?;
        let name = ServerName::try_from("backupd").expect("a valid name");
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await
            .map_err(|e| from_io(e, "shake hands"))?;
        let (node, exporter) = {
            let (_, connection) = stream.get_ref();
            (tls::peer_pin(connection)?, tls::exporter(connection)?)
        };
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .context("begin HTTP")?;
        Ok(Self {
            sender,
            driver: tokio::spawn(async move {
                // Its error reaches whoever waits for the answer.
                let _ = driver.await;
            }),
            host: host.to_owned(),
            node,
            exporter,
        })
    }

    fn binding(&self, identity: &Identity) -> Binding {
        Binding {
            master: identity.pin(),
            node: self.node,
            exporter: self.exporter,
        }
    }

    async fn post<B: Serialize, A: DeserializeOwned>(&mut self, path: &str, body: &B) -> Result<A> {
        let body = serde_json::to_vec(body).context("encode the request")?;
        self.send(Method::POST, path, None, body.into()).await
    }

    async fn send<A: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        api_key: Option<&ApiKey>,
        body: Bytes,
    ) -> Result<A> {
        let mut request = Request::builder()
            .method(&method)
            .uri(format!("{API}{path}"))
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = api_key {
            request = request.header(AUTHORIZATION, format!("Bearer {}", key.reveal()));
        }
        let request = request
            .body(Full::new(body))
            .context("build the request")
            .map_err(|e| e.with_code(Code::Invalid))?;
        timeout(ANSWER_TIMEOUT, self.answer(request))
            .await
            .map_err(|_| Error::new(Code::Timeout, "no answer in 30 seconds"))
            .flatten()
            .with_context(|| format!("{method} {path}"))
    }

    async fn answer<A: DeserializeOwned>(&mut self, request: Request<Full<Bytes>>) -> Result<A> {
        let answer = self.sender.send_request(request).await.map_err(lost)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|e| Error::caused("read the answer", e).with_code(Code::Unavailable))?
            .to_bytes();
        if head.status == StatusCode::OK {
            return serde_json::from_slice(&body).context("read the answer");
        }
        Err(match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(told) => told.into(),
            Err(_) => Error::new(
                Code::Incompatible,
                format!("this is no backupd: it answers with status {}", head.status),
            ),
        })
    }
}

fn with_port(address: &str) -> String {
    let address = address.trim();
    let bare_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    if bare_v6 {
        format!("[{address}]:{DEFAULT_PORT}")
    } else if address.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    }) {
        address.to_owned()
    } else {
        format!("{address}:{DEFAULT_PORT}")
    }
}

/// A name that does not resolve is no fault of this program.
fn unreachable(error: Error) -> Error {
    match error.code() {
        Code::Internal => error.with_code(Code::Unavailable),
        _ => error,
    }
}

/// A connection that ended. The node refuses a key it does not know with a TLS alert, which
/// reaches this side only when it waits for its first answer.
fn lost(error: hyper::Error) -> Error {
    let mut next = Some(&error as &(dyn std::error::Error + 'static));
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<std::io::Error>()
            && let Some(code) = tls_code(io)
        {
            return Error::caused("the connection was refused", error).with_code(code);
        }
        next = e.source();
    }
    Error::caused("the connection ended", error).with_code(Code::Unavailable)
}

fn from_io(error: std::io::Error, what: &'static str) -> Error {
    let code = tls_code(&error);
    let error = Error::caused(what, error);
    match code {
        Some(code) => error.with_code(code),
        None => unreachable(error),
    }
}

fn tls_code(error: &std::io::Error) -> Option<Code> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(_) => Some(Code::Unauthorized),
        rustls::Error::InvalidCertificate(_) => Some(Code::WrongPeer),
        _ => Some(Code::Incompatible),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_may_be_left_out() {
        for (given, dialled) in [
            ("web-1", "web-1:8000"),
            (" web-1.example:9 ", "web-1.example:9"),
            ("10.0.0.1", "10.0.0.1:8000"),
            ("::1", "[::1]:8000"),
            ("[::1]:81", "[::1]:81"),
            ("[::1]", "[::1]:8000"),
        ] {
            assert_eq!(with_port(given), dialled, "{given:?}");
        }
    }
}
