//! The parts, started and used.
#![cfg(target_os = "linux")]

mod parts;
mod proxy;
