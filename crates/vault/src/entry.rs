//! The names under which secrets lie in the keyring.

use std::fmt;

use backupd_base::{NodeId, ProviderId, TenantId};

/// One secret. The installation is the id of the registry it belongs to, so that two data folders
/// of one user do not meet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Written at the first setup: a keyring that answers without it is locked, emptied, or another.
    Sentinel(String),
    /// The master's TLS key.
    ClientKey(String),
    /// A tenant's age identity.
    Tenant(TenantId),
    /// A node's API key.
    Node(NodeId),
    /// The credentials of a store, as the nodes get them.
    Provider(ProviderId),
    /// The credentials of a store that are the master's own.
    Management(ProviderId),
    /// Written and erased to learn whether the keyring can be written.
    Probe(String),
}

impl fmt::Display for Entry {
    /// The name in the keyring, which is also what errors say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sentinel(id) => write!(f, "sentinel/{id}"),
            Self::ClientKey(id) => write!(f, "client-key/{id}"),
            Self::Tenant(id) => write!(f, "tenant/{id}"),
            Self::Node(id) => write!(f, "node/{id}"),
            Self::Provider(id) => write!(f, "provider/{id}"),
            Self::Management(id) => write!(f, "management/{id}"),
            Self::Probe(id) => write!(f, "probe/{id}"),
        }
    }
}
