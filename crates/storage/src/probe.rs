//! "Test connection": does with a store what a backup will do, and says what it found.

use std::fmt;

use backupd_base::{Code, Error, Result};
use bytes::Bytes;

use crate::{Key, Storage};

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// Writing an object.
    Write,
    /// Reading it, whole and in part.
    Read,
    /// Finding it in a listing.
    List,
    /// An upload in parts, completed; and one aborted.
    Multipart,
    /// Whether the store refuses to replace an object.
    NoOverwrite,
    /// Whether the credential may delete.
    Delete,
    /// Whether the store refuses damaged bytes.
    Checksum,
    /// Whether the store's clock agrees with this computer's.
    Clock,
}

impl Check {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::List => "list",
            Self::Multipart => "multipart",
            Self::NoOverwrite => "no_overwrite",
            Self::Delete => "delete",
            Self::Checksum => "checksum",
            Self::Clock => "clock",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, but something is to be known.
    Warning,
    /// Backups would fail.
    Bad,
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub check: Check,
    /// How it is to be taken.
    pub level: Level,
    /// What was found, in a sentence.
    pub message: String,
}

/// More than this many seconds apart, and S3 servers refuse some day: they allow 900.
const CLOCK_TOLERATED: u64 = 60;

const BODY: &[u8] =
    b"backupd tests whether it can keep backups here. This object may be deleted.\n";

/// Tries the store below `folder` (the folder that the credential may write to, or empty), with
/// objects of a few bytes under random names that are removed again where the store allows it.
/// Findings come in the order of [`Check`]; after a failed write nothing else is tried.
pub async fn probe(storage: &dyn Storage, folder: &str) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    let id = uuid::Uuid::now_v7();
    let folder = folder.trim_matches('/');
    let folder = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    let (single, parts) = match keys(&folder, &id) {
        Ok(keys) => keys,
        Err(e) => {
            findings.bad(Check::Write, &e);
            return findings.0;
        }
    };
    if let Err(e) = storage.put(&single, Bytes::from_static(BODY)).await {
        findings.write_failed(&e);
        return findings.0;
    }
    findings.good(Check::Write, "Objects can be written.");
    findings.read(read(storage, &single).await);
    findings.list(
        storage
            .list(single.as_str())
            .await
            .map(|found| !found.is_empty()),
    );
    let completed = multipart(storage, &parts).await;
    findings.multipart(completed);
    findings.guarantees(storage, &single).await;
    findings.delete(storage, [&single, &parts]).await;
    findings.0.sort_by_key(|finding| finding.check as u8);
    findings.0
}

fn keys(folder: &str, id: &uuid::Uuid) -> Result<(Key, Key)> {
    let key = |name: &str| Key::new(format!("{folder}backupd-test/{id}-{name}"));
    Ok((key("single")?, key("parts")?))
}

async fn read(storage: &dyn Storage, key: &Key) -> Result<bool> {
    let whole = storage.get(key).await?;
    let range = storage.get_range(key, 8..13).await?;
    Ok(whole == BODY && range == BODY[8..13])
}

/// One upload completed, one begun, found again and aborted.
async fn multipart(storage: &dyn Storage, key: &Key) -> Result<bool> {
    let upload = storage.start_upload(key).await?;
    let sent = async {
        upload.part(1, 0, Bytes::from_static(BODY)).await?;
        upload.complete(BODY.len() as u64).await
    };
    if let Err(e) = sent.await {
        let _ = upload.abort().await;
        return Err(e);
    }
    let key = Key::new(format!("{key}-aborted"))?;
    let upload = storage.start_upload(&key).await?;
    let open = upload.open_upload();
    let listed = storage.open_uploads(key.as_str()).await;
    upload.abort().await?;
    Ok(listed.is_ok_and(|found| found.contains(&open)))
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: Check, level: Level, message: impl Into<String>) {
        self.0.push(Finding {
            check,
            level,
            message: message.into(),
        });
    }

    fn good(&mut self, check: Check, message: &str) {
        self.add(check, Level::Good, message);
    }

    fn bad(&mut self, check: Check, error: &Error) {
        self.add(check, Level::Bad, sentence(error));
    }

    fn write_failed(&mut self, error: &Error) {
        let check = match error.code() {
            Code::ClockSkew => Check::Clock,
            _ => Check::Write,
        };
        self.bad(check, error);
    }

    fn read(&mut self, same: Result<bool>) {
        match same {
            Ok(true) => self.good(Check::Read, "What was written comes back, whole and in part."),
            Ok(false) => self.add(
                Check::Read,
                Level::Bad,
                "What comes back is not what was written.",
            ),
            Err(e) if e.code() == Code::Denied => self.add(
                Check::Read,
                Level::Warning,
                "This key may not read. A stolen server learns nothing, but it cannot verify or restore either.",
            ),
            Err(e) => self.bad(Check::Read, &e),
        }
    }

    fn list(&mut self, listed: Result<bool>) {
        match listed {
            Ok(true) => self.good(Check::List, "Objects can be listed."),
            Ok(false) => self.add(
                Check::List,
                Level::Bad,
                "The object that was written is not in the listing.",
            ),
            Err(e) if e.code() == Code::Denied => self.add(
                Check::List,
                Level::Warning,
                "This key may not list. Lost and unknown backups are found with a second key only.",
            ),
            Err(e) => self.bad(Check::List, &e),
        }
    }

    fn multipart(&mut self, found_open: Result<bool>) {
        match found_open {
            Ok(true) => self.good(
                Check::Multipart,
                "Uploads in parts can be completed and aborted.",
            ),
            Ok(false) => self.add(
                Check::Multipart,
                Level::Warning,
                "Uploads in parts work, but open ones cannot be listed: what an interrupted backup leaves may stay.",
            ),
            Err(e) => self.bad(Check::Multipart, &e),
        }
    }

    async fn guarantees(&mut self, storage: &dyn Storage, scratch: &Key) {
        let found = match storage.guarantees(scratch).await {
            Ok(found) => found,
            Err(e) => {
                self.add(Check::NoOverwrite, Level::Warning, sentence(&e));
                return;
            }
        };
        if found.no_overwrite {
            self.good(
                Check::NoOverwrite,
                "The store refuses to replace an object.",
            );
        } else {
            self.add(
                Check::NoOverwrite,
                Level::Warning,
                "The store lets objects be replaced. Turn on versioning or object lock, so that a stolen key cannot ruin backups.",
            );
        }
        if found.checksum {
            self.good(Check::Checksum, "The store refuses damaged bytes.");
        } else {
            self.add(
                Check::Checksum,
                Level::Warning,
                "The store does not check CRC32C checksums. Damage is found when a backup is verified.",
            );
        }
        match found.clock_ahead {
            Some(seconds) if seconds.unsigned_abs() > CLOCK_TOLERATED => self.add(
                Check::Clock,
                Level::Warning,
                format!(
                    "This server's clock is {} seconds {} the store's. Correct it; beyond 900 seconds stores refuse.",
                    seconds.unsigned_abs(),
                    if seconds > 0 { "behind" } else { "ahead of" }
                ),
            ),
            Some(_) => self.good(Check::Clock, "The clocks agree."),
            None => {}
        }
    }

    async fn delete(&mut self, storage: &dyn Storage, keys: [&Key; 2]) {
        let mut refused = None;
        for key in keys {
            if let Err(e) = storage.delete(key).await {
                refused = Some(e);
            }
        }
        match refused {
            None => self.add(
                Check::Delete,
                Level::Warning,
                "This key may delete. Whoever breaks into the server could delete its backups; a key that may only write is safer.",
            ),
            Some(e) if e.code() == Code::Denied => self.good(
                Check::Delete,
                "This key may not delete. Two test objects of a few bytes stay below backupd-test.",
            ),
            Some(e) => self.bad(Check::Delete, &e),
        }
    }
}

/// An error as a sentence for people.
fn sentence(error: &Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}
