//! `GET /schedule`.

use axum::{Json, extract::State};
use backupd_protocol::SourceSchedule;

use super::{Failure, Shared, blocking};

/// The sources that have a schedule, with their next and last runs.
pub async fn list(State(agent): Shared) -> Result<Json<Vec<SourceSchedule>>, Failure> {
    Ok(Json(blocking(move || agent.scheduler.list()).await?))
}
