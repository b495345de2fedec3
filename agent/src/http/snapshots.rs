//! `GET /snapshots`, `GET /snapshots/{id}`, and a snapshot's objects out of a store this server can
//! read: `GET /snapshots/{id}/manifest|meta|files|download?provider=…`, with `Range`. All but
//! `manifest` and `meta` are encrypted, and stay so. `POST /snapshots/{id}/verify` reads one back.
//! `PUT|DELETE /snapshots/{id}/hold` keeps one from retention; `GET /snapshots/removed` says which are
//! gone, `DELETE /snapshots/{id}/providers/{provider_id}` that the master removed one from a bucket.

mod hold;
mod object;
mod removed;
mod verify;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use backupd_base::{SnapshotId, SourceId};
use backupd_protocol::Snapshot;
use serde::Deserialize;

pub use hold::{delete as release, put as hold};
pub use object::get as object;
pub use removed::{forget, list as removed};
pub use verify::create as verify;

use super::{Failure, Shared, blocking};
use crate::store::snapshots;

/// Which snapshots.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    source: Option<SourceId>,
}

/// Snapshots, newest first.
pub async fn list(
    State(agent): Shared,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Vec<Snapshot>>, Failure> {
    let Query(Filter { source }) = filter?;
    let list = blocking(move || agent.store.read(|db| snapshots::list(db, source.as_ref())));
    Ok(Json(list.await?))
}

/// One snapshot.
pub async fn one(
    State(agent): Shared,
    id: Result<Path<SnapshotId>, PathRejection>,
) -> Result<Json<Snapshot>, Failure> {
    let Path(id) = id?;
    let one = blocking(move || agent.store.read(|db| snapshots::get(db, &id)));
    Ok(Json(one.await?))
}
