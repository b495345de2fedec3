//! How an error leaves: a status for machines in between, a code to branch on, words for people.

use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use backupd_base::{Code, Error};
use backupd_protocol::ErrorBody;

/// An error on its way out.
#[derive(Debug)]
pub struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

macro_rules! rejections {
    ($($rejection:ty),*) => {$(
        impl From<$rejection> for Failure {
            fn from(rejection: $rejection) -> Self {
                Self(Error::new(Code::Invalid, rejection.body_text()))
            }
        }
    )*};
}
rejections!(JsonRejection, PathRejection, QueryRejection);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = status(self.0.code());
        if status.is_server_error() {
            tracing::warn!(error = %self.0, "a call failed");
        }
        (status, Json(ErrorBody::from(&self.0))).into_response()
    }
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::Invalid => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Conflict | Code::Cancelled => StatusCode::CONFLICT,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Denied | Code::CodeRejected | Code::WindowClosed | Code::WrongPeer => {
            StatusCode::FORBIDDEN
        }
        Code::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Code::Timeout => StatusCode::REQUEST_TIMEOUT,
        Code::Incompatible => StatusCode::UPGRADE_REQUIRED,
        Code::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Corrupt
        | Code::KeyringLocked
        | Code::KeyMissing
        | Code::ClockSkew
        | Code::Tool
        | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
