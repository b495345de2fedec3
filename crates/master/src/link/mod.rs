//! The way to a node: HTTPS and WebSocket on one address, mutual TLS with pinned keys, and the
//! API key. Deliberately not here: when to call, and what to do with the answers.

mod address;
mod http;
mod live;
mod store;

pub use address::Address;
pub use http::Link;
pub use store::NodeStore;
