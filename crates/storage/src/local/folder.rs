//! The folders of a local store: made durable, walked in key order, tidied when empty.

use std::{
    fs::{self, DirBuilder, File},
    io,
    path::Path,
};

use backupd_base::{Context as _, Result};

use crate::local::is_missing;

/// Where uploads under way lie. No key begins with a dot.
pub(super) const UPLOADS: &str = ".uploads";

/// Makes `path` and what is missing above it (0700), each durable in its parent.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = match builder.create(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = path.parent() else {
                return Err(e);
            };
            make_folder(parent)?;
            builder.create(path)
        }
        made => made,
    };
    match made {
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(e),
    }
}

/// Makes the names in a folder survive a crash.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()?;
    }
    Ok(())
}

/// Removes a file, durably. One that is not there is `Ok`.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => path
            .parent()
            .map_or(Ok(()), sync_folder)
            .context("sync folder"),
        Err(e) if is_missing(&e) => Ok(()),
        Err(e) => Err(e).context("remove it"),
    }
}

/// Removes the empty folders above `path`, up to the store's own. Best effort: a folder that
/// somebody uses meanwhile is not empty, or is made again by who needs it.
pub(super) fn prune(path: &Path, root: &Path) {
    for folder in path.ancestors().skip(1) {
        if folder == root || fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Every file below `root` whose path relative to it begins with `prefix`, with its size, in
/// key order. What begins with a dot is not looked at.
pub(super) fn files_below(root: &Path, prefix: &str) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    // Only the folder that the prefix names is walked.
    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
    if folder.split('/').any(|segment| segment.starts_with('.')) {
        return Ok(found);
    }
    walk(&root.join(folder), folder, prefix, &mut found)
        .with_context(|| format!("walk {}", root.display()))?;
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, name: &str, prefix: &str, found: &mut Vec<(String, u64)>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if is_missing(&e) => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(file_name) = entry.file_name().into_string() else {
            continue;
        };
        if file_name.starts_with('.') {
            continue;
        }
        let path = match name {
            "" => file_name,
            _ => format!("{name}/{file_name}"),
        };
        let kind = entry.file_type()?;
        let on_the_way = path.starts_with(prefix) || prefix.starts_with(&path);
        if kind.is_dir() && on_the_way {
            walk(&entry.path(), &path, prefix, found)?;
        } else if kind.is_file() && path.starts_with(prefix) {
            match entry.metadata() {
                Ok(file) => found.push((path, file.len())),
                // Removed while the walk went on.
                Err(e) if is_missing(&e) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}
