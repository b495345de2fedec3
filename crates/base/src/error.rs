//! One error type: what was tried on what, the cause behind it, and a code
//! where a consumer branches. Nobody matches on the text.

use std::{borrow::Cow, error::Error as StdError, fmt, io};

use serde::{Deserialize, Serialize};

/// What kind of failure it is, where a consumer does something different about it.
/// The interface has one table from code to words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum Code {
    /// An input is wrong; the message says which and what is allowed.
    Invalid,
    /// The thing asked for does not exist.
    NotFound,
    /// It exists already, and must not be overwritten.
    AlreadyExists,
    /// Something else is under way that excludes this.
    Conflict,
    /// The caller is not who it must be.
    Unauthorized,
    /// The caller is known and may not do this.
    Denied,
    /// The other side cannot be reached, or is shutting down.
    Unavailable,
    /// It took longer than it may.
    Timeout,
    /// Stopped on request.
    Cancelled,
    /// Stored data is not what was written, or its signature does not hold.
    Corrupt,
    /// A disk or a quota is full.
    DiskFull,
    /// Too many attempts; wait or open a new window.
    TooMany,
    /// The pairing code was mistyped, or somebody is in between.
    CodeRejected,
    /// No pairing window is open: expired, used up, or never opened.
    WindowClosed,
    /// The peer's key is not the pinned one.
    WrongPeer,
    /// The peer speaks a version this program does not.
    Incompatible,
    /// The keyring is locked or absent.
    KeyringLocked,
    /// A key that must exist is not in the keyring.
    KeyMissing,
    /// The two clocks differ too much.
    ClockSkew,
    /// A program this depends on is missing or failed.
    Tool,
    /// A fault of this program.
    Internal,
}

/// What failed, and why.
pub struct Error {
    code: Code,
    what: Cow<'static, str>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of anything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with no cause behind it.
    pub fn new(code: Code, what: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            what: what.into(),
            cause: None,
        }
    }

    /// `what` was tried and `cause` came of it. The code is the cause's own.
    pub fn caused(
        what: impl Into<Cow<'static, str>>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let cause = cause.into();
        Self {
            code: code_of(cause.as_ref()),
            what: what.into(),
            cause: Some(cause),
        }
    }

    /// The same error under another code.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The code to branch on.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
}

/// The code of the nearest [`Error`] in the chain, else what the I/O error says.
fn code_of(error: &(dyn StdError + 'static)) -> Code {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(e) = e.downcast_ref::<Error>() {
            return e.code;
        }
        if let Some(e) = e.downcast_ref::<io::Error>() {
            // An I/O error may carry one of ours through a `Read` or `Write`.
            if let Some(inner) = e.get_ref() {
                return code_of(inner);
            }
            return match e.kind() {
                io::ErrorKind::NotFound => Code::NotFound,
                io::ErrorKind::AlreadyExists => Code::AlreadyExists,
                io::ErrorKind::PermissionDenied => Code::Denied,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::DiskFull,
                io::ErrorKind::TimedOut => Code::Timeout,
                io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable => Code::Unavailable,
                _ => Code::Internal,
            };
        }
        next = e.source();
    }
    Code::Internal
}

impl fmt::Display for Error {
    /// The whole chain on one line, outermost first: "upload part 3: connection reset".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let mut next = self
            .cause
            .as_deref()
            .map(|e| e as &(dyn StdError + 'static));
        while let Some(e) = next {
            write!(f, ": {e}")?;
            // An [`Error`] prints its own chain.
            next = if e.is::<Error>() { None } else { e.source() };
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({self})", self.code)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|e| e as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::other(error)
    }
}

/// Says what was tried, on the way up.
pub trait Context<T> {
    /// `what` names the operation and the thing, lower case, no full stop.
    ///
    /// # Errors
    /// The error it was called on, with `what` before it.
    fn context(self, what: impl Into<Cow<'static, str>>) -> Result<T>;

    /// [`Context::context`] for a text that costs something to build.
    ///
    /// # Errors
    /// The error it was called on, with the text before it.
    fn with_context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Into<Cow<'static, str>>) -> Result<T> {
        self.map_err(|e| Error::caused(what, e))
    }

    fn with_context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::caused(what(), e))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl Into<Cow<'static, str>>) -> Result<T> {
        self.ok_or_else(|| Error::new(Code::NotFound, what))
    }

    fn with_context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.ok_or_else(|| Error::new(Code::NotFound, what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_the_cause_survives_every_layer() {
        let inner: Result<()> = Err(Error::new(Code::Denied, "put a/b"));
        let through_io: io::Result<()> = inner.map_err(io::Error::from);
        let outer = through_io
            .context("upload part 3")
            .context("run job 7")
            .unwrap_err();
        assert_eq!(outer.code(), Code::Denied);
        assert_eq!(outer.to_string(), "run job 7: upload part 3: put a/b");
    }

    #[test]
    fn a_full_disk_is_told_as_one() {
        let full: io::Result<()> = Err(io::ErrorKind::StorageFull.into());
        assert_eq!(
            full.context("write spool").unwrap_err().code(),
            Code::DiskFull
        );
    }
}
