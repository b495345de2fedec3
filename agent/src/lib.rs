//! The agent `backupd`: it does the work on a server, by itself, and answers the master that
//! enrolled it.
//!
//! Deliberately not here: the snapshot format (`backupd-archive`), the stores
//! (`backupd-storage`), the wire types and the pairing exchange (`backupd-protocol`).

pub mod about;
pub mod agent;
pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod doctor;
pub mod enrolment;
pub mod http;
pub mod inventory;
pub mod jobs;
pub mod journal;
pub mod keys;
pub mod live;
pub mod metrics;
pub mod modules;
pub mod pairing;
pub mod pipeline;
pub mod resources;
pub mod restore;
pub mod retention;
pub mod scanner;
pub mod schedule;
pub mod stats;
pub mod store;
