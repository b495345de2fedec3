//! Jobs and their stages, as they were last written down.

use backupd_base::{Code, Context, Error, JobId, Result, SourceId};
use backupd_protocol::{Job, JobState, Stage};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{id, json, parsed};

/// The tables. The partial index keeps a source to one job at a time, whatever the program does.
pub const TABLE: &str = "
CREATE TABLE jobs (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    source_id   TEXT NOT NULL,
    source_name TEXT NOT NULL,
    module      TEXT NOT NULL,
    priority    INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 10),
    state       TEXT NOT NULL,
    request     TEXT NOT NULL,
    error       TEXT NOT NULL,
    warnings    TEXT NOT NULL,
    snapshot_id TEXT,
    providers   TEXT NOT NULL,
    landed_in   TEXT,
    can_undo    INTEGER NOT NULL,
    progress    TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    started_at  TEXT,
    finished_at TEXT
) STRICT;
CREATE UNIQUE INDEX jobs_one_per_source ON jobs (source_id)
    WHERE state IN ('\"PENDING\"', '\"RUNNING\"');
CREATE INDEX jobs_by_state ON jobs (state);
CREATE TABLE stages (
    job_id      TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    message     TEXT,
    details     TEXT NOT NULL,
    progress    TEXT NOT NULL,
    started_at  TEXT,
    finished_at TEXT,
    PRIMARY KEY (job_id, position)
) STRICT;
";

/// What a retry adds.
pub const RETRIES: &str = "
ALTER TABLE jobs ADD COLUMN retry_of TEXT;
ALTER TABLE jobs ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN not_before TEXT;
CREATE INDEX jobs_by_chain ON jobs (retry_of) WHERE retry_of IS NOT NULL;
";

/// What says why there is a job.
pub const ORIGIN: &str = "
ALTER TABLE jobs ADD COLUMN origin TEXT NOT NULL DEFAULT '\"admin\"';
";

/// Writes a new job. `request` is what its kind needs beyond the job, as JSON; never a key.
///
/// # Errors
/// `Conflict` when its source has a job that is pending or running.
pub fn insert(db: &Connection, job: &Job, request: &str) -> Result<()> {
    let live: Option<String> = db
        .query_row(
            "SELECT id FROM jobs WHERE source_id = ?1 AND state IN (?2, ?3)",
            params![
                job.source_id.as_str(),
                json(&JobState::Pending),
                json(&JobState::Running)
            ],
            |row| row.get(0),
        )
        .optional()
        .context("look for a job of the source")?;
    if let Some(live) = live {
        let why = format!(
            "{} already has job {live} pending or running",
            job.source_name
        );
        return Err(Error::new(Code::Conflict, why));
    }
    db.prepare_cached(
        "INSERT INTO jobs
         (id, kind, source_id, source_name, module, priority, state, request, error, warnings,
          snapshot_id, providers, landed_in, can_undo, progress, created_at, started_at,
          finished_at, retry_of, attempt, not_before, origin)
         VALUES
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
          ?20, ?21, ?22)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            job.id.as_str(),
            json(&job.kind),
            job.source_id.as_str(),
            job.source_name,
            job.module,
            job.priority,
            json(&job.state),
            request,
            json(&job.error),
            json(&job.warnings),
            job.snapshot_id.as_ref().map(|id| id.as_str()),
            json(&job.providers),
            job.landed_in,
            job.can_undo,
            json(&job.progress),
            job.created_at,
            job.started_at,
            job.finished_at,
            job.retry_of.as_ref().map(|id| id.as_str()),
            job.attempt,
            job.not_before,
            json(&job.origin),
        ])
    })
    .with_context(|| format!("write job {}", job.id))?;
    write_stages(db, job)
}

/// Writes a job that changed.
///
/// # Errors
/// When the store cannot be written.
pub fn update(db: &Connection, job: &Job) -> Result<()> {
    db.prepare_cached(
        "UPDATE jobs SET state = ?2, error = ?3, warnings = ?4, snapshot_id = ?5,
         providers = ?6, landed_in = ?7, can_undo = ?8, progress = ?9, started_at = ?10,
         finished_at = ?11, not_before = ?12 WHERE id = ?1",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            job.id.as_str(),
            json(&job.state),
            json(&job.error),
            json(&job.warnings),
            job.snapshot_id.as_ref().map(|id| id.as_str()),
            json(&job.providers),
            job.landed_in,
            job.can_undo,
            json(&job.progress),
            job.started_at,
            job.finished_at,
            job.not_before,
        ])
    })
    .with_context(|| format!("write job {}", job.id))?;
    write_stages(db, job)
}

fn write_stages(db: &Connection, job: &Job) -> Result<()> {
    let write = || -> rusqlite::Result<()> {
        let mut statement = db.prepare_cached(
            "INSERT OR REPLACE INTO stages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for (position, stage) in job.stages.iter().enumerate() {
            statement.execute(params![
                job.id.as_str(),
                i64::try_from(position).unwrap_or(i64::MAX),
                stage.name,
                json(&stage.state),
                stage.message,
                json(&stage.details),
                json(&stage.progress),
                stage.started_at,
                stage.finished_at,
            ])?;
        }
        Ok(())
    };
    write().with_context(|| format!("write the stages of job {}", job.id))
}

/// One job.
///
/// # Errors
/// `NotFound` when there is none of that id.
pub fn get(db: &Connection, id: &JobId) -> Result<Job> {
    db.prepare_cached("SELECT * FROM jobs WHERE id = ?1")
        .and_then(|mut query| {
            query
                .query_row([id.as_str()], |row| job(db, row))
                .optional()
        })
        .with_context(|| format!("read job {id}"))?
        .with_context(|| format!("there is no job {id}"))
}

/// The newest jobs first; of one source, if one is named.
///
/// # Errors
/// When the store cannot be read.
pub fn list(db: &Connection, source: Option<&SourceId>, limit: u32) -> Result<Vec<Job>> {
    db.prepare_cached(
        "SELECT * FROM jobs WHERE ?1 IS NULL OR source_id = ?1 ORDER BY rowid DESC LIMIT ?2",
    )
    .and_then(|mut query| {
        query
            .query_map(params![source.map(SourceId::as_str), limit], |row| {
                job(db, row)
            })?
            .collect()
    })
    .context("read jobs")
}

/// The job to run next: highest priority first, then in the order they came. Of the retries that
/// wait for their time those due at `now`, or none. One made after `now` counts as due: the clock
/// was put back, and how long it has waited is not known.
///
/// # Errors
/// When the store cannot be read.
pub fn next(db: &Connection, now: Option<DateTime<Utc>>) -> Result<Option<Job>> {
    db.prepare_cached(
        "SELECT * FROM jobs WHERE state = ?1
         AND (not_before IS NULL OR not_before <= ?2 OR created_at > ?2)
         ORDER BY priority DESC, rowid LIMIT 1",
    )
    .and_then(|mut query| {
        query
            .query_row(params![json(&JobState::Pending), now], |row| job(db, row))
            .optional()
    })
    .context("read the next job")
}

/// The jobs that are due, in the order they will be taken.
///
/// # Errors
/// When the store cannot be read.
pub fn waiting(db: &Connection, now: DateTime<Utc>) -> Result<Vec<Job>> {
    db.prepare_cached(
        "SELECT * FROM jobs WHERE state = ?1
         AND (not_before IS NULL OR not_before <= ?2 OR created_at > ?2)
         ORDER BY priority DESC, rowid",
    )
    .and_then(|mut query| {
        query
            .query_map(params![json(&JobState::Pending), now], |row| job(db, row))?
            .collect()
    })
    .context("read the jobs that wait")
}

/// When the next retry that waits is due.
///
/// # Errors
/// When the store cannot be read.
pub fn next_due(db: &Connection) -> Result<Option<DateTime<Utc>>> {
    db.query_row(
        "SELECT MIN(not_before) FROM jobs WHERE state = ?1",
        [json(&JobState::Pending)],
        |row| row.get(0),
    )
    .context("read when the next retry is due")
}

/// The pending job of a source, if there is one.
///
/// # Errors
/// When the store cannot be read.
pub fn pending(db: &Connection, source: &SourceId) -> Result<Option<Job>> {
    db.prepare_cached("SELECT * FROM jobs WHERE source_id = ?1 AND state = ?2")
        .and_then(|mut query| {
            query
                .query_row(params![source.as_str(), json(&JobState::Pending)], |row| {
                    job(db, row)
                })
                .optional()
        })
        .context("look for a pending job of the source")
}

/// The jobs of a chain of retries, oldest first; `first` is its first job.
///
/// # Errors
/// When the store cannot be read.
pub fn chain(db: &Connection, first: &JobId) -> Result<Vec<Job>> {
    db.prepare_cached("SELECT * FROM jobs WHERE id = ?1 OR retry_of = ?1 ORDER BY rowid")
        .and_then(|mut query| {
            query
                .query_map([first.as_str()], |row| job(db, row))?
                .collect()
        })
        .context("read a chain of retries")
}

/// Jobs that are in one state, in the order they came.
///
/// # Errors
/// When the store cannot be read.
pub fn in_state(db: &Connection, state: JobState) -> Result<Vec<Job>> {
    db.prepare_cached("SELECT * FROM jobs WHERE state = ?1 ORDER BY rowid")
        .and_then(|mut query| {
            query
                .query_map([json(&state)], |row| job(db, row))?
                .collect()
        })
        .context("read jobs by state")
}

/// Whether a job of a source is pending or running.
///
/// # Errors
/// When the store cannot be read.
pub fn is_busy(db: &Connection, source: &SourceId) -> Result<bool> {
    let states = [JobState::Pending, JobState::Running].map(|state| json(&state));
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE source_id = ?1 AND state IN (?2, ?3))",
        params![source.as_str(), states[0], states[1]],
        |row| row.get(0),
    )
    .context("read whether the source is at work")
}

/// What a job was asked for beyond the job itself.
///
/// # Errors
/// `NotFound` when there is no such job.
pub fn request(db: &Connection, id: &JobId) -> Result<String> {
    db.query_row(
        "SELECT request FROM jobs WHERE id = ?1",
        [id.as_str()],
        |row| row.get(0),
    )
    .optional()
    .with_context(|| format!("read the request of job {id}"))?
    .with_context(|| format!("there is no job {id}"))
}

fn job(db: &Connection, row: &Row<'_>) -> rusqlite::Result<Job> {
    let job_id: JobId = id(row, "id")?;
    let mut query =
        db.prepare_cached("SELECT * FROM stages WHERE job_id = ?1 ORDER BY position")?;
    let stages = query
        .query_map([job_id.as_str()], stage)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Job {
        id: job_id,
        kind: parsed(row, "kind")?,
        source_id: id(row, "source_id")?,
        source_name: row.get("source_name")?,
        module: row.get("module")?,
        priority: row.get("priority")?,
        origin: parsed(row, "origin")?,
        state: parsed(row, "state")?,
        stages,
        progress: parsed(row, "progress")?,
        error: parsed(row, "error")?,
        warnings: parsed(row, "warnings")?,
        snapshot_id: super::column::optional_id(row, "snapshot_id")?,
        providers: parsed(row, "providers")?,
        landed_in: row.get("landed_in")?,
        can_undo: row.get("can_undo")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        retry_of: super::column::optional_id(row, "retry_of")?,
        attempt: row.get("attempt")?,
        not_before: row.get("not_before")?,
    })
}

fn stage(row: &Row<'_>) -> rusqlite::Result<Stage> {
    Ok(Stage {
        name: row.get("name")?,
        state: parsed(row, "state")?,
        message: row.get("message")?,
        details: parsed(row, "details")?,
        progress: parsed(row, "progress")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
    })
}

#[cfg(test)]
mod tests {
    use backupd_protocol::JobKind;
    use chrono::TimeDelta;

    use super::*;
    use crate::store::Store;

    fn pending_job(priority: u8) -> Job {
        let source = (&SourceId::new(), "shop", "wordpress");
        Job::new(
            JobKind::Backup,
            source,
            priority,
            &["backup_db"],
            Utc::now(),
        )
    }

    /// The priorities in the order the queue gives them out, with the place of each in `jobs`.
    fn order(store: &Store, jobs: &[Job], now: Option<DateTime<Utc>>) -> Vec<(u8, usize)> {
        let mut order = Vec::new();
        while let Some(mut job) = store.read(|db| next(db, now)).unwrap() {
            let place = jobs.iter().position(|j| j.id == job.id).unwrap();
            order.push((job.priority, place));
            job.state = JobState::Running;
            store.write(|tx| update(tx, &job)).unwrap();
        }
        order
    }

    fn stored(jobs: &[Job]) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for job in jobs {
            store.write(|tx| insert(tx, job, "{}")).unwrap();
        }
        (dir, store)
    }

    #[test]
    fn higher_priorities_come_first_and_equal_ones_in_the_order_they_came() {
        let jobs = [5, 0, 10, 5, 10, 9].map(pending_job);
        let (_dir, store) = stored(&jobs);
        let want = [(10, 2), (10, 4), (9, 5), (5, 0), (5, 3), (0, 1)];
        assert_eq!(order(&store, &jobs, None), want);
    }

    #[test]
    fn a_retry_comes_when_it_is_due_and_holds_up_nobody() {
        let now = Utc::now();
        let mut jobs = [10, 10, 10, 0].map(pending_job);
        jobs[0].not_before = Some(now + TimeDelta::minutes(1));
        jobs[1].not_before = Some(now - TimeDelta::minutes(1));
        // The clock was put back after this one was made.
        jobs[2].created_at = now + TimeDelta::days(400);
        jobs[2].not_before = Some(now + TimeDelta::days(400));
        for job in &mut jobs[..2] {
            job.created_at = now - TimeDelta::minutes(2);
        }
        let (_dir, store) = stored(&jobs);
        assert_eq!(order(&store, &jobs, Some(now)), [(10, 1), (10, 2), (0, 3)]);
        assert_eq!(store.read(next_due).unwrap(), jobs[0].not_before);

        let (_dir, store) = stored(&jobs);
        assert_eq!(order(&store, &jobs, None), [(0, 3)]);
    }

    #[test]
    fn a_source_has_one_job_at_a_time() {
        let jobs = [pending_job(5)];
        let (_dir, store) = stored(&jobs);
        let mut second = pending_job(5);
        second.source_id = jobs[0].source_id.clone();
        let refused = store.write(|tx| insert(tx, &second, "{}")).unwrap_err();
        assert_eq!(refused.code(), Code::Conflict);
        let pending = store.read(|db| pending(db, &second.source_id)).unwrap();
        assert_eq!(pending.map(|job| job.id), Some(jobs[0].id.clone()));
    }

    #[test]
    fn a_chain_is_read_back_as_it_was_written() {
        let mut jobs = [5, 5].map(pending_job);
        jobs[1].retry_of = Some(jobs[0].id.clone());
        jobs[1].attempt = 2;
        jobs[1].not_before = Some(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        let (_dir, store) = stored(&jobs);
        assert_eq!(store.read(|db| chain(db, &jobs[0].id)).unwrap(), jobs);
    }
}
