//! Tells a damaged object from a failing disk or network while an object is read.

use std::io;

use backupd_base::{Code, Error};

/// `what` failed with `error`. What age, zstd or the end of the data complain of is `Corrupt`;
/// an error of the system, or of the storage behind the reader, keeps its own code.
pub(crate) fn while_reading(what: impl Into<String>, error: io::Error) -> Error {
    let from_system = error.raw_os_error().is_some();
    let error = Error::caused(what.into(), error);
    if error.code() == Code::Internal && !from_system {
        error.with_code(Code::Corrupt)
    } else {
        error
    }
}

/// Data that contradicts the format.
pub(crate) fn corrupt(what: impl Into<String>) -> Error {
    Error::new(Code::Corrupt, what.into())
}
