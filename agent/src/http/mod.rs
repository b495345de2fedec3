//! The API: one router, whoever dialled. It is served over TLS to the master, on the control
//! socket to the console, and inside the command line when no daemon runs.
//!
//! Deliberately not here: what the answers are made of.

mod auth;
mod connection;
mod doctor;
mod enrolment;
mod error;
mod events;
mod health;
mod jobs;
mod limits;
mod metrics;
mod pairing;
mod providers;
mod resources;
mod restores;
mod scan;
mod schedule;
mod server;
mod snapshots;
mod sources;
mod stats;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{delete, get, post, put},
};
use backupd_base::{Code, Error, Result};

pub use connection::{Connection, Peer};
pub use error::Failure;
pub use limits::{CONNECTIONS, Failures, PER_ADDRESS, Rejections};
pub use server::{serve_control, serve_tls};

use crate::agent::Agent;

/// What every handler is given.
pub type Shared = State<Arc<Agent>>;

/// Bodies of calls are small JSON; data goes to stores, not through here.
const BODY: usize = 64 * 1024;

/// Until a call has its answer, streams excepted: nothing here works longer.
const REQUEST: Duration = Duration::from_secs(30);

/// A scan asks every site's database and measures its folders, the doctor asks every store too; a confirmed restore removes as
/// many files as the site has.
const SCAN: Duration = Duration::from_secs(600);

/// The router over `agent`. Every request carries a [`Connection`] in its extensions.
pub fn router(agent: Arc<Agent>) -> Router {
    let slow = Router::new()
        .route("/doctor", get(doctor::get))
        .route("/scan", get(scan::list))
        .route("/verify-site", post(scan::verify))
        .route("/providers/test", post(providers::test))
        .route("/restores/{id}/confirm", post(restores::confirm))
        .layer(from_fn(|request, next| within(SCAN, request, next)));
    let calls = Router::new()
        .route("/health", get(health::get))
        .route("/enrolment", get(enrolment::get).delete(enrolment::delete))
        .route("/enrolment/key", put(enrolment::rotate))
        .route("/pairing/window", post(pairing::window))
        .route("/events", get(events::list))
        .route("/metrics", get(metrics::get))
        .route("/stats", get(stats::history))
        .route("/stats/live", get(stats::live))
        .route("/schedule", get(schedule::list))
        .route("/sources", get(sources::list))
        .route(
            "/sources/{id}",
            get(sources::one).put(sources::put).delete(sources::delete),
        )
        .route("/providers", get(providers::list))
        .route(
            "/providers/{id}",
            put(providers::put).delete(providers::delete),
        )
        .route("/jobs", get(jobs::list).post(jobs::create))
        .route("/jobs/{id}", get(jobs::one))
        .route("/jobs/{id}/stop", post(jobs::stop))
        .route("/jobs/{id}/retry", post(jobs::retry))
        .route("/jobs/{id}/reset", post(jobs::reset))
        .route("/resources", get(resources::get).put(resources::put))
        .route("/snapshots", get(snapshots::list))
        .route("/snapshots/removed", get(snapshots::removed))
        .route("/snapshots/{id}", get(snapshots::one))
        .route(
            "/snapshots/{id}/hold",
            put(snapshots::hold).delete(snapshots::release),
        )
        .route(
            "/snapshots/{id}/providers/{provider_id}",
            delete(snapshots::forget),
        )
        .route("/snapshots/{id}/verify", post(snapshots::verify))
        .route("/snapshots/{id}/{object}", get(snapshots::object))
        .route("/restores", post(restores::create))
        .route("/restores/{id}/undo", post(restores::undo))
        .layer(from_fn(|request, next| within(REQUEST, request, next)));
    let known = calls
        .merge(slow)
        .fallback(|| async { Failure::from(Error::new(Code::NotFound, "there is no such route")) })
        .layer(from_fn_with_state(agent.clone(), auth::check));
    let strangers = Router::new()
        .route("/pairing/start", post(pairing::start))
        .route("/pairing/finish", post(pairing::finish))
        .layer(from_fn_with_state(agent.clone(), auth::check_failures))
        .layer(from_fn(|request, next| within(REQUEST, request, next)));
    Router::new()
        .nest(backupd_protocol::API, strangers.merge(known))
        .fallback(|| async { Failure::from(Error::new(Code::NotFound, "there is no such route")) })
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(agent)
}

async fn within(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::from(Error::new(
            Code::Timeout,
            format!("no answer within {} seconds", limit.as_secs()),
        ))
        .into_response(),
    }
}

/// Runs what blocks (the store, the disk) where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(e) => Err(Error::caused("answer the call", e).into()),
    }
}
