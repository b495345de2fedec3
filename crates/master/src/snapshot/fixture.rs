//! A real snapshot in a folder, for tests of reading it.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use backupd_archive::{
    ArchiveOptions, ArchiveWriter, EntryPath, FORMAT, Keypair, Manifest, ManifestObject,
};
use backupd_base::{JobId, NodeId, ProviderId, SnapshotId, SourceId, TenantId};
use backupd_storage::{Local, SnapshotPrefix, Storage as _};
use chrono::Utc;
use tempfile::TempDir;

use super::Opened;

#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A snapshot of these files, opened. The folder is the store.
pub async fn snapshot(files: &[(&str, &str)]) -> (TempDir, Opened) {
    let keys = Keypair::generate();
    let recipients = vec![keys.recipient(), Keypair::generate().recipient()];
    let (archive, index) = (Bytes::default(), Bytes::default());
    let options = ArchiveOptions::new(recipients);
    let mut writer = ArchiveWriter::new(archive.clone(), index.clone(), options).unwrap();
    for (path, content) in files {
        let path = EntryPath::new(*path).unwrap();
        writer
            .append_bytes(&path, content.as_bytes(), Utc::now())
            .unwrap();
    }
    let summary = writer.finish().unwrap().summary;

    let folder = tempfile::tempdir().unwrap();
    let storage = Local::new(folder.path().join("store")).unwrap();
    let (tenant_id, source_id, id) = (TenantId::new(), SourceId::new(), SnapshotId::new());
    let prefix = SnapshotPrefix::new(&tenant_id, &source_id, &id);
    let taken = |bytes: Bytes| std::mem::take(&mut *bytes.0.lock().unwrap());
    storage
        .put(&prefix.archive(), taken(archive).into())
        .await
        .unwrap();
    storage
        .put(&prefix.index(), taken(index).into())
        .await
        .unwrap();
    let node_id = NodeId::new();
    let manifest = Manifest {
        format: FORMAT,
        tenant_id,
        source_id,
        snapshot_id: id.clone(),
        job_id: JobId::new(),
        node_id: Some(node_id.clone()),
        module: "wordpress".into(),
        sequence: 1,
        previous: None,
        created_at: Utc::now(),
        archive: ManifestObject {
            name: "backup.tar.zst.age".into(),
            bytes: summary.archive_bytes,
            sha256: summary.archive_sha256,
        },
        index: ManifestObject {
            name: "index.jsonl.zst.age".into(),
            bytes: summary.index_bytes,
            sha256: summary.index_sha256,
        },
        content_bytes: summary.content_bytes,
        entries: summary.entries,
        consistent: true,
        warnings_count: 0,
        recipients: Vec::new(),
        program: "test".into(),
    };
    let opened = Opened {
        id,
        source_name: "shop.example".into(),
        node_id,
        provider_id: ProviderId::new(),
        provider_name: "Folder".into(),
        storage: Arc::new(storage),
        prefix,
        manifest,
        identity: keys,
    };
    (folder, opened)
}
