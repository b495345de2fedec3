//! Every use case of the desktop, without Tauri: the same core a headless hub would run.
//!
//! Deliberately not here: windows, and anything the page may not see.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod commands;
mod fleet;
mod kit;
mod link;
mod master;
mod reconcile;
mod retention;
mod secrets;
mod snapshot;
mod tasks;
#[cfg(test)]
mod testing;
pub mod view;

pub use backupd_vault::{Entry, SecretStore, Vault};
pub use master::Master;
