//! The snapshot format: a tar, cut into zstd frames, sealed with age; beside it an encrypted index
//! of its entries and frames, and a signed manifest. `docs/snapshot-format.md` has the bytes.
//!
//! Everything is `Read` and `Write`: blocking, no network, no child process. Where the objects lie
//! and who may write there is the storage's matter; what goes into a snapshot is the modules'.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod damage;
mod entry;
mod extract;
mod frame;
mod hash;
mod index;
mod keys;
mod manifest;
mod metadata;
mod noise;
mod opened;
mod pax;
mod pipeline;
mod seal;
mod sparse;
mod spool;
mod stream;
mod tally;
mod tar_header;
mod tar_reader;
mod tar_stream;
mod target;
#[cfg(unix)]
mod tree;
#[cfg(unix)]
mod tree_size;
mod verify;
#[cfg(unix)]
mod walk;
mod warning;
mod writer;
#[cfg(unix)]
mod xattr;

pub use age::Identity;
pub use entry::{Digest, Entry, EntryKind, EntryPath, Mtime};
pub use extract::{ExtractOptions, ExtractProgress, ExtractSummary, Limits};
pub use frame::{FRAME_BYTES, Frame};
pub use index::{FORMAT, IndexEnd, IndexHeader, IndexLine, IndexReader, open_index};
pub use keys::{
    FileKey, Keypair, LentIdentity, Recipient, SnapshotKeys, file_key, parse_recipient,
};
pub use manifest::{Manifest, ManifestObject, Meta, SignedManifest, SignerKey};
pub use opened::ArchiveReader;
pub use pipeline::Turns;
pub use spool::{FrameSpool, SpoolWriter};
#[cfg(unix)]
pub use tree::TreeProgress;
#[cfg(unix)]
pub use tree_size::{TreeSize, tree_size};
pub use verify::{VerifyProgress, VerifySummary, verify};
#[cfg(unix)]
pub use walk::TreeOptions;
pub use warning::{Warning, WarningKind, Warnings};
pub use writer::{ArchiveOptions, ArchiveSummary, ArchiveWriter, Finished};
