//! The master against real agents, a real WordPress, a real bucket, and `age` itself.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod enrolment;
mod presence;
mod reconcile;
mod recovery;
mod relay;
mod retention;
mod schedule;
mod tampering;
#[path = "../../src/testing.rs"]
#[allow(dead_code)]
mod testing;
mod whole_way;
mod world;

use backupd_master::Master;
