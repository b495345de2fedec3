//! What this node backs up, and where to: sources and providers, from the configuration file and
//! from the master. Each side changes its own only.
//!
//! Deliberately not here: transfers. A provider is opened, neither retried nor throttled.

mod credentials;
mod settle;

use std::{path::PathBuf, sync::Arc};

use backupd_base::{Code, Context, Error, NodeId, ProviderId, Result, SourceId};
use backupd_policy::schedule::Plan;
use backupd_protocol::{Provider, ProviderKind, Source};
use backupd_storage::{Local, S3, S3Options, Storage};
use ed25519_dalek::SigningKey;

use crate::{
    jobs::Host,
    keys::NodeKeys,
    pipeline,
    store::{
        Store, enrolment,
        providers::{self, Kept, Origin},
        sources,
    },
};

/// Sources and providers of this node. Clones share them.
#[derive(Debug, Clone)]
pub struct Inventory {
    store: Arc<Store>,
    keys: Arc<NodeKeys>,
}

impl Inventory {
    /// The inventory in `store`.
    #[must_use]
    pub fn new(store: Arc<Store>, keys: Arc<NodeKeys>) -> Self {
        Self { store, keys }
    }

    /// All sources, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sources(&self) -> Result<Vec<Source>> {
        let kept = self.store.read(sources::list)?;
        Ok(kept.into_iter().map(|kept| kept.source).collect())
    }

    /// Writes a source of the master's. The same source again changes nothing.
    ///
    /// # Errors
    /// `Invalid` for one that cannot be backed up as it stands, `Denied` for one of the
    /// configuration file, `NotFound` for a provider this node does not have.
    pub fn put_source(&self, source: Source) -> Result<()> {
        pipeline::check(&source)?;
        if let Some(schedule) = &source.schedule {
            Plan::new(schedule, source.id.as_str())
                .with_context(|| format!("schedule of source {:?}", source.name))?;
        }
        self.store.write(|tx| {
            if let Some(kept) = sources::get(tx, &source.id)? {
                of_master(kept.origin, "source", source.id.as_str())?;
            }
            for id in &source.providers {
                providers::get(tx, id)?
                    .with_context(|| format!("the source names provider {id}: unknown here"))?;
            }
            let origin = Origin::Master;
            sources::put(tx, &sources::Kept { origin, source })
        })
    }

    /// Forgets a source of the master's; its snapshots stay.
    ///
    /// # Errors
    /// `Denied` for one of the configuration file.
    pub fn delete_source(&self, id: &SourceId) -> Result<()> {
        self.store.write(|tx| {
            let Some(kept) = sources::get(tx, id)? else {
                return Ok(());
            };
            of_master(kept.origin, "source", id.as_str())?;
            sources::delete(tx, id)
        })
    }

    /// All providers, without credentials.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn providers(&self) -> Result<Vec<Provider>> {
        let kept = self.store.read(providers::list)?;
        let bare = |kept: Kept| Provider {
            sealed_credentials: None,
            ..kept.provider
        };
        Ok(kept.into_iter().map(bare).collect())
    }

    /// Writes a provider of the master's. Without sealed credentials it keeps those it has.
    ///
    /// # Errors
    /// `Invalid` for one that cannot be opened, `Denied` for one of the configuration file.
    pub fn put_provider(&self, mut provider: Provider) -> Result<()> {
        self.store.write(|tx| {
            if let Some(kept) = providers::get(tx, &provider.id)? {
                of_master(kept.origin, "provider", provider.id.as_str())?;
                if provider.sealed_credentials.is_none() {
                    provider.sealed_credentials = kept.provider.sealed_credentials;
                }
            }
            let kept = Kept {
                origin: Origin::Master,
                provider,
                credentials_file: None,
            };
            // What cannot be opened now would fail a job at night.
            self.open(&kept)?;
            providers::put(tx, &kept)
        })
    }

    /// Forgets a provider of the master's; what is stored there stays.
    ///
    /// # Errors
    /// `Denied` for one of the configuration file, `Conflict` while a source goes there.
    pub fn delete_provider(&self, id: &ProviderId) -> Result<()> {
        self.store.write(|tx| {
            let Some(kept) = providers::get(tx, id)? else {
                return Ok(());
            };
            of_master(kept.origin, "provider", id.as_str())?;
            if let Some(user) = sources::list(tx)?
                .iter()
                .find(|kept| kept.source.providers.contains(id))
            {
                return Err(Error::new(
                    Code::Conflict,
                    format!("snapshots of {:?} go to this provider", user.source.name),
                ));
            }
            providers::delete(tx, id)
        })
    }

    /// Opens a provider that is not kept, to try it.
    ///
    /// # Errors
    /// `Invalid` for one that cannot be.
    pub fn try_out(&self, provider: Provider) -> Result<Arc<dyn Storage>> {
        self.open(&Kept {
            origin: Origin::Master,
            provider,
            credentials_file: None,
        })
    }

    fn open(&self, kept: &Kept) -> Result<Arc<dyn Storage>> {
        let name = &kept.provider.name;
        match &kept.provider.kind {
            ProviderKind::Local { path } => {
                let path = PathBuf::from(path);
                if !path.is_absolute() {
                    return Err(Error::new(
                        Code::Invalid,
                        format!("the path of provider {name:?} is not absolute"),
                    ));
                }
                Ok(Arc::new(Local::new(path)?))
            }
            ProviderKind::S3 {
                endpoint,
                region,
                bucket,
                prefix,
                path_style,
            } => {
                let credentials = self
                    .credentials(kept)
                    .with_context(|| format!("open the credentials of provider {name:?}"))?;
                let options = S3Options {
                    endpoint: endpoint.clone(),
                    region: region.clone(),
                    bucket: bucket.clone(),
                    prefix: prefix.clone(),
                    path_style: *path_style,
                };
                Ok(Arc::new(S3::new(options, credentials)?))
            }
        }
    }
}

impl Host for Inventory {
    fn source(&self, id: &SourceId) -> Result<Source> {
        let kept = self.store.read(|db| sources::get(db, id))?;
        kept.map(|kept| kept.source)
            .with_context(|| format!("there is no source {id}"))
    }

    fn storage(&self, id: &ProviderId) -> Result<Arc<dyn Storage>> {
        let kept = self.store.read(|db| providers::get(db, id))?;
        self.open(&kept.with_context(|| format!("there is no provider {id}"))?)
    }

    fn folder(&self, id: &ProviderId) -> Result<Option<Arc<dyn Storage>>> {
        let kept = self.store.read(|db| providers::get(db, id))?;
        let kept = kept.with_context(|| format!("there is no provider {id}"))?;
        match kept.provider.kind {
            ProviderKind::Local { .. } => self.open(&kept).map(Some),
            ProviderKind::S3 { .. } => Ok(None),
        }
    }

    fn provider_name(&self, id: &ProviderId) -> String {
        let kept = self.store.read(|db| providers::get(db, id));
        let name = kept.ok().flatten().map(|kept| kept.provider.name);
        name.unwrap_or_else(|| id.to_string())
    }

    fn node_id(&self) -> Option<NodeId> {
        let enrolled = self.store.read(enrolment::get).ok()?;
        enrolled.map(|enrolled| enrolled.node_id)
    }

    fn signing_key(&self) -> SigningKey {
        self.keys.signing.clone()
    }
}

/// The master may not change what the admin wrote into the file of this server.
fn of_master(origin: Origin, what: &str, id: &str) -> Result<()> {
    if origin == Origin::Master {
        return Ok(());
    }
    Err(Error::new(
        Code::Denied,
        format!(
            "{what} {id} belongs to this server; its configuration file is the place to change it"
        ),
    ))
}

#[cfg(test)]
mod tests;
