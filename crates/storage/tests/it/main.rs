//! The contract, checked on every store there is; and what each does when things break.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod conformance;
mod line;
mod local;
mod probe;
mod reader;
mod s3_faults;
mod s3_manners;
mod stores;
mod writer;
