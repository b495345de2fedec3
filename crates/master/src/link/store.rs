//! A node's own store, read over its link.

use std::ops::Range;

use async_trait::async_trait;
use backupd_base::{Code, Error, ProviderId, Result, SnapshotId};
use backupd_storage::{Guarantees, Key, ObjectInfo, OpenUpload, Storage, Upload};
use bytes::Bytes;

use super::Link;

/// The objects of one store on a node, read-only: what is written there, the node writes.
pub struct NodeStore {
    link: Link,
    provider: ProviderId,
}

impl NodeStore {
    /// The store `provider` of the node at the end of `link`.
    #[must_use]
    pub fn new(link: Link, provider: ProviderId) -> Self {
        Self { link, provider }
    }

    fn query(&self) -> [(&str, &str); 1] {
        [("provider", self.provider.as_str())]
    }
}

/// The route of an object of a snapshot.
fn route(key: &Key) -> Result<String> {
    let mut segments = key.as_str().rsplit('/');
    let object = match segments.next() {
        Some("backup.tar.zst.age") => "download",
        Some("index.jsonl.zst.age") => "files",
        Some("manifest.json") => "manifest",
        _ => return Err(missing(key)),
    };
    let id = segments.next().and_then(|id| id.parse::<SnapshotId>().ok());
    let id = id.ok_or_else(|| missing(key))?;
    Ok(format!("snapshots/{id}/{object}"))
}

fn missing(key: &Key) -> Error {
    Error::new(Code::NotFound, format!("a node serves no {key}"))
}

fn read_only() -> Error {
    Error::new(Code::Denied, "only the node itself writes to its own store")
}

#[async_trait]
impl Storage for NodeStore {
    async fn get(&self, key: &Key) -> Result<Bytes> {
        self.link.bytes(&route(key)?, &self.query()).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let got = self.link.range(&route(key)?, &self.query(), range).await?;
        Ok(got.0)
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        let got = self.link.range(&route(key)?, &self.query(), 0..1).await;
        match got {
            Ok((_, size)) => Ok(Some(ObjectInfo {
                key: key.clone(),
                size,
            })),
            Err(e) if e.code() == Code::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn put(&self, _key: &Key, _body: Bytes) -> Result<()> {
        Err(read_only())
    }

    async fn start_upload(&self, _key: &Key) -> Result<Box<dyn Upload>> {
        Err(read_only())
    }

    async fn open_uploads(&self, _prefix: &str) -> Result<Vec<OpenUpload>> {
        Err(read_only())
    }

    async fn abort_upload(&self, _upload: &OpenUpload) -> Result<()> {
        Err(read_only())
    }

    /// The node's catalogue is the listing; see `GET /snapshots`.
    async fn list(&self, _prefix: &str) -> Result<Vec<ObjectInfo>> {
        Err(read_only())
    }

    async fn delete(&self, _key: &Key) -> Result<()> {
        Err(read_only())
    }

    async fn guarantees(&self, _scratch: &Key) -> Result<Guarantees> {
        Err(read_only())
    }
}

#[cfg(test)]
mod tests {
    use backupd_base::{SourceId, TenantId};
    use backupd_storage::SnapshotPrefix;

    use super::*;

    #[test]
    fn every_object_of_a_snapshot_has_its_route() {
        let id = SnapshotId::new();
        let prefix = SnapshotPrefix::new(&TenantId::new(), &SourceId::new(), &id);
        for (key, object) in [
            (prefix.archive(), "download"),
            (prefix.index(), "files"),
            (prefix.manifest(), "manifest"),
        ] {
            assert_eq!(route(&key).unwrap(), format!("snapshots/{id}/{object}"));
        }
        assert_eq!(route(&prefix.meta()).unwrap_err().code(), Code::NotFound);
        let odd = Key::new("manifest.json").unwrap();
        assert_eq!(route(&odd).unwrap_err().code(), Code::NotFound);
    }
}
