//! `GET /doctor`.

use axum::{Json, extract::State};

use super::{Failure, Shared};
use crate::doctor::{self, Finding};

/// Looks at everything the agent works with; changes nothing.
pub async fn get(State(agent): Shared) -> Result<Json<Vec<Finding>>, Failure> {
    Ok(Json(doctor::examine(&agent).await?))
}
