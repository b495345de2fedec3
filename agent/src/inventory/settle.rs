//! Brings the inventory in line with the configuration file, at every start. What has a name
//! there keeps its id here; what is gone from the file goes from the inventory, never from a store.

use std::collections::HashMap;

use backupd_base::{Context, ProviderId, Result, SourceId, TenantId};
use backupd_protocol::{Provider, ProviderKind, Source};
use rusqlite::Connection;

use super::Inventory;
use crate::{
    config::{Config, ProviderEntry, ProviderPlace, SourceEntry, THIS_SERVER},
    store::{
        meta,
        providers::{self, Kept, Origin},
        sources,
    },
};

/// Name of the tenant of what is configured by hand, in `meta`.
const TENANT: &str = "tenant_id";

impl Inventory {
    /// Takes over what `config` says, in one transaction.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn settle(&self, config: &Config) -> Result<()> {
        let root = self.store.dir().join("store");
        self.store.write(|tx| {
            let mut ids = HashMap::new();
            let mut gone: HashMap<String, ProviderId> = HashMap::new();
            for kept in providers::list(tx)? {
                match kept.origin {
                    Origin::BuiltIn => drop(ids.insert(THIS_SERVER.to_owned(), kept.provider.id)),
                    Origin::Config => drop(gone.insert(kept.provider.name, kept.provider.id)),
                    Origin::Master => {}
                }
            }
            let id = ids
                .entry(THIS_SERVER.into())
                .or_insert_with(ProviderId::new);
            let kind = ProviderKind::Local {
                path: root.display().to_string(),
            };
            providers::put(tx, &built_in(id.clone(), kind))?;
            for entry in &config.providers {
                let id = gone.remove(&entry.name).unwrap_or_else(ProviderId::new);
                ids.insert(entry.name.clone(), id.clone());
                providers::put(tx, &from_config(id, entry))?;
            }
            for id in gone.values() {
                providers::delete(tx, id)?;
            }
            settle_sources(tx, config, &ids)
        })
    }
}

fn settle_sources(
    tx: &Connection,
    config: &Config,
    providers: &HashMap<String, ProviderId>,
) -> Result<()> {
    let mut gone: HashMap<String, SourceId> = sources::list(tx)?
        .into_iter()
        .filter(|kept| kept.origin == Origin::Config)
        .map(|kept| (kept.source.name, kept.source.id))
        .collect();
    let tenant = tenant(tx)?;
    for entry in &config.sources {
        let source = Source {
            id: gone.remove(&entry.name).unwrap_or_else(SourceId::new),
            tenant_id: tenant.clone(),
            name: entry.name.clone(),
            module: entry.module.clone(),
            settings: settings(entry)?,
            providers: entry
                .providers
                .iter()
                .map(|name| providers[name].clone())
                .collect(),
            recipients: config.recipients.clone(),
            retention: entry.retention.clone(),
            schedule: entry.schedule.clone(),
        };
        let origin = Origin::Config;
        sources::put(tx, &sources::Kept { origin, source })?;
    }
    for id in gone.values() {
        sources::delete(tx, id)?;
    }
    Ok(())
}

fn tenant(tx: &Connection) -> Result<TenantId> {
    if let Some(id) = meta::get(tx, TENANT)? {
        return id.parse().context("read the tenant of this server");
    }
    let id = TenantId::new();
    meta::set(tx, TENANT, id.as_str())?;
    Ok(id)
}

fn settings(entry: &SourceEntry) -> Result<serde_json::Map<String, serde_json::Value>> {
    let what = || format!("take over the settings of source {:?}", entry.name);
    let mut settings: serde_json::Map<_, _> = entry
        .settings
        .iter()
        .map(|(key, value)| Ok((key.clone(), serde_json::to_value(value).with_context(what)?)))
        .collect::<Result<_>>()?;
    settings.insert("path".into(), entry.path.display().to_string().into());
    Ok(settings)
}

fn built_in(id: ProviderId, kind: ProviderKind) -> Kept {
    Kept {
        origin: Origin::BuiltIn,
        provider: Provider {
            id,
            name: THIS_SERVER.into(),
            kind,
            sealed_credentials: None,
        },
        credentials_file: None,
    }
}

fn from_config(id: ProviderId, entry: &ProviderEntry) -> Kept {
    let (kind, credentials_file) = match entry.place.clone() {
        ProviderPlace::Local { path } => (
            ProviderKind::Local {
                path: path.display().to_string(),
            },
            None,
        ),
        ProviderPlace::S3 {
            endpoint,
            region,
            bucket,
            prefix,
            path_style,
            credentials_file,
        } => (
            ProviderKind::S3 {
                endpoint,
                region,
                bucket,
                prefix,
                path_style,
            },
            Some(credentials_file),
        ),
    };
    Kept {
        origin: Origin::Config,
        provider: Provider {
            id,
            name: entry.name.clone(),
            kind,
            sealed_credentials: None,
        },
        credentials_file,
    }
}
