//! `POST /pairing/start`, `POST /pairing/finish`: open to strangers, all refusals alike.
//! `POST /pairing/window`: the console's.

use std::{net::IpAddr, time::Duration};

use axum::{
    Json,
    extract::{Extension, State, rejection::JsonRejection},
};
use backupd_base::{Code, Error};
use backupd_protocol::pairing::{
    FinishAnswer, FinishRequest, StartAnswer, StartRequest, WINDOW, refusal,
};
use tokio::time::{Instant, sleep_until};

use super::{Connection, Failure, Peer, Shared, blocking};
use crate::{
    agent::Agent,
    control::{WindowAnswer, WindowRequest},
};

/// When a refusal is given, counted from the request: later than any of its reasons takes.
const REFUSAL: Duration = Duration::from_millis(500);

/// Answers a first message.
pub async fn start(
    State(agent): Shared,
    Extension(connection): Extension<Connection>,
    body: Result<Json<StartRequest>, JsonRejection>,
) -> Result<Json<StartAnswer>, Failure> {
    let came = Instant::now();
    let (address, binding) = stranger(&agent, &connection)?;
    let answer = match body {
        Ok(Json(request)) => {
            let pairing = agent.pairing.clone();
            blocking(move || Ok(pairing.start(connection.id, binding, &request))).await?
        }
        Err(_) => Err(refusal()),
    };
    answered(&agent, address, came, answer).await
}

/// Checks a proof, enrols, and answers.
pub async fn finish(
    State(agent): Shared,
    Extension(connection): Extension<Connection>,
    body: Result<Json<FinishRequest>, JsonRejection>,
) -> Result<Json<FinishAnswer>, Failure> {
    let came = Instant::now();
    let (address, binding) = stranger(&agent, &connection)?;
    let answer = match body {
        Ok(Json(request)) => {
            let pairing = agent.pairing.clone();
            blocking(move || Ok(pairing.finish(connection.id, &binding, &request))).await?
        }
        Err(_) => Err(refusal()),
    };
    answered(&agent, address, came, answer).await
}

/// Opens a window.
pub async fn window(
    State(agent): Shared,
    Extension(connection): Extension<Connection>,
    body: Result<Json<WindowRequest>, JsonRejection>,
) -> Result<Json<WindowAnswer>, Failure> {
    if !matches!(connection.peer, Peer::Console) {
        return Err(Error::new(
            Code::Denied,
            "a pairing window is opened at the server's console only: backupd pair",
        )
        .into());
    }
    let Json(request) = body?;
    let Some(address) = agent.listening() else {
        return Err(Error::new(
            Code::Unavailable,
            "no daemon is running that a master could reach; start it with: backupd run",
        )
        .into());
    };
    let pairing = agent.pairing.clone();
    let opened = blocking(move || pairing.open(WINDOW, request.replace)).await?;
    let answer = WindowAnswer::new(&opened, address, &agent);
    answer.log();
    Ok(Json(answer))
}

fn stranger(
    agent: &Agent,
    connection: &Connection,
) -> Result<(IpAddr, backupd_protocol::pairing::Binding), Failure> {
    let own = agent.enrolment.own_pin();
    match (&connection.peer, connection.peer.binding(own)) {
        (Peer::Remote { address, .. }, Some(binding)) => Ok((*address, binding)),
        _ => Err(Error::new(Code::Denied, "a master enrols over TLS, not from here").into()),
    }
}

async fn answered<T>(
    agent: &Agent,
    address: IpAddr,
    came: Instant,
    answer: backupd_base::Result<T>,
) -> Result<Json<T>, Failure> {
    let error = match answer {
        Ok(answer) => return Ok(Json(answer)),
        Err(error) => error,
    };
    agent.failures.count(address, false);
    sleep_until(came + REFUSAL).await;
    Err(match error.code() {
        // Told as they are: they say nothing about the code.
        Code::Incompatible | Code::Invalid => error,
        Code::CodeRejected => refusal(),
        _ => {
            tracing::error!(%error, "a pairing failed here");
            refusal()
        }
    }
    .into())
}
