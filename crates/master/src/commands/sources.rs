//! What is protected.

use std::collections::HashMap;

use backupd_base::{Code, Error, NodeId, ProviderId, Result, SourceId};
use backupd_protocol::{FoundSite, Job, JobKind, Provider, ProviderKind, Source, VerifySite};
use backupd_registry::{ProviderRow, SourceRow};
use chrono::Utc;

use super::{
    checked_name, parsed,
    schedules::{nightly, schedule_of, to_json},
    snapshots::shown,
    verdict::{path_of, view},
};
use crate::{
    Master,
    fleet::kind_name,
    link::Link,
    retention::rule_of,
    view::{MasterEvent, NodeState, SourceView},
};

const WORDPRESS: &str = "wordpress";
/// Backups of a source that are looked at for the verdict: the one that runs, and what ended.
const JUDGED: u32 = 2;

impl Master {
    /// Every source with its verdict, in the order they were added.
    ///
    /// # Errors
    /// Only those of the disk.
    pub async fn sources_list(&self) -> Result<Vec<SourceView>> {
        let (sources, snapshots, jobs) = self
            .db(|r| {
                let jobs = r.jobs_newest(kind_name(JobKind::Backup), JUDGED)?;
                Ok((r.sources_list()?, r.snapshots_newest()?, jobs))
            })
            .await?;
        let mut newest = HashMap::new();
        for (row, count) in snapshots {
            let snapshot = shown(&row)?;
            newest.insert(row.source_id, (snapshot, count));
        }
        let mut runs: HashMap<SourceId, Vec<Job>> = HashMap::new();
        for row in jobs {
            let moving = self.core().fleet.get(&row.node_id).ok();
            let moving = moving.and_then(|f| f.moving().get(&row.id).cloned());
            let job = match moving {
                Some(job) => job,
                None => parsed("job", &row.body)?,
            };
            runs.entry(row.source_id).or_default().push(job);
        }
        let protected = sources.into_iter().filter(|s| s.removed_at.is_none());
        protected
            .map(|source| {
                let snapshot = newest.remove(&source.id);
                let jobs = runs.remove(&source.id).unwrap_or_default();
                let follower = self.core().fleet.get(&source.node_id).ok();
                let online = follower.is_some_and(|f| f.condition().state == NodeState::Online);
                view(source, snapshot, jobs, online)
            })
            .collect()
    }

    /// Protects the site at `path` on a node: gives the node what it needs to reach the stores, and
    /// the source.
    ///
    /// # Errors
    /// `Invalid` when it is no site that can be backed up or no store is given, `AlreadyExists`
    /// when it is protected, `Unavailable` when the node does not answer.
    pub async fn source_protect(
        &self,
        node_id: &NodeId,
        path: &str,
        name: &str,
        provider_ids: &[ProviderId],
    ) -> Result<SourceView> {
        let name = checked_name("source", name)?;
        let node = self.enrolled(node_id).await?;
        let tenant = self.ready_tenant().await?;
        let providers = self.chosen(node_id, provider_ids).await?;
        let link = self.link(node_id).await?;
        let path = self.checked_site(&link, node_id, path).await?;
        for provider in &providers {
            self.give(&link, &node.seal_recipient, provider).await?;
        }
        let settings = serde_json::json!({ "path": path });
        let schedule = nightly(&link).await?;
        let source = Source {
            id: SourceId::new(),
            tenant_id: tenant.id,
            name,
            module: WORDPRESS.to_owned(),
            settings: settings.as_object().cloned().unwrap_or_default(),
            providers: provider_ids.to_vec(),
            recipients: vec![tenant.recipient, tenant.recovery_recipient],
            retention: None,
            schedule: Some(schedule.clone()),
        };
        let row = SourceRow {
            id: source.id.clone(),
            node_id: node_id.clone(),
            tenant_id: source.tenant_id.clone(),
            name: source.name.clone(),
            module: source.module.clone(),
            settings: settings.to_string(),
            providers: source.providers.clone(),
            recipients: source.recipients.clone(),
            created_at: Utc::now(),
            removed_at: None,
            head_sequence: 0,
            head_sha256: None,
            refused: None,
            retention: None,
            schedule: Some(to_json(&schedule)?),
        };
        let route = format!("sources/{}", source.id);
        link.put(&route, &source).await?;
        let kept = row.clone();
        if let Err(error) = self.db(move |r| r.source_insert(&kept)).await {
            // A source nobody knows would be backed up in vain.
            link.delete(&route).await.ok();
            return Err(error);
        }
        self.tell(MasterEvent::SourcesChanged);
        view(row, None, Vec::new(), true)
    }

    /// Stops protecting a source. Its snapshots stay, here and in the stores.
    ///
    /// # Errors
    /// `Unavailable` when its node does not answer: it would go on.
    pub async fn source_remove(&self, source_id: &SourceId) -> Result<()> {
        let id = source_id.clone();
        let source = self.db(move |r| r.source_get(&id)).await?;
        let link = self.link(&source.node_id).await?;
        link.delete(&format!("sources/{source_id}")).await?;
        let id = source_id.clone();
        self.db(move |r| r.source_remove(&id, Utc::now())).await?;
        self.tell(MasterEvent::SourcesChanged);
        Ok(())
    }

    /// The chosen stores, each of which this node can be given.
    async fn chosen(&self, node_id: &NodeId, ids: &[ProviderId]) -> Result<Vec<ProviderRow>> {
        let refused = |what: String| Err(Error::new(Code::Invalid, what));
        if ids.is_empty() {
            return refused("at least one store is needed".to_owned());
        }
        let asked = ids.to_vec();
        let rows = self
            .db(move |r| {
                asked
                    .iter()
                    .map(|id| r.provider_get(id))
                    .collect::<Result<Vec<_>>>()
            })
            .await?;
        for (at, row) in rows.iter().enumerate() {
            if row.removed_at.is_some() {
                return refused(format!("the store {} was removed", row.name));
            }
            if row.node_id.as_ref().is_some_and(|owner| owner != node_id) {
                return refused(format!("the store {} is another server's", row.name));
            }
            if ids[..at].contains(&row.id) {
                return refused(format!("the store {} is given twice", row.name));
            }
        }
        Ok(rows)
    }

    /// The path as the node knows it, if a site is there that can be backed up and is not yet.
    async fn checked_site(&self, link: &Link, node_id: &NodeId, path: &str) -> Result<String> {
        let asked = VerifySite {
            path: path.to_owned(),
        };
        let site: FoundSite = link.clone().patient().post("verify-site", &asked).await?;
        if !site.problems.is_empty() {
            let problems = site.problems.join("; ");
            return Err(Error::new(
                Code::Invalid,
                format!("{path} cannot be backed up: {problems}"),
            ));
        }
        for source in self.db(|r| r.sources_list()).await? {
            let here = source.node_id == *node_id && source.removed_at.is_none();
            if here && path_of(&source)? == site.path {
                return Err(Error::new(
                    Code::AlreadyExists,
                    format!("{} is protected already, as {}", site.path, source.name),
                ));
            }
        }
        Ok(site.path)
    }

    /// Gives a node a store, with its credentials sealed to it. Its own stores it has.
    async fn give(&self, link: &Link, seal_recipient: &str, row: &ProviderRow) -> Result<()> {
        if row.node_id.is_some() {
            return Ok(());
        }
        let provider = self.sealed(row, seal_recipient).await?;
        link.put(&format!("providers/{}", row.id), &provider).await
    }

    /// A store as a node gets it.
    async fn sealed(&self, row: &ProviderRow, seal_recipient: &str) -> Result<Provider> {
        let kind: ProviderKind = parsed("store", &row.kind)?;
        let sealed_credentials = match kind {
            ProviderKind::Local { .. } => None,
            ProviderKind::S3 { .. } => {
                let credentials = self.core().secrets.credentials(&row.id).await?;
                Some(seal(&credentials.to_secret_json(), seal_recipient)?)
            }
        };
        Ok(Provider {
            id: row.id.clone(),
            name: row.name.clone(),
            kind,
            sealed_credentials,
        })
    }
}

/// A source as its node is told of it.
pub(crate) fn as_told(row: &SourceRow) -> Result<Source> {
    Ok(Source {
        id: row.id.clone(),
        tenant_id: row.tenant_id.clone(),
        name: row.name.clone(),
        module: row.module.clone(),
        settings: parsed("settings", &row.settings)?,
        providers: row.providers.clone(),
        recipients: row.recipients.clone(),
        retention: rule_of(row)?,
        schedule: schedule_of(row)?,
    })
}

/// age-encrypts a secret to a node's own key, armored.
fn seal(secret: &backupd_base::SecretString, recipient: &str) -> Result<String> {
    use backupd_base::{Context as _, ExposeSecret as _};
    let recipient: age::x25519::Recipient = recipient
        .parse()
        .map_err(|e: &str| Error::new(Code::Corrupt, e))
        .context("read the node's recipient")?;
    age::encrypt_and_armor(&recipient, secret.expose_secret().as_bytes())
        .context("seal the credentials to the node")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_credentials_open_with_the_nodes_key_and_show_nothing() {
        use backupd_base::ExposeSecret as _;
        let node = age::x25519::Identity::generate();
        let secret = backupd_base::SecretString::from("canary-secret".to_owned());
        let sealed = seal(&secret, &node.to_public().to_string()).unwrap();
        assert!(!sealed.contains("canary"));
        let opened = age::decrypt(&node, sealed.as_bytes()).unwrap();
        assert_eq!(opened, secret.expose_secret().as_bytes());
        assert!(age::decrypt(&age::x25519::Identity::generate(), sealed.as_bytes()).is_err());
    }
}
