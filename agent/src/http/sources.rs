//! `GET /sources`, `GET|PUT|DELETE /sources/{id}`.

use axum::{
    Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::StatusCode,
};
use backupd_base::{Code, Error, SourceId};
use backupd_protocol::Source;

use super::{Failure, Shared, blocking};
use crate::jobs::Host as _;

/// All sources.
pub async fn list(State(agent): Shared) -> Result<Json<Vec<Source>>, Failure> {
    Ok(Json(blocking(move || agent.inventory.sources()).await?))
}

/// One source.
pub async fn one(
    State(agent): Shared,
    id: Result<Path<SourceId>, PathRejection>,
) -> Result<Json<Source>, Failure> {
    let Path(id) = id?;
    Ok(Json(blocking(move || agent.inventory.source(&id)).await?))
}

/// Writes one.
pub async fn put(
    State(agent): Shared,
    id: Result<Path<SourceId>, PathRejection>,
    body: Result<Json<Source>, JsonRejection>,
) -> Result<StatusCode, Failure> {
    let (Path(id), Json(source)) = (id?, body?);
    if source.id != id {
        return Err(Error::new(Code::Invalid, "the source's id is not that of the path").into());
    }
    let inventory = agent.inventory.clone();
    blocking(move || inventory.put_source(source)).await?;
    agent.scheduler.wake();
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets one.
pub async fn delete(
    State(agent): Shared,
    id: Result<Path<SourceId>, PathRejection>,
) -> Result<StatusCode, Failure> {
    let Path(id) = id?;
    blocking(move || agent.inventory.delete_source(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
