//! Jobs as the nodes last told them: the newest of every kind and source, and the recent ones of
//! every node.

use backupd_base::{Context as _, JobId, NodeId, Result, SourceId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{Registry, column::parsed};

/// Jobs kept per node beside the newest of each kind and source.
const RECENT: u32 = 200;

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Where it runs.
    pub node_id: NodeId,
    /// For which source.
    pub source_id: SourceId,
    /// What it does.
    pub kind: String,
    /// It will not change any more.
    pub is_final: bool,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// The whole of it, as JSON.
    pub body: String,
}

impl JobRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: parsed(row, "id")?,
            node_id: parsed(row, "node_id")?,
            source_id: parsed(row, "source_id")?,
            kind: row.get("kind")?,
            is_final: row.get("final")?,
            created_at: row.get("created_at")?,
            body: row.get("body")?,
        })
    }
}

impl Registry {
    /// Keeps jobs as a node told them, and drops those that are old. One that is final stays as it
    /// is: news about it can only be late.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn jobs_put(&self, jobs: &[JobRow]) -> Result<()> {
        let put = |db: &mut Connection| {
            let tx = db.transaction()?;
            for job in jobs {
                tx.prepare_cached(
                    "INSERT INTO jobs (id, node_id, source_id, kind, final, created_at, body)
                     VALUES (:id, :node, :source, :kind, :final, :at, :body)
                     ON CONFLICT (id) DO UPDATE SET final = excluded.final, body = excluded.body
                         WHERE node_id = excluded.node_id AND (NOT final OR excluded.final)",
                )?
                .execute(named_params! {
                    ":id": job.id.as_str(),
                    ":node": job.node_id.as_str(),
                    ":source": job.source_id.as_str(),
                    ":kind": job.kind,
                    ":final": job.is_final,
                    ":at": job.created_at,
                    ":body": job.body,
                })?;
            }
            if let Some(job) = jobs.first() {
                tx.execute(
                    "DELETE FROM jobs WHERE node_id = ?1 AND id NOT IN (
                         SELECT id FROM jobs WHERE node_id = ?1 ORDER BY created_at DESC LIMIT ?2)
                     AND id NOT IN (SELECT newest.id FROM jobs AS newest
                         WHERE newest.source_id = jobs.source_id AND newest.kind = jobs.kind
                         ORDER BY newest.created_at DESC LIMIT 1)",
                    (job.node_id.as_str(), RECENT),
                )?;
            }
            tx.commit()
        };
        put(&mut self.db()).context("keep jobs")
    }

    /// The jobs of one node, newest first.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn jobs_list(&self, node: &NodeId) -> Result<Vec<JobRow>> {
        let list = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached(
                "SELECT * FROM jobs WHERE node_id = ?1 ORDER BY created_at DESC, id DESC",
            )?
            .query_map([node.as_str()], JobRow::read)?
            .collect::<rusqlite::Result<Vec<_>>>()
        };
        list(&self.db()).context("list jobs")
    }

    /// The newest `count` jobs of this kind of every source, newest first.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn jobs_newest(&self, kind: &str, count: u32) -> Result<Vec<JobRow>> {
        let list = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached(
                "SELECT * FROM (
                     SELECT *, row_number() OVER
                         (PARTITION BY source_id ORDER BY created_at DESC, id DESC) AS place
                     FROM jobs WHERE kind = ?1)
                 WHERE place <= ?2 ORDER BY created_at DESC, id DESC",
            )?
            .query_map((kind, count), JobRow::read)?
            .collect::<rusqlite::Result<Vec<_>>>()
        };
        list(&self.db()).context("list the newest jobs")
    }

    /// Those of these jobs that are known.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn jobs_find(&self, ids: &[JobId]) -> Result<Vec<JobRow>> {
        let find = |db: &Connection| -> rusqlite::Result<_> {
            let mut statement = db.prepare_cached("SELECT * FROM jobs WHERE id = ?1")?;
            let mut found = Vec::new();
            for id in ids {
                found.extend(
                    statement
                        .query_row([id.as_str()], JobRow::read)
                        .optional()?,
                );
            }
            Ok(found)
        };
        find(&self.db()).context("read jobs")
    }

    /// One job.
    ///
    /// # Errors
    /// `NotFound` when it was never told, or is too old.
    pub fn job_get(&self, id: &JobId) -> Result<JobRow> {
        self.db()
            .query_row("SELECT * FROM jobs WHERE id = ?1", [id.as_str()], |r| {
                JobRow::read(r)
            })
            .optional()
            .with_context(|| format!("read job {id}"))?
            .with_context(|| format!("no job {id}"))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::{nodes::tests::node, registry::tests::fresh};

    fn job(node: &NodeId, source: &SourceId, minute: i64) -> JobRow {
        JobRow {
            id: JobId::new(),
            node_id: node.clone(),
            source_id: source.clone(),
            kind: "BACKUP".into(),
            is_final: false,
            created_at: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute),
            body: "{}".into(),
        }
    }

    #[test]
    fn a_final_job_is_not_changed_by_late_news() {
        let (_folder, registry) = fresh();
        let node = node(&registry).id;
        let mut row = job(&node, &SourceId::new(), 0);
        registry.jobs_put(&[row.clone()]).unwrap();
        row.is_final = true;
        row.body = r#"{"state":"COMPLETED"}"#.into();
        registry.jobs_put(&[row.clone()]).unwrap();
        let mut late = row.clone();
        late.is_final = false;
        late.body = "{}".into();
        registry.jobs_put(&[late]).unwrap();
        assert_eq!(registry.job_get(&row.id).unwrap(), row);
        let found = registry.jobs_find(&[JobId::new(), row.id.clone()]);
        assert_eq!(found.unwrap(), [row]);
    }

    #[test]
    fn the_newest_of_every_source_are_found_by_kind() {
        let (_folder, registry) = fresh();
        let node = node(&registry).id;
        let (one, two) = (SourceId::new(), SourceId::new());
        let mut rows: Vec<_> = (0..4).map(|minute| job(&node, &one, minute)).collect();
        rows.push(job(&node, &two, 9));
        rows[3].kind = "RESTORE".into();
        registry.jobs_put(&rows).unwrap();
        let newest = registry.jobs_newest("BACKUP", 2).unwrap();
        assert_eq!(newest, [rows[4].clone(), rows[2].clone(), rows[1].clone()]);
    }

    #[test]
    fn the_newest_job_of_a_quiet_source_outlives_the_busy_ones() {
        let (_folder, registry) = fresh();
        let node = node(&registry).id;
        let (quiet, busy) = (SourceId::new(), SourceId::new());
        let old = [job(&node, &quiet, 0), job(&node, &quiet, 1)];
        registry.jobs_put(&old).unwrap();
        let many: Vec<_> = (2..2 + i64::from(RECENT))
            .map(|minute| job(&node, &busy, minute))
            .collect();
        registry.jobs_put(&many).unwrap();
        let kept = registry.jobs_list(&node).unwrap();
        assert_eq!(kept.len(), many.len() + 1);
        assert_eq!(kept.last(), Some(&old[1]));
        assert_eq!(kept.first(), many.last());
    }
}
