//! The snapshot format as a whole: written, read back, broken on purpose, read by other programs.
//! On Linux, where all of it is: owners, attributes, holes, `/proc` to measure with.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod cancel;
mod child;
mod damage;
mod faults;
mod fixture;
mod forge;
mod hostile;
mod keys;
mod manifest;
mod memory;
mod random_trees;
mod ranged;
mod round_trip;
mod shell;
