//! `POST /restores`: a restore on this server, as a job. `POST /restores/{id}/undo` and
//! `/confirm`: what becomes of the state from before a restore in place.

use axum::{
    Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::StatusCode,
};
use backupd_base::JobId;
use backupd_protocol::{Job, RestoreCreate};

use super::{Failure, Shared, blocking};

/// Asks for a restore.
pub async fn create(
    State(agent): Shared,
    body: Result<Json<RestoreCreate>, JsonRejection>,
) -> Result<(StatusCode, Json<Job>), Failure> {
    let Json(create) = body?;
    let job = blocking(move || agent.queue.submit_restore(create)).await?;
    Ok((StatusCode::CREATED, Json(job)))
}

/// Brings the former state back, as a job of its own.
pub async fn undo(
    State(agent): Shared,
    id: Result<Path<JobId>, PathRejection>,
) -> Result<(StatusCode, Json<Job>), Failure> {
    let Path(id) = id?;
    let job = blocking(move || agent.queue.submit_undo(&id)).await?;
    Ok((StatusCode::CREATED, Json(job)))
}

/// Drops the former state for good.
pub async fn confirm(
    State(agent): Shared,
    id: Result<Path<JobId>, PathRejection>,
) -> Result<Json<Job>, Failure> {
    let Path(id) = id?;
    Ok(Json(blocking(move || agent.queue.confirm(&id)).await?))
}
