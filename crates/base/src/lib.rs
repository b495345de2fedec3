//! What every other crate shares: opaque ids, one error type with a code a
//! consumer can branch on, and secrets that do not print themselves.
//!
//! Deliberately not here: anything that does I/O.

pub mod error;
pub mod id;

pub use error::{Code, Context, Error, Result};
pub use id::{IdError, JobId, NodeId, ProviderId, SnapshotId, SourceId, TenantId};
pub use secrecy::{ExposeSecret, SecretBox, SecretString};
