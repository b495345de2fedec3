//! What a node tells as it happens.

use std::{sync::Arc, time::Duration};

use backupd_base::{Code, Context as _, Error, ExposeSecret as _, Result};
use backupd_protocol::{API, LiveMessage};
use futures_util::{Stream, StreamExt as _, stream};
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message, client::IntoClientRequest as _, http::HeaderValue, protocol::WebSocketConfig,
    },
};

use super::{Link, http::code_of_failure};

const CONNECT: Duration = Duration::from_secs(15);
/// A node sends a sample a second: this long without one, the line is dead.
const SILENCE: Duration = Duration::from_secs(15);
/// A job with all its stages and warnings is far below.
const LONGEST: usize = 4 << 20;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

impl Link {
    /// `WS /stats/live`, until it ends or breaks.
    ///
    /// # Errors
    /// When it cannot be opened. The stream itself ends with the error that broke it.
    pub async fn live(&self) -> Result<impl Stream<Item = Result<LiveMessage>> + Send + use<>> {
        let doing = || format!("watch {}", self.address);
        let opened = timeout(CONNECT, self.open()).await;
        let socket = opened
            .map_err(|_| Error::new(Code::Timeout, "no answer"))
            .and_then(|socket| socket)
            .with_context(doing)?;
        Ok(stream::unfold(Some(socket), |socket| async {
            let mut socket = socket?;
            match next(&mut socket).await {
                Ok(Some(message)) => Some((Ok(message), Some(socket))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    async fn open(&self) -> Result<Socket> {
        let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
            let code = code_of_failure(e.as_ref());
            Error::caused("open the connection", e).with_code(code)
        };
        let tcp = TcpStream::connect((self.address.host.as_str(), self.address.port))
            .await
            .map_err(|e| failed(e.into()))?;
        tcp.set_nodelay(true).ok();
        let name = ServerName::try_from(self.address.host.clone())
            .context("name the server")
            .map_err(|e| e.with_code(Code::Invalid))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, tcp)
            .await
            .map_err(|e| failed(e.into()))?;
        let mut request = format!("wss://{}{API}/stats/live", self.address)
            .into_client_request()
            .context("make the request")?;
        let mut key = HeaderValue::try_from(format!("Bearer {}", self.api_key.expose_secret()))
            .map_err(|_| Error::new(Code::Corrupt, "the API key is not one"))?;
        key.set_sensitive(true);
        request.headers_mut().insert("authorization", key);
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let (socket, _) = client_async_with_config(request, tls, Some(config))
            .await
            .map_err(|e| failed(e.into()))?;
        Ok(socket)
    }
}

/// The next message; `None` when the node closed the connection.
async fn next(socket: &mut Socket) -> Result<Option<LiveMessage>> {
    loop {
        let message = timeout(SILENCE, socket.next())
            .await
            .map_err(|_| Error::new(Code::Timeout, "the live connection went silent"))?;
        return match message {
            None | Some(Ok(Message::Close(_))) => Ok(None),
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text)
                .map(Some)
                .context("understand a live message")
                .map_err(|e| e.with_code(Code::Incompatible)),
            Some(Ok(_)) => continue,
            Some(Err(e)) => {
                let code = code_of_failure(&e);
                Err(Error::caused("read the live connection", e).with_code(code))
            }
        };
    }
}
