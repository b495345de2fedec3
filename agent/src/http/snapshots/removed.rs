//! `GET /snapshots/removed?source=&after=` and `DELETE /snapshots/{id}/providers/{provider_id}`: both
//! sides of a catalogue that two parties remove from.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
};
use backupd_base::{Code, Error, ProviderId, SnapshotId, SourceId};
use backupd_protocol::RemovedSnapshot;
use serde::Deserialize;

use crate::{
    http::{Failure, Shared, blocking},
    jobs::Host as _,
    store::{removed, snapshots},
};

/// Links in one answer, at most.
const MOST: u32 = 500;

/// Of which chain, and from where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    source: SourceId,
    #[serde(default)]
    after: u64,
}

/// Snapshots that are gone, in the order of their chain.
pub async fn list(
    State(agent): Shared,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Vec<RemovedSnapshot>>, Failure> {
    let Query(page) = page?;
    let read = move || {
        agent
            .store
            .read(|db| removed::list(db, &page.source, page.after, MOST))
    };
    Ok(Json(blocking(read).await?))
}

/// Forgets that a bucket has a snapshot, once the master has removed it there.
pub async fn forget(
    State(agent): Shared,
    path: Result<Path<(SnapshotId, ProviderId)>, PathRejection>,
) -> Result<StatusCode, Failure> {
    let Path((id, provider)) = path?;
    blocking(move || {
        // A provider that is no longer here has no folder here either.
        if let Ok(Some(_)) = agent.inventory.folder(&provider) {
            let why = "the snapshots in folders of this server are removed by its agent alone";
            return Err(Error::new(Code::Denied, why));
        }
        let forget = |tx: &_| snapshots::forget(tx, &id, &provider, None);
        agent.store.write(|tx| forget(tx)).map(drop)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
