//! Who is at the other end of a connection.

use std::net::IpAddr;

use backupd_protocol::{pairing::Binding, tls::Pin};

use crate::pairing::ConnectionId;

/// One connection; in the extensions of every request on it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its number in this process.
    pub id: ConnectionId,
    /// Who is there.
    pub peer: Peer,
}

/// Who is there, as far as the connection itself proves it.
#[derive(Debug, Clone)]
pub enum Peer {
    /// Root, or the user the agent runs as, on this machine.
    Console,
    /// Somebody who holds the key of this pin.
    Remote {
        /// Where from.
        address: IpAddr,
        /// Its TLS key.
        pin: Pin,
        /// The exporter of the connection.
        exporter: [u8; 32],
    },
}

impl Peer {
    /// What an exchange on this connection is bound to; `None` on the console.
    #[must_use]
    pub fn binding(&self, own: Pin) -> Option<Binding> {
        match *self {
            Self::Console => None,
            Self::Remote { pin, exporter, .. } => Some(Binding {
                master: pin,
                node: own,
                exporter,
            }),
        }
    }
}
