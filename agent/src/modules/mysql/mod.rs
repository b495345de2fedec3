//! MySQL and MariaDB through the vendor's own tools: how to reach a database, ask it, dump it and
//! load it.
//!
//! The password is in a file of mode 0600 for as long as a tool runs, never in an argument or in
//! the environment. Deliberately not here: whose database it is.

mod access;
mod definer;
pub mod dump;
pub mod load;
pub mod schema;

pub(crate) use access::CLIENTS;
pub use access::{Access, Address};
pub(crate) use dump::DUMPERS;
