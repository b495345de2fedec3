//! What a policy decides, over years.

#![allow(missing_docs, clippy::unwrap_used)]

mod schedule;
