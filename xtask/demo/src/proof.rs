//! The way itself, gone with the desktop's own core: every line printed here was checked first.

use std::{
    path::Path,
    slice,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use backupd_base::{Code, JobId};
use backupd_master::{
    Master, Vault,
    view::{NodeState, NodeView, SourceView, TaskState, TaskView},
};
use backupd_protocol::{Job, JobState, Snapshot};
use tokio::time;

use crate::{
    agent::Agent,
    site::Site,
    story::{Facts, held, megabytes, part},
};

/// A job or a task that takes longer does not end.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(100);

/// Goes the whole way with a master whose data is in `data`.
///
/// # Errors
/// What did not hold.
pub async fn prove(site: &Site, agent: &Agent, data: &Path) -> Result<Facts> {
    let kit = site.folder().join("recovery-kit.html");
    let master = Master::open(data, Vault::keyring())
        .await
        .context("open the master")?;
    let node = enrol(&master, agent, &kit).await?;
    let source = protect(&master, &node, site).await?;
    let (snapshot, backup) = back_up(&master, &source).await?;

    part("Restore to this computer");
    let task = master
        .snapshot_restore(&snapshot.id, &[], site.folder())
        .await?;
    let task = finished(&master, task).await?;
    let landed = task.landed_in.context("find where the restore landed")?;
    let landed = Path::new(&landed);
    let files = site.same_files(&landed.join("files/wp-content"))?;
    held(format!(
        "{} files, {}: every byte, mode and time is the original's",
        files.count,
        megabytes(files.amount)
    ));
    let tables = site.same_database(&landed.join("database.sql"))?;
    held(format!(
        "the dump loads into a fresh database: {} tables, {} rows, every checksum is the original's",
        tables.count, tables.amount
    ));
    let task = master.snapshot_verify(&snapshot.id).await?;
    finished(&master, task).await?;
    held("verify read the whole snapshot back, and every hash holds");

    part("Lose it, and get it back");
    site.lose()?;
    held("the uploads are deleted and every table dropped: the site shows an error");
    let recovery = Instant::now();
    let restore = master.snapshot_restore_in_place(&snapshot.id).await?;
    let job = ended(&master, &restore.job_id).await?;
    let recovery = recovery.elapsed();
    site.is_back()?;
    held(format!(
        "restored in place in {:.1} s: files, tables and front page are what they were",
        recovery.as_secs_f64()
    ));
    if job.can_undo {
        master.restore_confirm(&node.id, &job.id).await?;
        held("confirmed, and the former state is gone");
    }

    part("Without this program");
    crate::kit::opens(&kit, &agent.store(), &site.folder().join("by-hand"), site)?;
    master.close().await;
    Ok(Facts {
        files: files.count as u64,
        bytes: files.amount,
        tables: tables.count,
        rows: tables.amount,
        stored: snapshot.stored_bytes,
        backup,
        recovery,
    })
}

async fn enrol(master: &Master, agent: &Agent, kit: &Path) -> Result<NodeView> {
    part("Enrolment");
    master.setup_create("Demo").await?;
    master.setup_save_kit(kit).await?;
    held("keys are made, kept in a keyring, and the recovery kit is saved");
    let wrong = if agent.code() == "22222" {
        "33333"
    } else {
        "22222"
    };
    match master.node_enrol(&agent.address(), wrong).await {
        Err(error) if error.code() == Code::CodeRejected => {
            held("a wrong code is refused, and takes one of five attempts");
        }
        Err(error) => bail!("a wrong code was refused for another reason: {error}"),
        Ok(_) => bail!("a wrong code was accepted"),
    }
    let node = master.node_enrol(&agent.address(), agent.code()).await?;
    held(format!(
        "the right code enrols {} ({}), pinned as {}",
        node.name, node.os, node.fingerprint
    ));
    let deadline = Instant::now() + PATIENCE;
    while master.node_get(&node.id).await?.state != NodeState::Online {
        ensure!(Instant::now() < deadline, "the node does not answer");
        time::sleep(LOOK).await;
    }
    held("it answers with its pinned key and takes the API key");
    Ok(node)
}

async fn protect(master: &Master, node: &NodeView, site: &Site) -> Result<SourceView> {
    part("Backup");
    let base = site
        .root()
        .parent()
        .context("find the folder above the site")?;
    let base = base
        .to_str()
        .context("temporary folders have plain names")?;
    let found = master.node_scan(&node.id, Some(base)).await?;
    let root = site
        .root()
        .to_str()
        .context("temporary folders have plain names")?;
    let site = found
        .into_iter()
        .find(|site| site.path == root)
        .context("the scan did not find the site")?;
    held(format!("the scan found {} at {}", site.name, site.path));
    let stores = master.providers_list().await?;
    let store = stores
        .iter()
        .find(|store| store.node_id.as_ref() == Some(&node.id))
        .context("the server has no store of its own")?;
    let source = master
        .source_protect(&node.id, &site.path, &site.name, slice::from_ref(&store.id))
        .await?;
    held(format!(
        "it is protected, with snapshots in “{}”",
        store.name
    ));
    Ok(source)
}

async fn back_up(master: &Master, source: &SourceView) -> Result<(Snapshot, Duration)> {
    let start = Instant::now();
    let job = master.job_start(&source.id).await?.job;
    let job = ended(master, &job.id).await?;
    let time = start.elapsed();
    for stage in &job.stages {
        let message = stage.message.as_deref().unwrap_or_default();
        held(format!("{}: {message}", stage.name));
    }
    let id = job.snapshot_id.context("the job made no snapshot")?;
    let deadline = Instant::now() + PATIENCE;
    let snapshot = loop {
        let list = master.snapshots_list(Some(&source.id)).await?;
        if let Some(view) = list.into_iter().find(|view| view.snapshot.id == id) {
            break view.snapshot;
        }
        ensure!(
            Instant::now() < deadline,
            "the catalogue does not have the snapshot"
        );
        time::sleep(LOOK).await;
    };
    ensure!(
        snapshot.consistent,
        "the snapshot is not consistent: {:?}",
        snapshot.warnings
    );
    held(format!(
        "{} became an encrypted archive of {} in {:.1} s",
        megabytes(snapshot.content_bytes),
        megabytes(snapshot.stored_bytes),
        time.as_secs_f64()
    ));
    Ok((snapshot, time))
}

/// Waits for the end of a job, which must have completed without a warning.
async fn ended(master: &Master, id: &JobId) -> Result<Job> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let job = master.job_get(id).await?.job;
        if job.state.is_final() {
            let why = job.error.as_ref().map(|error| error.message.as_str());
            ensure!(
                job.state == JobState::Completed,
                "the job did not complete: {}",
                why.unwrap_or("it was cancelled")
            );
            ensure!(
                job.warnings.is_empty(),
                "the job warns: {}",
                job.warnings.join("; ")
            );
            return Ok(job);
        }
        ensure!(Instant::now() < deadline, "the job does not end");
        time::sleep(LOOK).await;
    }
}

/// Waits for the end of a task of the master, which must have completed.
async fn finished(master: &Master, task: TaskView) -> Result<TaskView> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let tasks = master.tasks_list().await?;
        let now = tasks.into_iter().find(|other| other.id == task.id);
        let now = now.with_context(|| format!("find the task “{}”", task.title))?;
        match now.state {
            TaskState::Running => {
                ensure!(Instant::now() < deadline, "“{}” does not end", now.title);
                time::sleep(LOOK).await;
            }
            TaskState::Completed => return Ok(now),
            TaskState::Failed | TaskState::Cancelled => {
                let why = now.error.map(|error| error.message).unwrap_or_default();
                bail!("“{}” did not complete: {why}", now.title);
            }
        }
    }
}
