//! `PUT|DELETE /snapshots/{id}/hold`. The same again changes nothing.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use backupd_base::SnapshotId;

use crate::{
    http::{Failure, Shared, blocking},
    retention,
};

/// Keeps a snapshot from the retention of its source.
pub async fn put(
    State(agent): Shared,
    id: Result<Path<SnapshotId>, PathRejection>,
) -> Result<StatusCode, Failure> {
    let Path(id) = id?;
    blocking(move || retention::hold(&agent.parts, &id, true)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leaves it to the retention again.
pub async fn delete(
    State(agent): Shared,
    id: Result<Path<SnapshotId>, PathRejection>,
) -> Result<StatusCode, Failure> {
    let Path(id) = id?;
    blocking(move || retention::hold(&agent.parts, &id, false)).await?;
    Ok(StatusCode::NO_CONTENT)
}
