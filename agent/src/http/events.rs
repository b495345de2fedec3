//! `GET /events?after={seq}&limit={n}`.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use backupd_protocol::Event;
use serde::Deserialize;

use super::{Failure, Shared, blocking};

/// Events in one answer, at most.
const MOST: u32 = 1000;

/// From where, and how many.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    #[serde(default)]
    after: u64,
    #[serde(default = "most")]
    limit: u32,
}

fn most() -> u32 {
    MOST
}

/// Events after a number, oldest first.
pub async fn list(
    State(agent): Shared,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Vec<Event>>, Failure> {
    let Query(page) = page?;
    let events = blocking(move || agent.journal.after(page.after, page.limit.min(MOST))).await?;
    Ok(Json(events))
}
