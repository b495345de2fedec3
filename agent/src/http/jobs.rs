//! `GET|POST /jobs`, `GET /jobs/{id}`, `POST /jobs/{id}/stop|retry|reset`.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::StatusCode,
};
use backupd_base::{JobId, SourceId};
use backupd_protocol::{Job, JobCreate};
use serde::Deserialize;

use super::{Failure, Shared, blocking};

/// Jobs in one answer, at most and unless told otherwise.
const MOST: u32 = 500;

/// Which jobs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    source: Option<SourceId>,
    #[serde(default = "most")]
    limit: u32,
}

fn most() -> u32 {
    MOST
}

/// Jobs, newest first.
pub async fn list(
    State(agent): Shared,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Vec<Job>>, Failure> {
    let Query(Filter { source, limit }) = filter?;
    let jobs = blocking(move || agent.queue.list(source.as_ref(), limit.min(MOST))).await?;
    Ok(Json(jobs))
}

/// Asks for a backup.
pub async fn create(
    State(agent): Shared,
    body: Result<Json<JobCreate>, JsonRejection>,
) -> Result<(StatusCode, Json<Job>), Failure> {
    let Json(create) = body?;
    let job = blocking(move || agent.queue.submit_backup(&create)).await?;
    Ok((StatusCode::CREATED, Json(job)))
}

/// One job.
pub async fn one(
    State(agent): Shared,
    id: Result<Path<JobId>, PathRejection>,
) -> Result<Json<Job>, Failure> {
    let Path(id) = id?;
    Ok(Json(blocking(move || agent.queue.get(&id)).await?))
}

/// Stops one.
pub async fn stop(
    State(agent): Shared,
    id: Result<Path<JobId>, PathRejection>,
) -> Result<Json<Job>, Failure> {
    let Path(id) = id?;
    Ok(Json(blocking(move || agent.queue.stop(&id)).await?))
}

/// Tries a failed one again, at once. The answer is the new job, or the one that waited.
pub async fn retry(
    State(agent): Shared,
    id: Result<Path<JobId>, PathRejection>,
) -> Result<(StatusCode, Json<Job>), Failure> {
    let Path(id) = id?;
    let job = blocking(move || agent.queue.retry(&id)).await?;
    Ok((StatusCode::CREATED, Json(job)))
}

/// Ends one that does not end by itself.
pub async fn reset(
    State(agent): Shared,
    id: Result<Path<JobId>, PathRejection>,
) -> Result<Json<Job>, Failure> {
    let Path(id) = id?;
    Ok(Json(agent.queue.reset(&id).await?))
}
