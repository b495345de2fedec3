//! `GET /stats?range=hour|day`, `WS /stats/live`.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{
        Extension, Query, State, WebSocketUpgrade,
        rejection::QueryRejection,
        ws::{CloseFrame, Message, WebSocket, close_code},
    },
    response::Response,
};
use backupd_protocol::{StatsHistory, StatsRange};
use serde::Deserialize;
use tokio::{sync::broadcast::error::RecvError, time::timeout};

use super::{Connection, Failure, Peer, Shared};
use crate::agent::Agent;

/// A listener that takes nothing for so long is gone: a laptop that was closed says no goodbye.
const STUCK: Duration = Duration::from_secs(30);

/// Which history.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    #[serde(default = "hour")]
    range: StatsRange,
}

fn hour() -> StatsRange {
    StatsRange::Hour
}

/// What is kept of the past.
pub async fn history(
    State(agent): Shared,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<StatsHistory>, Failure> {
    let Query(Which { range }) = which?;
    Ok(Json(agent.stats.history(range)))
}

/// Every sample, job change and event from now on.
pub async fn live(
    State(agent): Shared,
    Extension(connection): Extension<Connection>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade
        // A caller says nothing here but pongs.
        .max_message_size(4096)
        .on_upgrade(move |socket| feed(agent, connection.peer, socket))
}

async fn feed(agent: Arc<Agent>, peer: Peer, mut socket: WebSocket) {
    let mut bus = agent.live.listen();
    loop {
        let message = tokio::select! {
            message = bus.recv() => message,
            // Reading is what answers pings and notices a caller that left.
            said = socket.recv() => match said {
                Some(Ok(_)) => continue,
                _ => return,
            },
            () = agent.shutdown.cancelled() => {
                let frame = CloseFrame { code: close_code::AWAY, reason: "the agent stops".into() };
                let _ = socket.send(Message::Close(Some(frame))).await;
                return;
            }
        };
        // A master that was replaced or gave the server up hears nothing more.
        if let Peer::Remote { pin, .. } = &peer
            && !agent.enrolment.is_master(pin)
        {
            return;
        }
        let text = match message {
            Ok(message) => serde_json::to_string(&*message).expect("wire types serialize"),
            // It reads the state again when it needs to; the journal has every event.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        match timeout(STUCK, socket.send(Message::Text(text.into()))).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}
