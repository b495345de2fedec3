//! Jobs and their stages, as they were last written down.

use backupd_base::{Code, Context, Error, JobId, Result, SourceId};
use backupd_protocol::{Job, JobState, Stage};
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
        "INSERT INTO jobs VALUES
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
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
         finished_at = ?11 WHERE id = ?1",
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

/// The job to run next: highest priority first, then in the order they came.
///
/// # Errors
/// When the store cannot be read.
pub fn next(db: &Connection) -> Result<Option<Job>> {
    db.prepare_cached("SELECT * FROM jobs WHERE state = ?1 ORDER BY priority DESC, rowid LIMIT 1")
        .and_then(|mut query| {
            query
                .query_row([json(&JobState::Pending)], |row| job(db, row))
                .optional()
        })
        .context("read the next job")
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
