//! The vault, asked from async code, each secret as what it is.

use std::{sync::Arc, time::Duration};

use backupd_archive::Keypair;
use backupd_base::{Code, Context as _, Error, NodeId, ProviderId, Result, SecretString, TenantId};
use backupd_protocol::{S3Credentials, tls::Identity};
use backupd_vault::{Entry, Vault};
use tokio::sync::OnceCell;

use crate::master::blocking;

/// How long the user may take to unlock the keyring when the system asks.
const PATIENCE: Duration = Duration::from_secs(120);

/// The secrets of this installation.
pub struct Secrets {
    vault: Vault,
    installation: String,
    /// Read once: links are made anew all the time, also while the keyring is locked.
    client: OnceCell<Arc<Identity>>,
}

impl Secrets {
    pub fn new(vault: Vault, installation: String) -> Self {
        Self {
            vault,
            installation,
            client: OnceCell::new(),
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Vault, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (vault, installation) = (self.vault.clone(), self.installation.clone());
        let asked = blocking(move || call(&vault, &installation));
        tokio::time::timeout(PATIENCE, asked).await.map_err(|_| {
            Error::new(
                Code::KeyringLocked,
                "the keyring did not answer: it may be waiting to be unlocked",
            )
        })?
    }

    async fn get(&self, entry: Entry) -> Result<SecretString> {
        self.call(move |vault, home| vault.get(home, &entry)).await
    }

    /// Puts a secret where it can be found again.
    pub async fn set(&self, entry: Entry, secret: SecretString) -> Result<()> {
        self.call(move |vault, _| vault.set(&entry, &secret)).await
    }

    /// Forgets a secret.
    pub async fn delete(&self, entry: Entry) -> Result<()> {
        self.call(move |vault, _| vault.delete(&entry)).await
    }

    /// Whether the keyring can be used: by an installation that is set up, or by one to be.
    pub async fn check(&self, set_up: bool) -> Result<()> {
        self.call(move |vault, home| match set_up {
            true => vault.check(home),
            false => vault.probe(home),
        })
        .await
    }

    /// Puts the keys of a first setup into the vault.
    pub async fn found(&self, tenant: TenantId, keys: &Keypair) -> Result<()> {
        let (secret, client) = (keys.to_secret(), Identity::generate()?);
        self.call(move |vault, home| {
            vault.found(home)?;
            vault.set(&Entry::Tenant(tenant), &secret)?;
            let entry = Entry::ClientKey(home.to_owned());
            vault.set(&entry, &client.to_secret_pem())
        })
        .await
    }

    /// The master's TLS identity.
    pub async fn client(&self) -> Result<Arc<Identity>> {
        let read = async || {
            let pem = self
                .get(Entry::ClientKey(self.installation.clone()))
                .await?;
            Identity::from_secret_pem(&pem).map(Arc::new)
        };
        self.client.get_or_try_init(read).await.cloned()
    }

    /// What opens a tenant's snapshots.
    pub async fn tenant(&self, id: &TenantId) -> Result<Keypair> {
        Keypair::from_secret(&self.get(Entry::Tenant(id.clone())).await?)
    }

    /// A node's API key.
    pub async fn node_key(&self, id: &NodeId) -> Result<SecretString> {
        self.get(Entry::Node(id.clone())).await
    }

    /// The credentials of a store, as the nodes get them.
    pub async fn credentials(&self, id: &ProviderId) -> Result<S3Credentials> {
        self.s3(Entry::Provider(id.clone()), id).await
    }

    /// The credentials of a store that this computer works with: those of its own where they were
    /// given, else those of the nodes.
    pub async fn own_credentials(&self, id: &ProviderId) -> Result<S3Credentials> {
        match self.s3(Entry::Management(id.clone()), id).await {
            Err(e) if e.code() == Code::KeyMissing => self.credentials(id).await,
            own => own,
        }
    }

    async fn s3(&self, entry: Entry, id: &ProviderId) -> Result<S3Credentials> {
        use backupd_base::ExposeSecret as _;
        let json = self.get(entry).await?;
        serde_json::from_str(json.expose_secret())
            .map_err(|_| Error::new(Code::Corrupt, "it is not what was written"))
            .with_context(|| format!("read the credentials of store {id}"))
    }
}
