//! The former state that a restore in place keeps: written down before anything is touched, so
//! that a failure, a crash or a change of mind can bring it back.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use backupd_base::{Context as _, JobId, Result, SourceId};
use chrono::Utc;
use serde::{Deserialize, Serialize};

use super::{database::KeptDump, swap::Place};
use crate::{
    modules::{Database, tool::Limits},
    store::{Store, formers},
};

/// How far the restore got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Only beside the site: nothing that was there is touched.
    Staging,
    /// Files change places.
    Swapping,
    /// The database is loaded.
    Loading,
    /// Done; the former state is kept.
    Kept,
    /// The former state is on its way back.
    Undoing,
    /// Confirmed; what is kept is being removed.
    Dropping,
}

/// What a restore in place keeps, and all it takes to bring it back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Former {
    pub job_id: JobId,
    pub source_id: SourceId,
    pub phase: Phase,
    pub places: Vec<Place>,
    /// The database as it was.
    pub database: Option<KeptDump>,
    /// WordPress' note to visitors that it is being worked on, in the web root.
    maintenance: Option<PathBuf>,
}

impl Former {
    pub fn new(job_id: &JobId, source_id: &SourceId) -> Self {
        Self {
            job_id: job_id.clone(),
            source_id: source_id.clone(),
            phase: Phase::Staging,
            places: Vec::new(),
            database: None,
            maintenance: None,
        }
    }

    /// Its private folder on this node, for the dump.
    pub fn folder(&self, store: &Store) -> PathBuf {
        store.dir().join("formers").join(self.job_id.as_str())
    }

    /// Writes down where it is.
    pub fn write_down(&self, store: &Store) -> Result<()> {
        store.write(|tx| formers::put(tx, &self.job_id, &self.source_id, self))
    }

    /// Writes down that it is in `phase` from now on.
    pub fn enter(&mut self, store: &Store, phase: Phase) -> Result<()> {
        self.phase = phase;
        self.write_down(store)
    }

    /// Has WordPress answer every visitor that it is being worked on, while files and database do
    /// not match.
    pub fn close_site(&mut self, store: &Store, root: &Path) -> Result<()> {
        if self.maintenance.is_some() {
            // Since an earlier attempt.
            return Ok(());
        }
        let path = root.join(".maintenance");
        self.maintenance = Some(path.clone());
        self.write_down(store)?;
        // WordPress takes the note for forgotten ten minutes after the time in it.
        let until = Utc::now().timestamp() + 24 * 3600;
        let note = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&path);
        match note {
            Ok(mut file) => write!(file, "<?php $upgrading = {until};")
                .with_context(|| format!("write {}", path.display())),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                // Somebody else's; it stays.
                self.maintenance = None;
                self.write_down(store)
            }
            Err(e) => Err(e).with_context(|| format!("make {}", path.display())),
        }
    }

    /// Takes the note to visitors away again.
    pub fn open_site(&self) -> Result<()> {
        match &self.maintenance {
            Some(path) => {
                gone(fs::remove_file(path)).with_context(|| format!("remove {}", path.display()))
            }
            None => Ok(()),
        }
    }

    /// Brings the files back. May be called again.
    pub fn files_back(&self) -> Result<()> {
        self.places.iter().rev().try_for_each(Place::swap_back)
    }

    /// Brings the database back. May be called again.
    pub fn database_back(
        &self,
        database: &Database,
        folder: &Path,
        limits: &Limits,
        progress: impl FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        match &self.database {
            Some(dump) => dump.load(database, folder, limits, progress),
            None => Ok(()),
        }
    }

    /// Removes what is kept and forgets it. May be called again.
    pub fn remove(&self, store: &Store) -> Result<()> {
        self.open_site()?;
        self.places.iter().try_for_each(Place::remove)?;
        let folder = self.folder(store);
        gone(fs::remove_dir_all(&folder))
            .with_context(|| format!("remove {}", folder.display()))?;
        store.write(|tx| formers::delete(tx, &self.job_id))
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
