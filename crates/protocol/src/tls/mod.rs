//! Who is at the other end: a key and self-signed certificate for each side, the fingerprint of
//! that key, and the TLS configurations that accept exactly one such key, or, for a pairing, any.
//!
//! TLS 1.3 only, both sides present a certificate, and the handshake's signatures are verified in
//! every case: an accepted key is always one the peer holds. Names, dates and issuers in the
//! certificates mean nothing here; the key is the identity. Deliberately not here: sockets.

mod config;
mod identity;
mod pin;

pub use config::{EXPORTER_LABEL, client_config, exporter, peer_pin, server_config};
pub use identity::Identity;
pub use pin::Pin;
