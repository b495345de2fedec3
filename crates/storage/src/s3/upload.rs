//! A multipart upload: parts with their checksums, and a completion that is believed only when
//! the object is seen.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use aws_sdk_s3::{
    primitives::ByteStream,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use backupd_base::{Code, Error, Result};
use bytes::Bytes;

use crate::{
    Key, OpenUpload, Upload,
    s3::{Inner, Seen, TAG, crc32c, failure::Failure, taken},
};

pub(super) struct S3Upload {
    store: Arc<Inner>,
    open: OpenUpload,
    /// Random; the object carries it, so it is known as this upload's and nobody else's.
    tag: String,
    checksums: bool,
    asked: AtomicBool,
    parts: Mutex<BTreeMap<u32, Part>>,
}

#[derive(Clone)]
struct Part {
    size: u64,
    etag: String,
    crc32c: Option<String>,
}

impl S3Upload {
    pub(super) async fn start(store: Arc<Inner>, key: &Key) -> Result<Self> {
        let what = format!("begin upload of {key}");
        let tag = uuid::Uuid::new_v4().to_string();
        let mut checksums = !store.is_plain();
        let id = match create(&store, key, &tag, checksums).await {
            Err(e) if e.is_not_implemented() && checksums => {
                store.plain.store(true, Ordering::Relaxed);
                checksums = false;
                create(&store, key, &tag, false).await
            }
            begun => begun,
        };
        let id = id.map_err(|e| e.into_error(&what))?;
        let id = id.ok_or_else(|| {
            Error::new(
                Code::Incompatible,
                format!("{what}: no upload id in the answer"),
            )
        })?;
        Ok(Self {
            store,
            open: OpenUpload {
                key: key.clone(),
                id,
            },
            tag,
            checksums,
            asked: AtomicBool::new(false),
            parts: Mutex::default(),
        })
    }

    /// The parts in order, if they make up `size`.
    fn manifest(&self, size: u64) -> Result<CompletedMultipartUpload> {
        let parts = self.parts.lock().expect("no holder of this lock panics");
        let sum: u64 = parts.values().map(|part| part.size).sum();
        if sum != size {
            let what = format!(
                "complete {}: the parts make up {sum} bytes, not {size}",
                self.open.key
            );
            return Err(Error::new(Code::Corrupt, what));
        }
        let parts = parts.iter().map(|(number, part)| {
            CompletedPart::builder()
                .part_number(number.cast_signed())
                .e_tag(&part.etag)
                .set_checksum_crc32_c(part.crc32c.clone())
                .build()
        });
        Ok(CompletedMultipartUpload::builder()
            .set_parts(Some(parts.collect()))
            .build())
    }

    /// Asks for completion. `Ok` is the server's word, still to be checked.
    async fn ask(&self, parts: CompletedMultipartUpload) -> std::result::Result<(), Failure> {
        let store = &self.store;
        let request = || {
            let mut request = store
                .client
                .complete_multipart_upload()
                .bucket(&store.bucket)
                .key(store.full_key(&self.open.key))
                .upload_id(&self.open.id)
                .multipart_upload(parts.clone());
            if !store.is_plain() {
                request = request.if_none_match("*");
            }
            request.send()
        };
        let answer = match store.call(0, request).await {
            Err(e) if e.is_not_implemented() && !store.is_plain() => {
                store.plain.store(true, Ordering::Relaxed);
                store.call(0, request).await
            }
            answer => answer,
        };
        answer.map(|_| ())
    }

    /// Whether an object of `found` bytes that lies under the key is this upload, whole.
    fn judge(&self, size: u64, found: u64, tag: Option<&str>) -> Result<()> {
        let key = &self.open.key;
        let ours = match tag {
            Some(tag) => tag == self.tag,
            // The credential may not see tags. Keys are unique, so what appeared after
            // completion was asked for is ours.
            None => self.asked.load(Ordering::Relaxed),
        };
        if !ours {
            return Err(taken(key));
        }
        if found == size {
            return Ok(());
        }
        let what = format!("complete {key}: the object has {found} bytes, not {size}");
        Err(Error::new(Code::Corrupt, what))
    }
}

async fn create(
    store: &Inner,
    key: &Key,
    tag: &str,
    checksums: bool,
) -> std::result::Result<Option<String>, Failure> {
    let request = || {
        let create = store.client.create_multipart_upload();
        create
            .bucket(&store.bucket)
            .key(store.full_key(key))
            .metadata(TAG, tag)
            .set_checksum_algorithm(checksums.then_some(ChecksumAlgorithm::Crc32C))
            .send()
    };
    Ok(store.call(0, request).await?.upload_id)
}

#[async_trait]
impl Upload for S3Upload {
    fn open_upload(&self) -> OpenUpload {
        self.open.clone()
    }

    async fn part(&self, number: u32, _offset: u64, body: Bytes) -> Result<()> {
        let what = format!("upload part {number} of {}", self.open.key);
        let store = &self.store;
        let size = body.len() as u64;
        let checksum = self.checksums.then(|| crc32c(&body));
        let request = || {
            let part = store.client.upload_part().bucket(&store.bucket);
            part.key(store.full_key(&self.open.key))
                .upload_id(&self.open.id)
                .part_number(number.cast_signed())
                .set_checksum_crc32_c(checksum.clone())
                .body(ByteStream::from(body.clone()))
                .send()
        };
        let answer = store.call(size, request).await;
        let answer = answer.map_err(|e| e.into_error(&what))?;
        if let (Some(sent), Some(stored)) = (&checksum, answer.checksum_crc32_c())
            && sent != stored
        {
            let what = format!("{what}: the store has other bytes than were sent");
            return Err(Error::new(Code::Unavailable, what));
        }
        let etag = answer.e_tag.ok_or_else(|| {
            Error::new(Code::Incompatible, format!("{what}: no ETag in the answer"))
        })?;
        let part = Part {
            size,
            etag,
            crc32c: checksum,
        };
        let mut parts = self.parts.lock().expect("no holder of this lock panics");
        parts.insert(number, part);
        Ok(())
    }

    async fn complete(&self, size: u64) -> Result<()> {
        let key = &self.open.key;
        let what = format!("complete {key}");
        let parts = self.manifest(size)?;
        // It is there already when an earlier answer was lost, or when somebody else wrote it and
        // the server is one that would replace it.
        if let Seen::Object { size: found, tag } = self.store.look(key).await? {
            return self.judge(size, found, tag.as_deref());
        }
        let asked = self.ask(parts).await;
        self.asked.store(true, Ordering::Relaxed);
        match (self.store.look(key).await?, asked) {
            (Seen::Object { size: found, tag }, _) => self.judge(size, found, tag.as_deref()),
            // The credential may write and nothing else: the server's word is all there is.
            (Seen::Hidden, Ok(())) => Ok(()),
            (Seen::Nothing, Ok(())) => {
                let what = format!("{what}: the store said yes, but there is no object");
                Err(Error::new(Code::Unavailable, what))
            }
            (_, Err(e)) => Err(e.into_error(&what)),
        }
    }

    async fn abort(&self) -> Result<()> {
        self.store.abort_upload(&self.open).await
    }
}
