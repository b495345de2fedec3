//! The desktop shell: one window, one tray icon, and a thin command for every use case of
//! `backupd_master`. What is decided is decided there.
//!
//! Deliberately not here: use cases, and words for the page.

pub mod app;
mod core;
mod dialogs;
mod events;
pub mod ipc;
mod tray;
mod window;
