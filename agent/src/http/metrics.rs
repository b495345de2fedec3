//! `GET /metrics`.

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};

use super::{Failure, Shared, blocking};
use crate::metrics;

/// How this node stands, for Prometheus.
pub async fn get(State(agent): Shared) -> Result<Response, Failure> {
    let text = blocking(move || metrics::text(&agent)).await?;
    let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, text).into_response())
}
