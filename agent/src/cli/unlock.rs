//! What opens a snapshot on this server: its two file keys, unwrapped with a private key that is
//! read from a file for this one command and never leaves this process.

use std::path::{Path, PathBuf};

use backupd_archive::{Keypair, file_key};
use backupd_base::{Code, Context, Error, ProviderId, Result, SecretString};
use backupd_protocol::{LentKeys, Provider, Snapshot};
use clap::Args;
use zeroize::Zeroizing;

use super::Client;

/// More than the header of any object written here.
const HEADER: usize = 4096;

#[derive(Args)]
pub(super) struct Unlock {
    /// File with a private key that opens it (AGE-SECRET-KEY-1…, as age-keygen writes it).
    #[arg(long, short, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Name or id of the store to read from; else one on this server, else any that has it.
    #[arg(long, value_name = "STORE")]
    provider: Option<String>,
}

impl Unlock {
    /// Where to read `snapshot`, and what opens it.
    ///
    /// # Errors
    /// `Invalid` when no key was named; `KeyMissing` when it does not open the snapshot; `NotFound`
    /// for a store that does not hold it.
    pub(super) async fn keys(
        &self,
        client: &Client,
        snapshot: &Snapshot,
    ) -> Result<(ProviderId, LentKeys)> {
        let path = self.identity.as_deref().ok_or_else(|| {
            Error::new(
                Code::Invalid,
                "what opens the snapshot must be named: --identity FILE",
            )
        })?;
        let identity = read(path)?;
        let provider = self.provider(client, snapshot).await?;
        let key = async |object: &str| -> Result<SecretString> {
            let path = format!("/snapshots/{}/{object}?provider={provider}", snapshot.id);
            let header = client.head_of(&path, HEADER).await?;
            Ok(file_key(header.as_ref(), &identity)?.to_base64())
        };
        let keys = LentKeys {
            archive: key("download").await?,
            index: key("files").await?,
        };
        Ok((provider, keys))
    }

    async fn provider(&self, client: &Client, snapshot: &Snapshot) -> Result<ProviderId> {
        let all: Vec<Provider> = client.get("/providers").await?;
        let holds = |p: &&Provider| snapshot.providers.contains(&p.id);
        let named = |p: &&Provider| match &self.provider {
            None => true,
            Some(name) => p.name == *name || p.id.as_str() == name,
        };
        let is_far =
            |p: &&Provider| !matches!(p.kind, backupd_protocol::ProviderKind::Local { .. });
        let found = all.iter().filter(holds).filter(named).min_by_key(is_far);
        found
            .map(|p| p.id.clone())
            .with_context(|| format!("no such store holds snapshot {}", snapshot.id))
    }
}

fn read(path: &Path) -> Result<Keypair> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .with_context(|| format!("read the private key in {}", path.display()))?;
    let line = text
        .lines()
        .find(|line| line.starts_with("AGE-SECRET-KEY-1"))
        .ok_or_else(|| {
            Error::new(
                Code::Invalid,
                format!("{} holds no line AGE-SECRET-KEY-1…", path.display()),
            )
        })?;
    let secret = SecretString::from(line);
    Keypair::from_secret(&secret)
}
