//! `GET /health`.

use axum::{Json, extract::State};
use backupd_protocol::{Health, PROTOCOL_VERSION};
use chrono::Utc;

use super::{Failure, Shared, blocking};
use crate::about;

/// Who answers, and how far its journal is.
pub async fn get(State(agent): Shared) -> Result<Json<Health>, Failure> {
    let journal = agent.journal.clone();
    let last_event = blocking(move || journal.last()).await?;
    Ok(Json(Health {
        node_id: agent.enrolment.node_id(),
        hostname: about::hostname(),
        os: about::os(),
        version: about::VERSION.to_owned(),
        protocol: PROTOCOL_VERSION,
        now: Utc::now(),
        time_zone: iana_time_zone::get_timezone().ok(),
        uptime_seconds: agent.started.elapsed().as_secs(),
        last_event,
    }))
}
