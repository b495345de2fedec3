//! A restore in place: everything is staged beside the site and checked to its last byte, the
//! present state is kept, then files change places and the database is loaded. What fails on the
//! way puts the former state back by itself; afterwards it is kept until confirmed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use backupd_archive::{EntryPath, ExtractOptions};
use backupd_base::{Code, Context as _, Error, JobId, Result};
use backupd_protocol::{Job, Snapshot, Source};
use cap_std::fs::Dir;
use rustix::process::geteuid;

use super::{
    KEEP_FORMER, RESTORE_DB, RESTORE_FILES, RestoreRequest, SWAP_FILES,
    database::KeptDump,
    former::{Former, Phase},
    snapshot::{Stored, selection},
    swap::Place,
};
use crate::{
    jobs::{Failure, InStage as _, Parts, Track},
    modules::{self, Database, Environment, EnvironmentRoot, tool::Limits},
    pipeline::{CLEANUP, make_private},
    store::{Store, formers},
};

/// `database.sql` in a selection.
const DATABASE: &str = "database.sql";

/// Checks that a restore in place can be tried.
pub(super) fn check(parts: &Parts, snapshot: &Snapshot) -> Result<()> {
    let source = parts.host.source(&snapshot.source_id)?;
    modules::find(&source.module)?;
    no_other_former(&parts.store, &source)
}

fn no_other_former(store: &Store, source: &Source) -> Result<()> {
    match store.read(|db| formers::of_source(db, &source.id))? {
        None => Ok(()),
        Some(job) => {
            let why = format!(
                "{} still keeps the state from before restore {job}; confirm that restore or undo it",
                source.name
            );
            Err(Error::new(Code::Conflict, why))
        }
    }
}

/// One restore in place under way.
struct Swapping<'a> {
    parts: &'a Parts,
    track: &'a Track,
    source: &'a Stored,
    request: &'a RestoreRequest,
    /// The folder of the kept state, and for what is of no use afterwards.
    folder: PathBuf,
    former: Former,
}

/// Restores over what is there.
pub(super) fn restore(
    parts: &Parts,
    track: &Track,
    source: &Stored,
    request: &RestoreRequest,
) -> Result<(), Failure> {
    let job = track.job();
    let former = Former::new(&job.id, &job.source_id);
    let mut swapping = Swapping {
        folder: former.folder(&parts.store),
        parts,
        track,
        source,
        request,
        former,
    };
    let outcome = swapping.run();
    let _ = track.begin(CLEANUP);
    let message = match &outcome {
        Ok(()) => "The former state is kept until it is confirmed.".to_owned(),
        Err(_) => swapping.turn_back(),
    };
    let _ = track.complete(CLEANUP, message);
    outcome
}

impl Swapping<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let store = &self.parts.store;
        let (environment, configured) = self.open().in_stage(RESTORE_FILES)?;
        let dump = self
            .stage(&environment, &configured)
            .in_stage(RESTORE_FILES)?;
        let database = self
            .keep(&configured, dump.is_some())
            .in_stage(KEEP_FORMER)?;

        // From here on it is turned back, not just removed.
        let root = root_of(&configured).in_stage(SWAP_FILES)?;
        self.track.begin(SWAP_FILES).in_stage(SWAP_FILES)?;
        self.track.check().in_stage(SWAP_FILES)?;
        self.former
            .enter(store, Phase::Swapping)
            .in_stage(SWAP_FILES)?;
        if dump.is_some() {
            self.former.close_site(store, &root).in_stage(SWAP_FILES)?;
        }
        for place in &self.former.places {
            place.swap().in_stage(SWAP_FILES)?;
        }
        self.track
            .complete(SWAP_FILES, "Swapped with what was there.")
            .in_stage(SWAP_FILES)?;
        if dump.is_some() {
            self.former
                .enter(store, Phase::Loading)
                .in_stage(RESTORE_DB)?;
        }
        self.load(dump, database).in_stage(RESTORE_DB)?;
        self.former.open_site().in_stage(RESTORE_DB)?;
        self.former.enter(store, Phase::Kept).in_stage(RESTORE_DB)?;
        self.track.amend(|job| {
            job.can_undo = true;
            job.landed_in = Some(root.display().to_string());
        });
        Ok(())
    }

    /// The description of the snapshot, and the source as it is configured now.
    fn open(&mut self) -> Result<(Environment, Source)> {
        let configured = self.parts.host.source(&self.former.source_id)?;
        no_other_former(&self.parts.store, &configured)?;
        let mut json = Vec::new();
        let path = EntryPath::new("backup.json")?;
        self.source
            .ranged()?
            .copy_file(&path, &mut json, &mut |_| self.track.check())?;
        let environment = serde_json::from_slice(&json)
            .context("read the description of the snapshot")
            .map_err(|e| e.with_code(Code::Corrupt))?;
        self.former.write_down(&self.parts.store)?;
        make_private(&self.folder)?;
        Ok((environment, configured))
    }

    /// Extracts beside the site. Every hash has held when this returns.
    fn stage(&mut self, environment: &Environment, source: &Source) -> Result<Option<KeptDump>> {
        let chosen = selection(&self.request.paths)?;
        self.track.lead(RESTORE_FILES);
        if chosen.is_empty() {
            let total = self.source.manifest.content_bytes;
            self.track
                .progress(RESTORE_FILES, |p| p.total_bytes = Some(total));
        }
        let mut done = (0, 0);
        for root in &environment.roots {
            let prefix = EntryPath::new(root.prefix.as_str())?;
            let below: Vec<_> = chosen
                .iter()
                .filter(|p| p.is_within(&prefix))
                .cloned()
                .collect();
            if !chosen.is_empty() && below.is_empty() {
                continue;
            }
            let place = Place::new(&base_of(root, source)?, &staging_name(&self.former.job_id));
            // In the journal before it is on the disk.
            self.former.places.push(place);
            self.former.write_down(&self.parts.store)?;
            let staging = self.former.places.last().expect("just pushed").make()?;
            done = self.extract(&staging, &prefix, &below, done)?;
            let paths = swapped_paths(root, &prefix, &below);
            let place = self.former.places.last_mut().expect("just pushed");
            place.plan(paths.as_deref(), &root.excluded)?;
        }
        let wants_database =
            chosen.is_empty() || chosen.iter().any(|p| p.as_bytes() == DATABASE.as_bytes());
        let dump = match &environment.database {
            Some(description) if wants_database => Some(KeptDump::of_snapshot(
                self.source,
                description,
                &self.folder,
                &mut |bytes| {
                    self.track
                        .progress(RESTORE_FILES, |p| p.done_bytes = done.0 + bytes);
                    self.track.check()
                },
            )?),
            _ => None,
        };
        self.former.write_down(&self.parts.store)?;
        let message = format!("Staged {} entries, every hash checked.", done.1);
        self.track.complete(RESTORE_FILES, message)?;
        Ok(dump)
    }

    fn extract(
        &self,
        staging: &Path,
        prefix: &EntryPath,
        below: &[EntryPath],
        (bytes, files): (u64, u64),
    ) -> Result<(u64, u64)> {
        let options = ExtractOptions {
            select: match below {
                [] => vec![prefix.clone()],
                chosen => chosen.to_vec(),
            },
            strip: Some(prefix.clone()),
            owners: geteuid().is_root(),
            limits: self.source.limits(),
        };
        let target = Dir::open_ambient_dir(staging, cap_std::ambient_authority())
            .with_context(|| format!("open {}", staging.display()))?;
        let summary = self
            .source
            .ranged()?
            .extract(&target, &options, &mut |done| {
                self.track.check()?;
                self.track.progress(RESTORE_FILES, |p| {
                    p.done_bytes = bytes + done.bytes;
                    p.done_files = files + done.entries;
                });
                Ok(())
            })?;
        super::warn(self.track, &summary.warnings);
        Ok((bytes + summary.bytes, files + summary.entries))
    }

    /// Dumps the database as it is. Without that nothing is changed.
    fn keep(&mut self, source: &Source, has_dump: bool) -> Result<Option<Database>> {
        if !has_dump {
            self.track.skip(KEEP_FORMER, "No database is restored.")?;
            return Ok(None);
        }
        self.track.begin(KEEP_FORMER)?;
        let database = database_of(source, &self.former, &self.folder)?;
        let limits = Limits::until(self.track.cancel());
        let dump = KeptDump::of_present(&database, &self.folder, &limits, |n| {
            self.track.progress(KEEP_FORMER, |p| p.done_bytes += n);
            Ok(())
        })?;
        self.former.database = Some(dump);
        self.former.write_down(&self.parts.store)?;
        self.track
            .complete(KEEP_FORMER, "Dumped the database as it was.")?;
        Ok(Some(database))
    }

    fn load(&self, dump: Option<KeptDump>, database: Option<Database>) -> Result<()> {
        let (Some(dump), Some(database)) = (dump, database) else {
            return self.track.skip(RESTORE_DB, "No database is restored.");
        };
        self.track.begin(RESTORE_DB)?;
        self.track
            .progress(RESTORE_DB, |p| p.total_bytes = Some(dump.bytes()));
        let limits = Limits::until(self.track.cancel());
        dump.load(&database, &self.folder, &limits, |n| {
            self.track.progress(RESTORE_DB, |p| p.done_bytes += n);
            self.track.check()
        })?;
        dump.discard()?;
        self.track
            .complete(RESTORE_DB, "Loaded the database, and found its tables.")
    }

    /// After a failure: the former state back, or kept when even that fails.
    fn turn_back(&self) -> String {
        let source = self.parts.host.source(&self.former.source_id);
        let back = source.and_then(|source| turn_back(&self.former, self.parts, &source));
        match back {
            Ok(message) => message.to_owned(),
            Err(e) => {
                self.track.amend(|job| job.can_undo = true);
                format!(
                    "The former state could not be put back ({e}); it is kept, and can be by undo."
                )
            }
        }
    }
}

/// Puts the former state back and forgets it.
fn turn_back(former: &Former, parts: &Parts, source: &Source) -> Result<&'static str> {
    let store = &parts.store;
    if former.phase == Phase::Staging {
        former.remove(store)?;
        return Ok("Nothing that was there was touched; what was staged is removed.");
    }
    former.files_back()?;
    let folder = former.folder(store);
    if former.phase == Phase::Loading || former.phase == Phase::Undoing {
        let database = database_of(source, former, &folder)?;
        former.database_back(&database, &folder, &Limits::default(), |_| Ok(()))?;
    }
    former.remove(store)?;
    Ok("The former state was put back.")
}

/// Undoes a restore in place: runs as a job of its own.
///
/// # Errors
/// What failed, with its stage. The former state stays kept then.
pub(super) fn undo(parts: &Parts, track: &Track, undone: &JobId) -> Result<(), Failure> {
    let store = &parts.store;
    let begin = || -> Result<(Former, Source)> {
        track.begin(SWAP_FILES)?;
        let mut former = kept(store, undone)?;
        let source = parts.host.source(&former.source_id)?;
        former.enter(store, Phase::Undoing)?;
        if former.database.is_some() {
            former.close_site(store, &root_of(&source)?)?;
        }
        former.files_back()?;
        track.complete(SWAP_FILES, "The files are as they were.")?;
        Ok((former, source))
    };
    let (former, source) = begin().in_stage(SWAP_FILES)?;
    let load = || -> Result<()> {
        let Some(dump) = &former.database else {
            return track.skip(RESTORE_DB, "The restore had not touched the database.");
        };
        track.begin(RESTORE_DB)?;
        track.lead(RESTORE_DB);
        track.progress(RESTORE_DB, |p| p.total_bytes = Some(dump.bytes()));
        let folder = former.folder(store);
        let database = database_of(&source, &former, &folder)?;
        former.database_back(&database, &folder, &Limits::default(), |n| {
            track.progress(RESTORE_DB, |p| p.done_bytes += n);
            Ok(())
        })?;
        track.complete(RESTORE_DB, "The database is as it was.")
    };
    load().in_stage(RESTORE_DB)?;
    let clean = || -> Result<()> {
        track.begin(CLEANUP)?;
        former.remove(store)?;
        track.complete(CLEANUP, "Removed what had been restored.")
    };
    clean().in_stage(CLEANUP)
}

/// Drops the former state for good.
///
/// # Errors
/// `NotFound` when the job keeps none; what the disk says, and then it may be tried again.
pub(super) fn confirm(parts: &Parts, job: &JobId) -> Result<()> {
    let mut former = kept(&parts.store, job)?;
    former.enter(&parts.store, Phase::Dropping)?;
    former.remove(&parts.store)
}

/// Deals with a restore in place that a former process was in the middle of.
pub(super) fn recover(parts: &Parts, job: &mut Job) -> Result<&'static str> {
    let former = parts.store.read(|db| formers::get::<Former>(db, &job.id))?;
    let Some(former) = former else {
        return Ok("interrupted: backupd was ended while the restore ran; nothing was touched");
    };
    if former.phase == Phase::Kept {
        job.can_undo = true;
        return Ok(
            "interrupted: backupd was ended just after everything was restored; \
                   the former state is kept",
        );
    }
    let source = parts.host.source(&former.source_id);
    match source.and_then(|source| turn_back(&former, parts, &source)) {
        Ok(_) => Ok("interrupted: backupd was ended while the restore ran; \
                     everything is as it was before it"),
        Err(error) => {
            tracing::error!(job = %job.id, %error, "the former state could not be put back yet");
            job.can_undo = true;
            Ok(
                "interrupted: backupd was ended while the restore ran; the former state is kept, \
                undo brings it back",
            )
        }
    }
}

/// Removes what was confirmed and not yet gone when a former process ended.
pub(super) fn finish_dropping(parts: &Parts) -> Result<()> {
    for former in parts.store.read(formers::all::<Former>)? {
        if former.phase == Phase::Dropping {
            former.remove(&parts.store)?;
        }
    }
    Ok(())
}

fn kept(store: &Store, job: &JobId) -> Result<Former> {
    let former = store.read(|db| formers::get::<Former>(db, job))?;
    former.with_context(|| format!("job {job} keeps no former state"))
}

/// The source's database, as its config says; where that is lost or broken, as the staged one does.
fn database_of(source: &Source, former: &Former, folder: &Path) -> Result<Database> {
    let module = modules::find(&source.module)?;
    let mut plan = module.plan(&source.settings, folder);
    for place in &former.places {
        if plan.is_err() {
            let mut settings = source.settings.clone();
            settings.insert(
                "path".to_owned(),
                place.staged_path().display().to_string().into(),
            );
            plan = module.plan(&settings, folder).or(plan);
        }
    }
    plan?.database.context("the source has no database")
}

/// The web root as it is configured now: a site may have moved since the backup.
fn root_of(source: &Source) -> Result<PathBuf> {
    let path = source.settings.get("path").and_then(|p| p.as_str());
    let path = path.context("the source has no path")?;
    fs::canonicalize(path).with_context(|| format!("open {path}"))
}

/// Where a folder of the archive goes: `files` to the web root as it is now, the others to where
/// they were.
fn base_of(root: &EnvironmentRoot, source: &Source) -> Result<PathBuf> {
    match root.prefix.as_str() {
        "files" => root_of(source),
        _ => fs::canonicalize(&root.path).with_context(|| format!("open {}", root.path)),
    }
}

fn staging_name(job: &JobId) -> String {
    format!(".backupd-{job}")
}

/// What changes places below the base: the chosen paths, else what the backup had taken; none for
/// everything.
fn swapped_paths(
    root: &EnvironmentRoot,
    prefix: &EntryPath,
    chosen: &[EntryPath],
) -> Option<Vec<PathBuf>> {
    use std::os::unix::ffi::OsStrExt as _;
    let whole = chosen.is_empty() || chosen.contains(prefix);
    if !whole {
        let skip = prefix.as_bytes().len() + 1;
        let below = |p: &EntryPath| std::ffi::OsStr::from_bytes(&p.as_bytes()[skip..]).into();
        return Some(chosen.iter().map(below).collect());
    }
    match root.only.as_slice() {
        [] => None,
        only => Some(only.iter().map(PathBuf::from).collect()),
    }
}
