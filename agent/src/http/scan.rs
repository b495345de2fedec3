//! `GET /scan?base=…`, `POST /verify-site`.

use std::path::PathBuf;

use axum::{
    Json,
    extract::{
        Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
};
use backupd_protocol::{FoundSite, VerifySite};
use serde::Deserialize;

use super::{Failure, Shared, blocking};
use crate::scanner;

/// Where to look.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    base: Option<PathBuf>,
}

/// The sites below a folder.
pub async fn list(
    State(_): Shared,
    base: Result<Query<Base>, QueryRejection>,
) -> Result<Json<Vec<FoundSite>>, Failure> {
    let Query(Base { base }) = base?;
    Ok(Json(
        blocking(move || scanner::scan(base.as_deref())).await?,
    ))
}

/// One site.
pub async fn verify(
    State(_): Shared,
    body: Result<Json<VerifySite>, JsonRejection>,
) -> Result<Json<FoundSite>, Failure> {
    let Json(VerifySite { path }) = body?;
    Ok(Json(
        blocking(move || scanner::verify(path.as_ref())).await?,
    ))
}
