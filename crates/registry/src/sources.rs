//! What is backed up, where its snapshots go, and how far its chain of manifests was believed.

use backupd_base::{Code, Context as _, Error, NodeId, ProviderId, Result, SourceId, TenantId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{
    Registry,
    column::{parsed, refused, signed, unsigned},
};

/// A source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Its id.
    pub id: SourceId,
    /// Where it lives.
    pub node_id: NodeId,
    /// Whose data it is.
    pub tenant_id: TenantId,
    /// For people.
    pub name: String,
    /// The module that knows it.
    pub module: String,
    /// What the module was told, as a JSON object.
    pub settings: String,
    /// Where its snapshots go, in order.
    pub providers: Vec<ProviderId>,
    /// age recipients of its snapshots.
    pub recipients: Vec<String>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was removed. Its snapshots stay.
    pub removed_at: Option<DateTime<Utc>>,
    /// Sequence of the newest verified manifest, 0 for none.
    pub head_sequence: u64,
    /// SHA-256 of the newest verified manifest, hex.
    pub head_sha256: Option<String>,
    /// Why a manifest after the head was refused.
    pub refused: Option<String>,
    /// Which of its snapshots stay, as JSON; none keeps all.
    pub retention: Option<String>,
    /// When it is backed up by itself, as JSON.
    pub schedule: Option<String>,
}

impl SourceRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let recipients: String = row.get("recipients")?;
        Ok(Self {
            id: parsed(row, "id")?,
            node_id: parsed(row, "node_id")?,
            tenant_id: parsed(row, "tenant_id")?,
            name: row.get("name")?,
            module: row.get("module")?,
            settings: row.get("settings")?,
            providers: Vec::new(),
            recipients: serde_json::from_str(&recipients).map_err(refused)?,
            created_at: row.get("created_at")?,
            removed_at: row.get("removed_at")?,
            head_sequence: unsigned(row, "head_sequence")?,
            head_sha256: row.get("head_sha256")?,
            refused: row.get("refused")?,
            retention: row.get("retention")?,
            schedule: row.get("schedule")?,
        })
    }

    fn with_providers(mut self, db: &Connection) -> rusqlite::Result<Self> {
        self.providers = db
            .prepare_cached(
                "SELECT provider_id FROM source_providers WHERE source_id = ?1 ORDER BY position",
            )?
            .query_map([self.id.as_str()], |r| parsed(r, "provider_id"))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(self)
    }
}

impl Registry {
    /// Adds a source with its stores.
    ///
    /// # Errors
    /// Only those of the disk, and of a node or store that does not exist.
    pub fn source_insert(&self, source: &SourceRow) -> Result<()> {
        let enter = |db: &mut Connection| {
            let tx = db.transaction()?;
            insert(&tx, source)?;
            tx.commit()
        };
        enter(&mut self.db()).with_context(|| format!("add source {}", source.name))
    }

    /// The sources, removed ones too, in the order they were added.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn sources_list(&self) -> Result<Vec<SourceRow>> {
        let list = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached("SELECT * FROM sources ORDER BY created_at, id")?
                .query_map([], SourceRow::read)?
                .map(|row| row?.with_providers(db))
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        list(&self.db()).context("list sources")
    }

    /// One source, removed or not.
    ///
    /// # Errors
    /// `NotFound` when there never was one.
    pub fn source_get(&self, id: &SourceId) -> Result<SourceRow> {
        let get = |db: &Connection| -> rusqlite::Result<_> {
            db.query_row("SELECT * FROM sources WHERE id = ?1", [id.as_str()], |r| {
                SourceRow::read(r)
            })
            .optional()?
            .map(|row| row.with_providers(db))
            .transpose()
        };
        get(&self.db())
            .with_context(|| format!("read source {id}"))?
            .with_context(|| format!("no source {id}"))
    }

    /// Notes that a source was removed, and frees its stores.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn source_remove(&self, id: &SourceId, at: DateTime<Utc>) -> Result<()> {
        let remove = |db: &mut Connection| {
            let tx = db.transaction()?;
            tx.execute(
                "UPDATE sources SET removed_at = :at WHERE id = :id AND removed_at IS NULL",
                named_params! { ":id": id.as_str(), ":at": at },
            )?;
            tx.execute(
                "DELETE FROM source_providers WHERE source_id = ?1",
                [id.as_str()],
            )?;
            tx.commit()
        };
        remove(&mut self.db()).with_context(|| format!("remove source {id}"))
    }

    /// Sets which snapshots of a source stay, as JSON.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn source_set_retention(&self, id: &SourceId, rule: Option<&str>) -> Result<()> {
        self.db()
            .execute(
                "UPDATE sources SET retention = ?2 WHERE id = ?1",
                (id.as_str(), rule),
            )
            .with_context(|| format!("keep the retention of source {id}"))?;
        Ok(())
    }

    /// Moves a source's head over a snapshot that was verified and is gone already.
    ///
    /// # Errors
    /// `Conflict` when the head is not the manifest before it.
    pub fn source_move_head(&self, id: &SourceId, sequence: u64, sha256: &str) -> Result<()> {
        let moved = self
            .db()
            .execute(
                "UPDATE sources SET head_sequence = ?2, head_sha256 = ?3
                 WHERE id = ?1 AND head_sequence = ?2 - 1",
                (id.as_str(), signed(sequence), sha256),
            )
            .with_context(|| format!("move the head of source {id}"))?;
        if moved == 1 {
            return Ok(());
        }
        let what = format!("snapshot {sequence} does not follow the newest one known");
        Err(Error::new(Code::Conflict, what))
    }

    /// Sets when a source is backed up by itself.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn source_set_schedule(&self, id: &SourceId, schedule: Option<&str>) -> Result<()> {
        self.db()
            .execute(
                "UPDATE sources SET schedule = :schedule WHERE id = :id",
                named_params! { ":id": id.as_str(), ":schedule": schedule },
            )
            .with_context(|| format!("set the schedule of source {id}"))?;
        Ok(())
    }

    /// Notes why a manifest was refused; `None` once the chain holds again. Answers whether that
    /// is news.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn source_set_refused(&self, id: &SourceId, why: Option<&str>) -> Result<bool> {
        let changed = self
            .db()
            .execute(
                "UPDATE sources SET refused = :why WHERE id = :id AND refused IS NOT :why",
                named_params! { ":id": id.as_str(), ":why": why },
            )
            .with_context(|| format!("note the refused manifest of source {id}"))?;
        Ok(changed == 1)
    }
}

/// Adds a source with its stores, and the head of its chain.
pub(crate) fn insert(db: &Connection, source: &SourceRow) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO sources (id, node_id, tenant_id, name, module, settings, recipients,
             created_at, removed_at, head_sequence, head_sha256, retention, schedule)
         VALUES (:id, :node, :tenant, :name, :module, :settings, :recipients,
             :created, :removed, :sequence, :sha256, :retention, :schedule)",
        named_params! {
            ":id": source.id.as_str(),
            ":node": source.node_id.as_str(),
            ":tenant": source.tenant_id.as_str(),
            ":name": source.name,
            ":module": source.module,
            ":settings": source.settings,
            ":recipients": serde_json::json!(source.recipients).to_string(),
            ":created": source.created_at,
            ":removed": source.removed_at,
            ":sequence": signed(source.head_sequence),
            ":sha256": source.head_sha256,
            ":retention": source.retention,
            ":schedule": source.schedule,
        },
    )?;
    for (position, provider) in (0i64..).zip(&source.providers) {
        db.execute(
            "INSERT INTO source_providers (source_id, position, provider_id) VALUES (?1, ?2, ?3)",
            (source.id.as_str(), position, provider.as_str()),
        )?;
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{nodes::tests::node, providers::tests::provider, registry::tests::fresh};

    /// A source on a node of its own, with two stores.
    pub fn source(registry: &Registry) -> SourceRow {
        let node = node(registry);
        let stores = [
            provider(registry, None),
            provider(registry, Some(node.id.clone())),
        ];
        let source = SourceRow {
            id: SourceId::new(),
            node_id: node.id,
            tenant_id: node.tenant_id,
            name: "shop.example".into(),
            module: "wordpress".into(),
            settings: r#"{"path":"/var/www/shop"}"#.into(),
            providers: stores.into_iter().rev().map(|p| p.id).collect(),
            recipients: vec!["age1tenant".into(), "age1paper".into()],
            created_at: Utc::now(),
            removed_at: None,
            head_sequence: 0,
            head_sha256: None,
            refused: None,
            retention: None,
            schedule: Some("{}".into()),
        };
        registry.source_insert(&source).unwrap();
        source
    }

    #[test]
    fn a_source_keeps_the_order_of_its_stores() {
        let (_folder, registry) = fresh();
        let row = source(&registry);
        assert_eq!(registry.source_get(&row.id).unwrap(), row);
        assert_eq!(registry.sources_list().unwrap(), [row]);
    }

    #[test]
    fn a_source_of_an_unknown_store_is_not_added_in_part() {
        let (_folder, registry) = fresh();
        let mut other = source(&registry);
        other.id = SourceId::new();
        other.providers.push(ProviderId::new());
        registry.source_insert(&other).unwrap_err();
        assert_eq!(registry.sources_list().unwrap().len(), 1);
    }

    #[test]
    fn a_removed_source_frees_its_stores() {
        let (_folder, registry) = fresh();
        let row = source(&registry);
        registry.source_remove(&row.id, Utc::now()).unwrap();
        let kept = registry.source_get(&row.id).unwrap();
        assert!(kept.removed_at.is_some());
        assert!(kept.providers.is_empty());
    }

    #[test]
    fn a_schedule_is_set_and_taken_away() {
        let (_folder, registry) = fresh();
        let row = source(&registry);
        for schedule in [None, Some("{\"rule\":1}")] {
            registry.source_set_schedule(&row.id, schedule).unwrap();
            let kept = registry.source_get(&row.id).unwrap().schedule;
            assert_eq!(kept.as_deref(), schedule);
        }
    }

    #[test]
    fn a_refusal_is_news_once() {
        let (_folder, registry) = fresh();
        let id = source(&registry).id;
        assert!(registry.source_set_refused(&id, Some("gap")).unwrap());
        assert!(!registry.source_set_refused(&id, Some("gap")).unwrap());
        assert!(registry.source_set_refused(&id, None).unwrap());
    }
}
