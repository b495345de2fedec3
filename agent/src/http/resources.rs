//! `GET|PUT /resources`.

use axum::{Json, extract::State, extract::rejection::JsonRejection};
use backupd_protocol::{Limits, Resources};

use super::{Failure, Shared, blocking};

/// Who has which place, who waits, and the limits.
pub async fn get(State(agent): Shared) -> Result<Json<Resources>, Failure> {
    Ok(Json(blocking(move || agent.queue.resources()).await?))
}

/// Changes limits, at once and until they are cleared.
pub async fn put(
    State(agent): Shared,
    body: Result<Json<Limits>, JsonRejection>,
) -> Result<Json<Resources>, Failure> {
    let Json(limits) = body?;
    let view = blocking(move || {
        agent.parts.resources.change(&agent.store, &limits)?;
        agent.queue.resources()
    });
    Ok(Json(view.await?))
}
