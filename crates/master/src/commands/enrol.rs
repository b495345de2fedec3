//! Enrolling a server by the code on its console.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use backupd_base::{Code, Context as _, Error, NodeId, Result, SecretString};
use backupd_protocol::{
    pairing::{
        ApiKey, Enrolment, PairingCode,
        client::{Enrolled, enrol},
    },
    tls::Pin,
};
use backupd_registry::NodeRow;
use backupd_vault::Entry;
use chrono::Utc;

use super::checked_name;
use crate::{
    Master,
    link::Address,
    view::{EnrolStep, MasterEvent, NodeView},
};

/// Rejected codes per address before retyping has to wait: as many as a window has attempts.
const REJECTED: usize = 5;
/// How long it has to wait, and how long a rejection counts: as long as a window is open.
const PAUSE: Duration = Duration::from_secs(600);

/// Codes that were rejected lately, by address.
#[derive(Default)]
pub struct Attempts(Mutex<HashMap<Address, Vec<Instant>>>);

impl Attempts {
    /// # Errors
    /// `TooMany` when this address rejected too many codes lately.
    fn check(&self, address: &Address, now: Instant) -> Result<()> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, rejected| {
            rejected.retain(|at| now.duration_since(*at) < PAUSE);
            !rejected.is_empty()
        });
        if map.get(address).map_or(0, Vec::len) < REJECTED {
            return Ok(());
        }
        Err(Error::new(
            Code::TooMany,
            format!("{address} rejected {REJECTED} codes; get a new one on its console and wait"),
        ))
    }

    fn rejected(&self, address: &Address, now: Instant) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.entry(address.clone()).or_default().push(now);
    }
}

impl Master {
    /// Enrols the server at `address` (`host`, `host:port`) with the code its console shows, and
    /// begins to follow it. Tells `EnrolStepped` on the way.
    ///
    /// # Errors
    /// `CodeRejected`, `WindowClosed`, `TooMany`, `Incompatible`, `Unavailable`, `Timeout`;
    /// `Invalid` when address or code cannot be ones; `Conflict` before the kit was saved.
    pub async fn node_enrol(&self, address: &str, code: &str) -> Result<NodeView> {
        let address: Address = address.parse()?;
        let code: PairingCode = code.parse()?;
        let tenant = self.ready_tenant().await?;
        self.core().attempts.check(&address, Instant::now())?;

        let identity = self.core().secrets.client().await?;
        let (node_id, api_key) = (NodeId::new(), ApiKey::generate());
        // Kept before it is sent: an enrolled node whose key was lost could only be enrolled again.
        let entry = Entry::Node(node_id.clone());
        let secret = SecretString::from(api_key.reveal());
        self.core().secrets.set(entry.clone(), secret).await?;

        self.step(&address, EnrolStep::Connecting, None);
        let enrolment = Enrolment {
            node_id: node_id.clone(),
            tenant_id: tenant.id.clone(),
            recipients: vec![tenant.recipient, tenant.recovery_recipient],
            api_key,
        };
        self.step(&address, EnrolStep::Proving, None);
        let enrolled = match enrol(&address.to_string(), &code, &identity, &enrolment).await {
            Ok(enrolled) => enrolled,
            Err(error) => {
                if error.code() == Code::CodeRejected {
                    self.core().attempts.rejected(&address, Instant::now());
                }
                if let Err(error) = self.core().secrets.delete(entry).await {
                    tracing::warn!(%error, "forget the key of a node that was not enrolled");
                }
                return Err(error).with_context(|| format!("enrol {address}"));
            }
        };
        self.step(&address, EnrolStep::Proven, Some(enrolled.pin));
        let row = row(&address, &enrolment, &enrolled);
        self.enter(row).await?;
        self.step(&address, EnrolStep::Enrolled, Some(enrolled.pin));
        self.tell(MasterEvent::NodesChanged);
        self.node_get(&node_id).await
    }

    /// Enters a node in the registry and follows it. One that signs with a key that is known was
    /// enrolled before, and keeps what it had.
    async fn enter(&self, mut row: NodeRow) -> Result<()> {
        let known = self.db(|r| r.nodes_list()).await?;
        let before = known.into_iter().find(|node| {
            node.revoked_at.is_none()
                && node.signing_key == row.signing_key
                && node.tenant_id == row.tenant_id
        });
        if let Some(before) = &before {
            row.name.clone_from(&before.name);
            self.unfollow(&before.id).await;
        }
        let (id, replaced) = (row.id.clone(), before.map(|node| node.id));
        let old = replaced.clone();
        self.db(move |r| r.node_insert(&row, old.as_ref())).await?;
        self.follow(id);
        if let Some(id) = replaced
            && let Err(error) = self.core().secrets.delete(Entry::Node(id)).await
        {
            tracing::warn!(%error, "forget the former key of a node enrolled again");
        }
        Ok(())
    }

    fn step(&self, address: &Address, step: EnrolStep, pin: Option<Pin>) {
        self.tell(MasterEvent::EnrolStepped {
            address: address.to_string(),
            step,
            fingerprint: pin.map(|pin| pin.for_people()),
        });
    }
}

fn row(address: &Address, enrolment: &Enrolment, enrolled: &Enrolled) -> NodeRow {
    let hello = &enrolled.hello;
    NodeRow {
        id: enrolment.node_id.clone(),
        tenant_id: enrolment.tenant_id.clone(),
        // What a server calls itself is only believed as far as it is a name.
        name: checked_name("server", &hello.hostname).unwrap_or_else(|_| address.to_string()),
        address: address.to_string(),
        os: hello.os.clone(),
        agent_version: hello.version.clone(),
        tls_pin: Some(enrolled.pin.to_string()),
        signing_key: hello.signing_key.clone(),
        seal_recipient: hello.seal_recipient.clone(),
        enrolled_at: Utc::now(),
        last_seen: Some(Utc::now()),
        revoked_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retyping_is_limited_per_address_and_for_a_while() {
        let attempts = Attempts::default();
        let (here, there): (Address, Address) = ("a".parse().unwrap(), "b".parse().unwrap());
        let now = Instant::now();
        for _ in 0..REJECTED {
            attempts.check(&here, now).unwrap();
            attempts.rejected(&here, now);
        }
        let refused = attempts.check(&here, now).unwrap_err();
        assert_eq!(refused.code(), Code::TooMany);
        attempts.check(&there, now).unwrap();
        attempts.check(&here, now + PAUSE).unwrap();
    }

    #[tokio::test]
    async fn nothing_is_enrolled_before_the_kit_is_saved() {
        let home = crate::testing::Home::new();
        let master = home.open().await;
        master.setup_create("Acme").await.unwrap();
        let refused = master.node_enrol("127.0.0.1:1", "XC9D2").await;
        assert_eq!(refused.unwrap_err().code(), Code::Conflict);
    }

    #[tokio::test]
    async fn an_enrolment_that_failed_leaves_no_key_behind() {
        let home = crate::testing::Home::new();
        let master = home.ready().await;
        let before = home.drawer.len();
        let nobody = master.node_enrol("127.0.0.1:1", "XC9D2").await;
        assert_eq!(nobody.unwrap_err().code(), Code::Unavailable);
        assert_eq!(home.drawer.len(), before);
        assert!(master.nodes_list().await.unwrap().is_empty());
    }
}
