//! What a backup could not keep as it was. Never silent: the caller decides whether it fails the job.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::EntryPath;

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// It changed while it was read: the copy may mix old and new.
    Changed,
    /// It was listed, and gone when it was opened.
    Vanished,
    /// It could not be read, or not to its end; what is missing of a file is zeros.
    Unreadable,
    /// It is of a kind that is not kept: a socket, a pipe, a device.
    NotKept,
    /// A part of its metadata could not be kept or set: owner, extended attributes.
    Metadata,
}

/// One entry that is not in the archive, or not on the disk, as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The entry.
    pub path: EntryPath,
    /// What happened.
    pub kind: WarningKind,
    /// In words, without the path.
    pub detail: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.detail)
    }
}

/// The warnings of one run: the first [`Warnings::KEPT`] in full, all of them counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warnings {
    list: Vec<Warning>,
    total: u64,
}

impl Warnings {
    /// So many are kept in full, so that a tree nobody may read does not fill the memory.
    pub const KEPT: usize = 1000;

    /// The first of them.
    #[must_use]
    pub fn list(&self) -> &[Warning] {
        &self.list
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn push(&mut self, path: &EntryPath, kind: WarningKind, detail: impl Into<String>) {
        self.total += 1;
        if self.list.len() < Self::KEPT {
            self.list.push(Warning {
                path: path.clone(),
                kind,
                detail: detail.into(),
            });
        }
    }
}
