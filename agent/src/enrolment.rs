//! Who may call this node: nobody, or the one master that enrolled it, known by its TLS key and
//! its API key.
//!
//! Deliberately not here: how a master gets there (`pairing`).

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use backupd_base::{Code, Error, NodeId, Result};
use backupd_protocol::{
    Severity,
    pairing::{ApiKey, NodeHello},
    tls::{Pin, server_config},
};
use rustls::ServerConfig;

use crate::{
    about,
    journal::{Entry, Journal},
    keys::NodeKeys,
    store::{
        Store,
        enrolment::{self, Enrolled},
        providers, windows,
    },
};

/// The enrolment, in the store and at hand. Clones share it.
#[derive(Clone)]
pub struct Enrolment(Arc<Inner>);

struct Inner {
    journal: Journal,
    keys: Arc<NodeKeys>,
    open_door: Arc<ServerConfig>,
    now: RwLock<Option<Known>>,
}

/// The master, and the TLS configuration that lets it in and nobody else.
struct Known {
    enrolled: Enrolled,
    door: Arc<ServerConfig>,
}

impl Enrolment {
    /// The enrolment in `store`.
    ///
    /// # Errors
    /// When the store cannot be read, or the node's key cannot be used.
    pub fn open(store: &Store, journal: Journal, keys: Arc<NodeKeys>) -> Result<Self> {
        let enrolled = store.read(enrolment::get)?;
        let now = enrolled.map(|e| known(&keys, e)).transpose()?;
        Ok(Self(Arc::new(Inner {
            open_door: Arc::new(server_config(&keys.tls, None)?),
            journal,
            keys,
            now: RwLock::new(now),
        })))
    }

    /// What is kept of it, if the node is enrolled.
    #[must_use]
    pub fn get(&self) -> Option<Enrolled> {
        self.read(|known| known.enrolled.clone())
    }

    /// The node's id, once enrolled.
    #[must_use]
    pub fn node_id(&self) -> Option<NodeId> {
        self.read(|known| known.enrolled.node_id.clone())
    }

    /// Whether `pin` is the master's TLS key.
    #[must_use]
    pub fn is_master(&self, pin: &Pin) -> bool {
        self.read(|known| known.enrolled.master == *pin)
            .unwrap_or(false)
    }

    /// Whether `shown` is the master's API key.
    #[must_use]
    pub fn is_api_key(&self, shown: &str) -> bool {
        self.read(|known| known.enrolled.api_key.matches(shown))
            .unwrap_or(false)
    }

    /// The TLS configuration for the next connection: the master's key only, or any key its owner
    /// proves to hold, while a master is still to come.
    #[must_use]
    pub fn door(&self, awaits_master: bool) -> Arc<ServerConfig> {
        let pinned = || self.read(|known| known.door.clone());
        if awaits_master { None } else { pinned() }.unwrap_or_else(|| self.0.open_door.clone())
    }

    /// Enrols durably, in place of whoever was before. Blocks for one commit.
    ///
    /// # Errors
    /// When the store cannot be written; the former enrolment then holds.
    pub fn enrol(&self, enrolled: Enrolled) -> Result<()> {
        let known = known(&self.0.keys, enrolled)?;
        let entry = Entry::new(
            "pairing.enrolled",
            Severity::Info,
            "The server was enrolled by a master.",
        )
        .with("node_id", &known.enrolled.node_id)
        .with("master", known.enrolled.master.for_people());
        self.0.journal.record_with(|tx| {
            enrolment::set(tx, &known.enrolled)?;
            windows::close(tx)?;
            Ok(((), entry))
        })?;
        self.set(Some(known));
        Ok(())
    }

    /// Ends the enrolment and forgets the credentials the master sealed. Blocks for one commit.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn revoke(&self) -> Result<()> {
        if self.get().is_none() {
            return Err(Error::new(Code::NotFound, "this server is not enrolled"));
        }
        self.0.journal.record_with(|tx| {
            enrolment::clear(tx)?;
            providers::forget_sealed(tx)?;
            let entry = Entry::new(
                "pairing.revoked",
                Severity::Warning,
                "The master gave this server up; its credentials were forgotten.",
            );
            Ok(((), entry))
        })?;
        self.set(None);
        Ok(())
    }

    /// Replaces the API key; the caller showed the old one. Blocks for one commit.
    ///
    /// # Errors
    /// `NotFound` when there is no enrolment.
    pub fn rotate(&self, api_key: &ApiKey) -> Result<()> {
        let Some(mut enrolled) = self.get() else {
            return Err(Error::new(Code::NotFound, "this server is not enrolled"));
        };
        enrolled.api_key = api_key.digest();
        let known = known(&self.0.keys, enrolled)?;
        self.0.journal.record_with(|tx| {
            enrolment::set(tx, &known.enrolled)?;
            let entry = Entry::new(
                "pairing.rotated",
                Severity::Info,
                "The master replaced its API key.",
            );
            Ok(((), entry))
        })?;
        self.set(Some(known));
        Ok(())
    }

    /// What this node says of itself to the master it has the id from.
    #[must_use]
    pub fn hello(&self, node_id: NodeId) -> NodeHello {
        NodeHello {
            node_id,
            hostname: about::hostname(),
            os: about::os(),
            version: about::VERSION.to_owned(),
            signing_key: self.0.keys.signer(),
            seal_recipient: self.0.keys.seal_recipient(),
        }
    }

    /// This node's own TLS key.
    #[must_use]
    pub fn own_pin(&self) -> Pin {
        self.0.keys.tls.pin()
    }

    fn read<T>(&self, take: impl FnOnce(&Known) -> T) -> Option<T> {
        let now = self.0.now.read().unwrap_or_else(PoisonError::into_inner);
        now.as_ref().map(take)
    }

    fn set(&self, known: Option<Known>) {
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Enrolment").field(&self.node_id()).finish()
    }
}

fn known(keys: &NodeKeys, enrolled: Enrolled) -> Result<Known> {
    let door = Arc::new(server_config(&keys.tls, Some(enrolled.master))?);
    Ok(Known { enrolled, door })
}
