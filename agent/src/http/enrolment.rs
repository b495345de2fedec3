//! `GET /enrolment`: what the node said when it was enrolled, for a master that lost the answer.
//! `DELETE /enrolment`: the master gives the node up. `PUT /enrolment/key`: a new API key.

use axum::{Json, extract::State, extract::rejection::JsonRejection, http::StatusCode};
use backupd_base::{Code, Error};
use backupd_protocol::pairing::{ApiKey, NodeHello};
use serde::Deserialize;

use super::{Failure, Shared, blocking};

/// Shortest key taken: 256 bits in base64.
const SHORTEST: usize = 43;

/// What this node says of itself.
pub async fn get(State(agent): Shared) -> Result<Json<NodeHello>, Failure> {
    let node_id = agent
        .enrolment
        .node_id()
        .ok_or_else(|| Error::new(Code::NotFound, "this server is not enrolled"))?;
    Ok(Json(agent.enrolment.hello(node_id)))
}

/// Ends the enrolment.
pub async fn delete(State(agent): Shared) -> Result<StatusCode, Failure> {
    blocking(move || agent.enrolment.revoke()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /enrolment/key`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    api_key: ApiKey,
}

/// Replaces the API key; the caller has shown the old one.
pub async fn rotate(
    State(agent): Shared,
    body: Result<Json<NewKey>, JsonRejection>,
) -> Result<StatusCode, Failure> {
    let Json(NewKey { api_key }) = body?;
    if api_key.reveal().len() < SHORTEST {
        return Err(Error::new(Code::Invalid, "an API key has 256 random bits in base64").into());
    }
    blocking(move || agent.enrolment.rotate(&api_key)).await?;
    Ok(StatusCode::NO_CONTENT)
}
