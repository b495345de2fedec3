//! What ties an exchange to this one connection between these two keys.

use crate::{PROTOCOL_VERSION, tls::Pin};

/// Both keys as each side saw them in its own handshake, and the connection's exporter. Somebody in
/// between cannot make the two sides' bindings equal, and the exchange fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The master's key.
    pub master: Pin,
    /// The node's key.
    pub node: Pin,
    /// [`crate::tls::exporter`] of the connection.
    pub exporter: [u8; 32],
}

impl Binding {
    /// The identifiers of the exchange.
    pub(super) fn identifiers(&self) -> opaque_ke::Identifiers<'_> {
        opaque_ke::Identifiers {
            client: Some(self.master.as_bytes()),
            server: Some(self.node.as_bytes()),
        }
    }

    /// The context of the exchange: protocol version ‖ window id ‖ exporter. Version and exporter
    /// have fixed lengths, so that no two contexts read the same.
    pub(super) fn context(&self, window_id: &str) -> Vec<u8> {
        let mut context = b"backupd pairing ".to_vec();
        context.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
        context.extend_from_slice(window_id.as_bytes());
        context.extend_from_slice(&self.exporter);
        context
    }
}
