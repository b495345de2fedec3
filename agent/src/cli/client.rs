//! The API's caller: over the control socket when a daemon runs, else in this process.

use std::{io::ErrorKind, path::PathBuf};

use axum::{Extension, Router, body::Body};
use backupd_base::{Code, Context, Error, ExposeSecret as _, Result, SecretString};
use backupd_protocol::{API, ErrorBody};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, Response,
    header::{CONTENT_TYPE, HOST, RANGE},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tower::ServiceExt as _;

use crate::{
    app::{App, Running},
    config::Config,
    control::socket_path,
    http::{Connection, Peer},
};

/// Answers that are not streams are smaller.
const MOST: usize = 64 << 20;

/// A caller of the API.
pub(super) enum Client {
    /// A daemon runs; its control socket.
    Daemon(PathBuf),
    /// None does: the same router, here.
    Here(Router, Running),
}

impl Client {
    /// Finds the daemon of `config`, or builds the agent here, with its jobs running if `needs_jobs`.
    ///
    /// # Errors
    /// `Denied` when the daemon is another user's; else as [`App::build`].
    pub(super) async fn open(config: Config, needs_jobs: bool) -> Result<Self> {
        let socket = socket_path(&config.data_dir);
        match UnixStream::connect(&socket).await {
            Ok(_) => return Ok(Self::Daemon(socket)),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(e) => {
                return Err(Error::caused(
                    format!("reach the daemon at {} (are you root?)", socket.display()),
                    e,
                ));
            }
        }
        let app = App::build(config)?;
        let running = if needs_jobs {
            app.spawn_jobs()
        } else {
            app.idle()
        };
        let peer = Peer::Console;
        let router = running
            .router()
            .clone()
            .layer(Extension(Connection { id: 0, peer }));
        Ok(Self::Here(router, running))
    }

    /// Whether a daemon answers.
    pub(super) fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon(_))
    }

    /// Lets what runs in this process end.
    ///
    /// # Errors
    /// As [`Running::drain`].
    pub(super) async fn close(self) -> Result<()> {
        match self {
            Self::Daemon(_) => Ok(()),
            Self::Here(_, running) => running.drain().await,
        }
    }

    /// `GET path`.
    ///
    /// # Errors
    /// What the API answers.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, None).await
    }

    /// `GET path`, where the answer is text.
    ///
    /// # Errors
    /// What the API answers.
    pub(super) async fn text(&self, path: &str) -> Result<String> {
        let response = self.send(Method::GET, path, None, None).await?;
        let bytes = whole(accepted(response).await?).await?;
        String::from_utf8(bytes.into()).with_context(|| format!("read the answer to {path}"))
    }

    /// `POST path`. The body may hold keys.
    ///
    /// # Errors
    /// What the API answers.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: SecretString,
    ) -> Result<T> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `POST path`, with the answer as it streams in.
    ///
    /// # Errors
    /// What the API answers before the stream.
    pub(super) async fn stream(&self, path: &str, body: SecretString) -> Result<Body> {
        let response = self.send(Method::POST, path, Some(body), None).await?;
        accepted(response).await
    }

    /// The first `bytes` of what is at `path`.
    ///
    /// # Errors
    /// What the API answers.
    pub(super) async fn head_of(&self, path: &str, bytes: usize) -> Result<Bytes> {
        let range = format!("bytes=0-{}", bytes - 1);
        let response = self.send(Method::GET, path, None, Some(range)).await?;
        whole(accepted(response).await?).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<SecretString>,
    ) -> Result<T> {
        let response = self.send(method, path, body, None).await?;
        let bytes = whole(accepted(response).await?).await?;
        serde_json::from_slice(&bytes).with_context(|| format!("read the answer to {path}"))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<SecretString>,
        range: Option<String>,
    ) -> Result<Response<Body>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{API}{path}"))
            .header(HOST, "backupd");
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let body = match body {
            None => Body::empty(),
            Some(json) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(json.expose_secret().to_owned())
            }
        };
        let request = request
            .body(body)
            .with_context(|| format!("ask for {path}"))?;
        match self {
            Self::Here(router, _) => Ok(router
                .clone()
                .oneshot(request)
                .await
                .unwrap_or_else(|never| match never {})),
            Self::Daemon(socket) => over(socket, request)
                .await
                .with_context(|| format!("ask the daemon for {path}"))
                .map_err(|e| e.with_code(Code::Unavailable)),
        }
    }
}

async fn over(socket: &PathBuf, request: Request<Body>) -> Result<Response<Body>> {
    let stream = UnixStream::connect(socket).await.context("connect")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .context("begin HTTP")?;
    tokio::spawn(async move {
        // Its error reaches whoever waits for the answer.
        let _ = connection.await;
    });
    let response = sender.send_request(request).await.context("call")?;
    Ok(response.map(Body::new))
}

async fn accepted(response: Response<Body>) -> Result<Body> {
    let (head, body) = response.into_parts();
    if head.status.is_success() {
        return Ok(body);
    }
    let bytes = whole(body).await?;
    Err(match serde_json::from_slice::<ErrorBody>(&bytes) {
        Ok(told) => told.into(),
        Err(_) => Error::new(
            Code::Incompatible,
            format!("the daemon answers with status {}", head.status),
        ),
    })
}

async fn whole(body: Body) -> Result<Bytes> {
    let read = Limited::new(body, MOST).collect().await;
    Ok(read.context("read the answer")?.to_bytes())
}
