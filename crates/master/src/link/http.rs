//! Requests to one node.

use std::{error::Error as StdError, ops::Range, sync::Arc, time::Duration};

use backupd_base::{Code, Context as _, Error, ExposeSecret as _, Result, SecretString};
use backupd_protocol::{
    API, ErrorBody,
    tls::{Identity, Pin, client_config},
};
use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_RANGE, CONTENT_TYPE, RANGE},
};
use rustls::ClientConfig;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::Address;

const CONNECT: Duration = Duration::from_secs(8);
/// Before an answer begins, and between two pieces of it: longer than a node takes for anything
/// but [`Link::patient`] calls.
const SILENCE: Duration = Duration::from_secs(45);
/// A node looks through a large server, or tests a slow store, for up to ten minutes.
const PATIENCE: Duration = Duration::from_secs(615);
/// Connections kept open between calls. A node allows eight per address.
const IDLE: usize = 3;
/// A node that was taken over may send anything: no answer is longer than this.
const LONGEST: usize = 64 << 20;

/// One node, reached with its pinned key and its API key. Clones share the connections.
#[derive(Clone)]
pub struct Link {
    client: Client,
    base: Url,
    pub(super) address: Address,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) api_key: Arc<SecretString>,
    silence: Duration,
}

impl Link {
    /// A link to `address` that accepts the pinned key only. Nothing is sent yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        address: Address,
        identity: &Identity,
        pin: Pin,
        api_key: SecretString,
    ) -> Result<Self> {
        let tls = client_config(identity, Some(pin))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .https_only(true)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IDLE)
            .build()
            .context("set up the link")?;
        let base = format!("https://{address}{API}/");
        Ok(Self {
            client,
            base: Url::parse(&base).with_context(|| format!("make the link to {address}"))?,
            address,
            tls: Arc::new(tls),
            api_key: Arc::new(api_key),
            silence: SILENCE,
        })
    }

    /// The same link for calls that take a node minutes.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.silence = PATIENCE;
        self
    }

    /// `GET` of `path` below the API, with its query.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        let request = self.request(Method::GET, path, query)?;
        self.json(path, request).await
    }

    /// `POST` of `body`.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let request = self.request(Method::POST, path, &[])?.json(body);
        self.json(path, request).await
    }

    /// `POST` of a body that holds a secret.
    pub async fn post_secret<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &SecretString,
    ) -> Result<T> {
        let request = self
            .request(Method::POST, path, &[])?
            .header(CONTENT_TYPE, "application/json")
            .body(body.expose_secret().to_owned());
        self.json(path, request).await
    }

    /// `POST` without a body.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.request(Method::POST, path, &[])?;
        self.json(path, request).await
    }

    /// `POST` without a body, whose answer says nothing more.
    pub async fn act(&self, path: &str) -> Result<()> {
        let request = self.request(Method::POST, path, &[])?;
        self.send(path, request).await.map(drop)
    }

    /// `PUT` of `body`.
    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<()> {
        let request = self.request(Method::PUT, path, &[])?.json(body);
        self.send(path, request).await.map(drop)
    }

    /// `DELETE`. What is not there is deleted.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let request = self.request(Method::DELETE, path, &[])?;
        match self.send(path, request).await {
            Err(e) if e.code() == Code::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    /// `GET` of a whole small object.
    pub async fn bytes(&self, path: &str, query: &[(&str, &str)]) -> Result<Bytes> {
        let request = self.request(Method::GET, path, query)?;
        let answer = self.send(path, request).await?;
        self.read(path, answer, LONGEST).await
    }

    /// `GET` of a range of an object, and the object's size.
    pub async fn range(
        &self,
        path: &str,
        query: &[(&str, &str)],
        range: Range<u64>,
    ) -> Result<(Bytes, u64)> {
        let last = range.end.saturating_sub(1);
        let request = self
            .request(Method::GET, path, query)?
            .header(RANGE, format!("bytes={}-{last}", range.start));
        let answer = self.send(path, request).await?;
        let said = answer.headers().get(CONTENT_RANGE);
        let size = said
            .and_then(|v| v.to_str().ok())
            .filter(|v| v.starts_with(&format!("bytes {}-", range.start)))
            .and_then(|v| v.rsplit('/').next()?.parse().ok())
            .ok_or_else(|| {
                Error::new(
                    Code::Incompatible,
                    format!("{} sent no range of {path}", self.address),
                )
            })?;
        let most = usize::try_from(range.end - range.start).unwrap_or(LONGEST);
        Ok((self.read(path, answer, most).await?, size))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder> {
        let mut url = self
            .base
            .join(path)
            .with_context(|| format!("make the URL of {path}"))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self
            .client
            .request(method, url)
            .bearer_auth(self.api_key.expose_secret()))
    }

    async fn json<T: DeserializeOwned>(&self, path: &str, request: RequestBuilder) -> Result<T> {
        let answer = self.send(path, request).await?;
        let body = self.read(path, answer, LONGEST).await?;
        serde_json::from_slice(&body)
            .with_context(|| format!("understand what {} answered to {path}", self.address))
            .map_err(|e| e.with_code(Code::Incompatible))
    }

    /// The answer when it is 2xx, else the error in it.
    async fn send(&self, path: &str, request: RequestBuilder) -> Result<Response> {
        let answer = self.awaited(request.send()).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = self.read(path, answer, 64 << 10).await.unwrap_or_default();
        let error = match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => Error::from(body),
            Err(_) => Error::new(code_of(status), format!("it answered {status}")),
        };
        Err(error).with_context(|| format!("ask {} for {path}", self.address))
    }

    async fn awaited<T>(&self, part: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T> {
        match timeout(self.silence, part).await {
            Ok(part) => part.map_err(|e| unreachable(&self.address, e)),
            Err(_) => Err(Error::new(
                Code::Timeout,
                format!("{} is silent", self.address),
            )),
        }
    }

    async fn read(&self, path: &str, mut answer: Response, most: usize) -> Result<Bytes> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.awaited(answer.chunk()).await? {
            if body.len() + piece.len() > most {
                return Err(Error::new(
                    Code::Incompatible,
                    format!("{} sent more than {most} bytes for {path}", self.address),
                ));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}

fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::Unauthorized,
        StatusCode::FORBIDDEN => Code::Denied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::CONFLICT => Code::Conflict,
        StatusCode::TOO_MANY_REQUESTS => Code::TooMany,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => Code::Timeout,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => Code::Unavailable,
        status if status.is_client_error() => Code::Invalid,
        _ => Code::Internal,
    }
}

/// Why no answer came. The URL is taken off: the address says it.
fn unreachable(address: &Address, error: reqwest::Error) -> Error {
    let code = if error.is_timeout() {
        Code::Timeout
    } else {
        code_of_failure(&error)
    };
    Error::caused(format!("reach {address}"), error.without_url()).with_code(code)
}

/// What broke a connection, from whatever lies in the error's chain: a refused key is told apart
/// from a line that is down.
pub(super) fn code_of_failure(error: &(dyn StdError + 'static)) -> Code {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(tls) = e.downcast_ref::<rustls::Error>() {
            return match tls {
                // It showed another key than the pinned one.
                rustls::Error::InvalidCertificate(_) => Code::WrongPeer,
                // It refused ours.
                rustls::Error::AlertReceived(_) => Code::Unauthorized,
                _ => Code::Incompatible,
            };
        }
        next = match e.downcast_ref::<std::io::Error>() {
            // An I/O error does not name what it wraps as its source.
            Some(io) => io
                .get_ref()
                .map(|inner| inner as &(dyn StdError + 'static))
                .or_else(|| e.source()),
            None => e.source(),
        };
    }
    Code::Unavailable
}
