//! The walk for web roots, and the size of a folder. Links are not followed.

use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// `base/customer/site/htdocs/blog`.
const MAX_DEPTH: usize = 4;
/// A base with more folders than this within the depth is not one of web roots.
const MAX_FOLDERS: usize = 50_000;
/// Folders that hold no web roots and may be very large.
const SKIPPED: &[&str] = &[
    "wp-admin",
    "wp-content",
    "wp-includes",
    "node_modules",
    "vendor",
    "proc",
    "sys",
];

/// Folders below `base` that look like a WordPress, in order.
pub(super) fn candidates(base: &Path) -> Vec<PathBuf> {
    WalkDir::new(base)
        .max_depth(MAX_DEPTH)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || is_searched(entry))
        .filter_map(Result::ok)
        .take(MAX_FOLDERS)
        .map(DirEntry::into_path)
        .filter(|folder| is_candidate(folder))
        .collect()
}

fn is_searched(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.file_type().is_dir() && !name.starts_with('.') && !SKIPPED.contains(&&*name)
}

/// WordPress itself, or a config beside content (its own files may lie elsewhere).
fn is_candidate(folder: &Path) -> bool {
    folder.join("wp-load.php").is_file()
        || (folder.join("wp-config.php").is_file() && folder.join("wp-content").is_dir())
}

/// Bytes and files below a folder.
pub(super) fn measure(folder: &Path) -> (u64, u64) {
    WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| entry.metadata().ok())
        .fold((0, 0), |(bytes, files), meta| {
            (bytes + meta.len(), files + 1)
        })
}
