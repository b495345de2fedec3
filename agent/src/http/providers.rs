//! `GET /providers` (without credentials), `PUT|DELETE /providers/{id}`, `POST /providers/test`.

use axum::{
    Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::StatusCode,
};
use backupd_base::{Code, Error, ProviderId};
use backupd_protocol::{Finding, FindingLevel, Provider};
use backupd_storage::probe::{self, Level};

use super::{Failure, Shared, blocking};

/// All providers.
pub async fn list(State(agent): Shared) -> Result<Json<Vec<Provider>>, Failure> {
    Ok(Json(blocking(move || agent.inventory.providers()).await?))
}

/// Writes one.
pub async fn put(
    State(agent): Shared,
    id: Result<Path<ProviderId>, PathRejection>,
    body: Result<Json<Provider>, JsonRejection>,
) -> Result<StatusCode, Failure> {
    let (Path(id), Json(provider)) = (id?, body?);
    if provider.id != id {
        return Err(Error::new(Code::Invalid, "the provider's id is not that of the path").into());
    }
    blocking(move || agent.inventory.put_provider(provider)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets one.
pub async fn delete(
    State(agent): Shared,
    id: Result<Path<ProviderId>, PathRejection>,
) -> Result<StatusCode, Failure> {
    let Path(id) = id?;
    blocking(move || agent.inventory.delete_provider(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Does with a store what a backup will do, from this server.
pub async fn test(
    State(agent): Shared,
    body: Result<Json<Provider>, JsonRejection>,
) -> Result<Json<Vec<Finding>>, Failure> {
    let Json(provider) = body?;
    let storage = blocking(move || agent.inventory.try_out(provider)).await?;
    let found = backupd_storage::probe(storage.as_ref(), "").await;
    Ok(Json(found.into_iter().map(finding).collect()))
}

fn finding(found: probe::Finding) -> Finding {
    Finding {
        check: found.check.as_str().to_owned(),
        level: match found.level {
            Level::Good => FindingLevel::Good,
            Level::Warning => FindingLevel::Warning,
            Level::Bad => FindingLevel::Bad,
        },
        message: found.message,
    }
}
