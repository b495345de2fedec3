//! Who may call: the console; or the master, by its TLS key and its API key, both. Checked before a
//! body is read.

use std::sync::Arc;

use axum::{
    extract::{Extension, Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};
use backupd_base::{Code, Error};

use super::{Connection, Failure, Peer};
use crate::agent::Agent;

/// Lets the console and the master through.
pub async fn check(
    State(agent): State<Arc<Agent>>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let Peer::Remote { address, pin, .. } = &connection.peer else {
        return Ok(next.run(request).await);
    };
    // One without the master's key cannot lock the master out from the same address.
    let is_master = agent.enrolment.is_master(pin);
    agent.failures.check(*address, is_master)?;
    let has_key = api_key(request.headers()).is_some_and(|key| agent.enrolment.is_api_key(key));
    if is_master && has_key {
        return Ok(next.run(request).await);
    }
    let why = if is_master {
        "the master's TLS key, but not its API key"
    } else {
        "a TLS key that is not the master's"
    };
    agent.failures.count(*address, is_master);
    agent.rejections.report(*address, why).await;
    // The same words for both: which of the two was right is nobody's business.
    Err(Error::new(Code::Unauthorized, "the caller is not this server's master").into())
}

/// Lets anyone through who has not failed too often; the exchange behind it does the checking.
pub async fn check_failures(
    State(agent): State<Arc<Agent>>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    if let Peer::Remote { address, .. } = connection.peer {
        agent.failures.check(address, false)?;
    }
    Ok(next.run(request).await)
}

fn api_key(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(AUTHORIZATION)?.to_str().ok()?;
    shown.strip_prefix("Bearer ")
}
