//! What is printed: each step as it holds, and at the end what all of it proved.

use std::time::Duration;

/// What the demo found out, in numbers.
pub struct Facts {
    /// Files of the site that were compared.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Tables that were compared.
    pub tables: usize,
    /// Rows in them.
    pub rows: u64,
    /// Size of the encrypted archive.
    pub stored: u64,
    /// How long the backup took.
    pub backup: Duration,
    /// How long the lost site was away, from the order to restore it.
    pub recovery: Duration,
}

/// A part that begins.
pub fn part(title: &str) {
    println!("\n{title}");
}

/// A step that held.
pub fn held(what: impl AsRef<str>) {
    println!("  ✓ {}", what.as_ref());
}

/// What it all proved.
pub fn summary(facts: &Facts, whole: Duration) {
    part("What this proved");
    held(format!(
        "{} files ({}) and {} tables ({} rows) came back equal, byte by byte and row by row.",
        facts.files,
        megabytes(facts.bytes),
        facts.tables,
        facts.rows
    ));
    held(format!(
        "The backup took {:.1} s and {} of storage, encrypted before it left the server.",
        facts.backup.as_secs_f64(),
        megabytes(facts.stored)
    ));
    held(format!(
        "The lost site was back {:.1} s after the order, with nothing but the snapshot.",
        facts.recovery.as_secs_f64()
    ));
    held("A wrong code let nobody in; the right one never went over the wire.");
    held("The recovery kit, age, zstd and tar alone open the snapshot, without this program.");
    held(format!("All of it took {:.0} s.", whole.as_secs_f64()));
}

/// For people.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
