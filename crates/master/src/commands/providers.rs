//! The stores snapshots go to.

use backupd_base::{Code, Error, ProviderId, Result};
use backupd_protocol::{Finding, FindingLevel, Provider, ProviderKind, S3Credentials};
use backupd_registry::ProviderRow;
use backupd_storage::{S3, S3Options, probe};
use backupd_vault::Entry;
use chrono::Utc;

use super::{
    checked_name, parsed,
    provider_input::{checked_credentials, checked_kind, no_credentials},
};
use crate::{
    Master,
    retention::is_bucket,
    view::{CredentialsInput, ProviderTest, ProviderView},
};

impl Master {
    /// Every store, those of the nodes too.
    ///
    /// # Errors
    /// Only those of the disk.
    pub async fn providers_list(&self) -> Result<Vec<ProviderView>> {
        let (providers, sources, bytes, nodes) = self
            .db(|r| {
                Ok((
                    r.providers_list()?,
                    r.sources_list()?,
                    r.snapshots_bytes()?,
                    r.nodes_list()?,
                ))
            })
            .await?;
        let gone = |row: &ProviderRow| {
            let owner = row.node_id.as_ref();
            let revoked = nodes
                .iter()
                .any(|n| Some(&n.id) == owner && n.revoked_at.is_some());
            row.removed_at.is_some() || revoked
        };
        let there = providers.into_iter().filter(|row| !gone(row));
        there
            .map(|row| {
                let uses = sources.iter().filter(|s| s.providers.contains(&row.id));
                Ok(ProviderView {
                    sources: u32::try_from(uses.count()).unwrap_or(u32::MAX),
                    stored_bytes: bytes.get(&row.id).copied().unwrap_or(0),
                    kind: parsed("store", &row.kind)?,
                    id: row.id,
                    node_id: row.node_id,
                    name: row.name,
                })
            })
            .collect()
    }

    /// Adds a store. Credentials go to the keyring and nowhere else.
    ///
    /// # Errors
    /// `Invalid` when it is not one that could be used, `AlreadyExists` when there is one of that
    /// name, `KeyringLocked`.
    pub async fn provider_add(
        &self,
        name: &str,
        kind: ProviderKind,
        credentials: Option<CredentialsInput>,
    ) -> Result<ProviderView> {
        let name = checked_name("store", name)?;
        let kind = checked_kind(kind)?;
        let credentials = match (&kind, credentials) {
            (ProviderKind::S3 { .. }, Some(input)) => Some(checked_credentials(input)?),
            (ProviderKind::S3 { .. }, None) => return Err(no_credentials()),
            (ProviderKind::Local { .. }, _) => None,
        };
        let others = self.providers_list().await?;
        if others.iter().any(|p| p.node_id.is_none() && p.name == name) {
            return Err(Error::new(
                Code::AlreadyExists,
                format!("there is a store {name} already"),
            ));
        }
        let row = ProviderRow {
            id: ProviderId::new(),
            node_id: None,
            name,
            kind: serde_json::json!(kind).to_string(),
            created_at: Utc::now(),
            removed_at: None,
        };
        if let Some(credentials) = credentials {
            let entry = Entry::Provider(row.id.clone());
            let secret = credentials.to_secret_json();
            self.core().secrets.set(entry, secret).await?;
        }
        let kept = row.clone();
        self.db(move |r| r.provider_put(&kept)).await?;
        Ok(ProviderView {
            id: row.id,
            node_id: None,
            name: row.name,
            kind,
            sources: 0,
            stored_bytes: 0,
        })
    }

    /// Does with a store what a backup will do, and says what it found. A bucket is tested from
    /// here, with the `credentials` given or those kept for `provider_id`; a folder by the nodes it
    /// would be on.
    ///
    /// # Errors
    /// `Invalid` when it is not one that could be tested; what the store refuses is part of the
    /// answer.
    pub async fn provider_test(
        &self,
        kind: ProviderKind,
        credentials: Option<CredentialsInput>,
        provider_id: Option<&ProviderId>,
    ) -> Result<ProviderTest> {
        let findings = match checked_kind(kind)? {
            ProviderKind::Local { path } => self.test_folder(path, provider_id).await?,
            kind => {
                let credentials = match (credentials, provider_id) {
                    (Some(input), _) => checked_credentials(input)?,
                    (None, Some(id)) => self.core().secrets.own_credentials(id).await?,
                    (None, None) => return Err(no_credentials()),
                };
                let store = bucket(kind, credentials)?;
                probe(&store, "").await.into_iter().map(finding).collect()
            }
        };
        Ok(ProviderTest {
            usable: findings.iter().all(|f| f.level != FindingLevel::Bad),
            findings,
        })
    }

    /// Removes a store. Its objects stay where they are.
    ///
    /// # Errors
    /// `Conflict` while sources use it, saying which; `Invalid` when it is a node's own.
    pub async fn provider_remove(&self, provider_id: &ProviderId) -> Result<()> {
        let id = provider_id.clone();
        let (row, sources) = self
            .db(move |r| Ok((r.provider_get(&id)?, r.sources_list()?)))
            .await?;
        if row.node_id.is_some() {
            return Err(Error::new(
                Code::Invalid,
                format!("the store {} belongs to its server", row.name),
            ));
        }
        let uses: Vec<_> = sources
            .iter()
            .filter(|s| s.providers.contains(provider_id))
            .map(|s| s.name.as_str())
            .collect();
        if !uses.is_empty() {
            return Err(Error::new(
                Code::Conflict,
                format!("the store {} is used by {}", row.name, uses.join(", ")),
            ));
        }
        let id = provider_id.clone();
        self.db(move |r| r.provider_remove(&id, Utc::now())).await?;
        // Last: a store whose credentials are gone would look usable.
        let secrets = &self.core().secrets;
        secrets
            .delete(Entry::Management(provider_id.clone()))
            .await?;
        secrets.delete(Entry::Provider(provider_id.clone())).await
    }

    /// Gives a bucket credentials of this computer's own, beside those the servers get: with them it
    /// reads, lists and removes there, so that the servers' need not allow more than to write. None
    /// takes them away again.
    ///
    /// # Errors
    /// `Invalid` when the store is a folder, or they could be none; `KeyringLocked`.
    pub async fn provider_manage(
        &self,
        provider_id: &ProviderId,
        credentials: Option<CredentialsInput>,
    ) -> Result<()> {
        let id = provider_id.clone();
        let row = self.db(move |r| r.provider_get(&id)).await?;
        if !is_bucket(&row)? {
            let what = format!("the store {} is a folder: it has no credentials", row.name);
            return Err(Error::new(Code::Invalid, what));
        }
        let entry = Entry::Management(provider_id.clone());
        match credentials {
            Some(input) => {
                let secret = checked_credentials(input)?.to_secret_json();
                self.core().secrets.set(entry, secret).await
            }
            None => self.core().secrets.delete(entry).await,
        }
    }

    async fn test_folder(
        &self,
        path: String,
        provider_id: Option<&ProviderId>,
    ) -> Result<Vec<Finding>> {
        let owner = match provider_id.cloned() {
            Some(id) => self.db(move |r| r.provider_get(&id)).await?.node_id,
            None => None,
        };
        let provider = Provider {
            id: provider_id.cloned().unwrap_or_else(ProviderId::new),
            name: "test".to_owned(),
            kind: ProviderKind::Local { path },
            sealed_credentials: None,
        };
        let mut findings = Vec::new();
        let mut asked = false;
        for node in self.nodes_list().await? {
            if owner.as_ref().is_some_and(|owner| *owner != node.id) {
                continue;
            }
            let Ok(link) = self.linked(&node.id) else {
                continue;
            };
            asked = true;
            let found: Vec<Finding> = link.patient().post("providers/test", &provider).await?;
            findings.extend(found.into_iter().map(|mut finding| {
                finding.message = format!("{}: {}", node.name, finding.message);
                finding
            }));
        }
        if asked {
            return Ok(findings);
        }
        Err(Error::new(
            Code::Unavailable,
            "a folder is tested by the server it is on, and none answers",
        ))
    }
}

/// A bucket, to be read or tested from here.
pub(crate) fn bucket(kind: ProviderKind, credentials: S3Credentials) -> Result<S3> {
    let ProviderKind::S3 {
        endpoint,
        region,
        bucket,
        prefix,
        path_style,
    } = kind
    else {
        return Err(Error::new(
            Code::Invalid,
            "a folder on a server is no bucket",
        ));
    };
    S3::new(
        S3Options {
            endpoint,
            region,
            bucket,
            prefix,
            path_style,
        },
        backupd_storage::S3Credentials {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
        },
    )
}

fn finding(found: probe::Finding) -> Finding {
    Finding {
        check: found.check.to_string(),
        level: match found.level {
            probe::Level::Good => FindingLevel::Good,
            probe::Level::Warning => FindingLevel::Warning,
            probe::Level::Bad => FindingLevel::Bad,
        },
        message: found.message,
    }
}

#[cfg(test)]
mod tests {
    use backupd_base::ExposeSecret as _;

    use super::*;
    use crate::testing::Home;

    fn s3(endpoint: &str, bucket: &str) -> ProviderKind {
        ProviderKind::S3 {
            endpoint: endpoint.into(),
            region: String::new(),
            bucket: bucket.into(),
            prefix: "/team/".into(),
            path_style: true,
        }
    }

    fn credentials() -> CredentialsInput {
        CredentialsInput {
            access_key_id: " key ".into(),
            secret_access_key: "canary-secret".to_owned().into(),
        }
    }

    #[tokio::test]
    async fn a_bucket_is_kept_and_its_secret_is_in_the_keyring_only() {
        let home = Home::new();
        let master = home.ready().await;
        let added = master
            .provider_add(
                "Bucket",
                s3("https://s3.example/", "b"),
                Some(credentials()),
            )
            .await
            .unwrap();
        assert_eq!(
            master.providers_list().await.unwrap(),
            std::slice::from_ref(&added)
        );
        let ProviderKind::S3 {
            endpoint,
            prefix,
            region,
            ..
        } = &added.kind
        else {
            panic!("{added:?}");
        };
        assert_eq!(
            (endpoint.as_str(), prefix.as_str()),
            ("https://s3.example", "team")
        );
        assert_eq!(region, "us-east-1");
        let kept = master.core().secrets.credentials(&added.id).await.unwrap();
        assert_eq!(kept.access_key_id, "key");
        assert_eq!(kept.secret_access_key.expose_secret(), "canary-secret");
        for file in std::fs::read_dir(home.path("data")).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|w| w == b"canary"));
        }
        let before = home.drawer.len();
        master.provider_remove(&added.id).await.unwrap();
        assert_eq!(home.drawer.len(), before - 1);
        assert!(master.providers_list().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_could_not_be_used_is_refused() {
        let home = Home::new();
        let master = home.ready().await;
        let folder = |path: &str| ProviderKind::Local { path: path.into() };
        for (kind, with) in [
            (s3("ftp://x", "b"), true),
            (s3("https://x", ""), true),
            (s3("https://x", "a/b"), true),
            (s3("https://x", "b"), false),
            (folder("srv"), false),
            (folder("/srv/../etc"), false),
        ] {
            let added = master
                .provider_add("X", kind.clone(), with.then(credentials))
                .await;
            assert_eq!(added.unwrap_err().code(), Code::Invalid, "{kind:?}");
        }
        master
            .provider_add("X", folder("/srv"), None)
            .await
            .unwrap();
        let twice = master.provider_add("X", folder("/srv/2"), None).await;
        assert_eq!(twice.unwrap_err().code(), Code::AlreadyExists);
        let untold = master.provider_test(folder("/srv"), None, None).await;
        assert_eq!(untold.unwrap_err().code(), Code::Unavailable);
    }

    #[tokio::test]
    async fn a_locked_keyring_keeps_no_store_without_its_secret() {
        let home = Home::new();
        let master = home.ready().await;
        home.drawer.lock(true);
        let added = master
            .provider_add("X", s3("https://x", "b"), Some(credentials()))
            .await;
        assert_eq!(added.unwrap_err().code(), Code::KeyringLocked);
        assert!(master.providers_list().await.unwrap().is_empty());
    }
}
