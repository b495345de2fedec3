//! What an S3 server or the line to it answered, as one of our codes.

use std::{error::Error as StdError, time::Duration};

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use backupd_base::{Code, Error};

/// A call that failed.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    status: u16,
    /// The server's name for it, such as `NoSuchUpload`.
    name: Option<String>,
    text: String,
}

impl Failure {
    pub(super) fn timeout(after: Duration) -> Self {
        Self {
            code: Code::Timeout,
            status: 0,
            name: None,
            text: format!("no answer within {} seconds", after.as_secs()),
        }
    }

    pub(super) fn from_sdk<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let meta = answer.err().meta();
                let name = meta.code().map(str::to_owned);
                let text = match (&name, meta.message()) {
                    (Some(name), Some(message)) => format!("{name}: {}", cut(message)),
                    (Some(name), None) => name.clone(),
                    (None, _) => format!("the store answered {status}"),
                };
                Self {
                    code: code_of(status, name.as_deref()),
                    status,
                    name,
                    text,
                }
            }
            SdkError::TimeoutError(_) => Self::local(Code::Timeout, &error),
            SdkError::ConstructionFailure(_) => Self::local(Code::Internal, &error),
            SdkError::DispatchFailure(ref e) if e.is_timeout() => {
                Self::local(Code::Timeout, &error)
            }
            SdkError::DispatchFailure(ref e) if e.is_user() => Self::local(Code::Invalid, &error),
            _ => Self::local(Code::Unavailable, &error),
        }
    }

    /// A body that broke off.
    pub(super) fn line(error: &(dyn StdError + 'static)) -> Self {
        Self::local(Code::Unavailable, error)
    }

    fn local(code: Code, error: &(dyn StdError + 'static)) -> Self {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text = format!("{text}: {cause}");
            next = cause.source();
        }
        Self {
            code,
            status: 0,
            name: None,
            text: cut(&text).to_owned(),
        }
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The server does not know a header that we sent.
    pub(super) fn is_not_implemented(&self) -> bool {
        self.status == 501
    }

    /// A range that begins where the object ends.
    pub(super) fn is_beyond_the_end(&self) -> bool {
        self.status == 416
    }

    /// Not the object is missing but what it would lie in.
    pub(super) fn is_no_bucket(&self) -> bool {
        self.name.as_deref() == Some("NoSuchBucket")
    }

    /// The server understood and said no: the request is at fault, not the line.
    pub(super) fn is_refusal(&self) -> bool {
        self.status == 400
    }

    /// Refused, possibly for the time it was signed at. HEAD is refused without a name.
    pub(super) fn may_be_skew(&self) -> bool {
        self.code == Code::ClockSkew || (self.status == 403 && self.name.is_none())
    }

    pub(super) fn into_error(self, what: &str) -> Error {
        Error::new(self.code, format!("{what}: {}", self.text))
    }

    pub(super) fn into_skew(mut self, ahead: Option<i64>) -> Self {
        self.code = Code::ClockSkew;
        if let Some(seconds) = ahead {
            self.text = format!(
                "{} (the store's clock is {seconds} seconds ahead)",
                self.text
            );
        }
        self
    }
}

/// The code of an answer. Names: "Error responses", Amazon S3 API reference, and what others add.
fn code_of(status: u16, name: Option<&str>) -> Code {
    match (status, name.unwrap_or_default()) {
        (_, "RequestTimeTooSkewed" | "RequestExpired") => Code::ClockSkew,
        (_, "RequestTimeout") => Code::Timeout,
        (_, "QuotaExceeded" | "StorageFull" | "XMinioStorageFull" | "InsufficientCapacity")
        | (507, _) => Code::DiskFull,
        // The bytes were damaged on the way; sent again they arrive.
        (
            _,
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch"
            | "IncompleteBody",
        ) => Code::Unavailable,
        (_, "SlowDown" | "InternalError" | "ServiceUnavailable") => Code::Unavailable,
        (412, _) => Code::AlreadyExists,
        // Two conditional writes raced; the next attempt finds out who won.
        (409, "ConditionalRequestConflict" | "OperationAborted") => Code::Unavailable,
        (404, _) => Code::NotFound,
        (401 | 403, _) => Code::Denied,
        (408, _) => Code::Timeout,
        (429, _) => Code::Unavailable,
        (501, _) => Code::Incompatible,
        (500.., _) => Code::Unavailable,
        // 200 with an error in its body: the server gave up after it had begun to answer.
        (200..=299, _) => Code::Unavailable,
        // 301, 307: another region or endpoint is right; 400: the request is wrong.
        _ => Code::Invalid,
    }
}

/// A server's text, no longer than a person reads.
fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(300)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_worth_another_attempt() {
        let retried =
            |status, name| matches!(code_of(status, name), Code::Unavailable | Code::Timeout);
        assert!(retried(503, Some("SlowDown")));
        assert!(retried(500, None));
        assert!(retried(400, Some("RequestTimeout")));
        assert!(retried(400, Some("BadDigest")));
        assert!(retried(200, Some("InternalError")));
        assert!(retried(409, Some("ConditionalRequestConflict")));
        assert!(!retried(403, Some("AccessDenied")));
        assert!(!retried(404, Some("NoSuchKey")));
        assert!(!retried(412, Some("PreconditionFailed")));
        assert!(!retried(507, None));
        assert!(!retried(403, Some("RequestTimeTooSkewed")));
        assert!(!retried(301, Some("PermanentRedirect")));
    }
}
