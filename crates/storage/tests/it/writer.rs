//! The writing end of an upload.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use backupd_base::{Code, Error, Result};
use backupd_storage::{OpenUpload, Upload, UploadOptions, UploadWriter};
use backupd_testkit::eventually;
use bytes::Bytes;
use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};
use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking};

use crate::stores::{self, Store, key};

fn options() -> UploadOptions {
    UploadOptions {
        part_bytes: 5 << 20,
        ..UploadOptions::default()
    }
}

/// Writes `size` bytes in pieces of every length and returns what they were.
async fn write(upload: Arc<dyn Upload>, size: usize, seed: u64) -> Result<(u64, Bytes)> {
    let mut writer = UploadWriter::new(upload, Handle::current(), options());
    let producing = writer.clone();
    spawn_blocking(move || {
        let mut random = StdRng::seed_from_u64(seed);
        let mut body = vec![0; size];
        random.fill_bytes(&mut body);
        let mut left = body.as_slice();
        while !left.is_empty() {
            let longest = left
                .len()
                .min([1, 100, 65_536, 7 << 20][random.gen_range(0..4)]);
            let (now, later) = left.split_at(random.gen_range(1..=longest));
            writer
                .write_all(now)
                .map_err(|e| Error::caused("write", e))?;
            left = later;
        }
        drop(writer);
        let size = producing.clone().finish()?;
        assert_eq!(producing.sent(), size);
        Ok((size, body.into()))
    })
    .await
    .unwrap()
}

async fn round_trip(store: Store) {
    for (name, size) in [
        ("none", 0),
        ("one", 1),
        ("even", 10 << 20),
        ("odd", (12 << 20) + 77),
    ] {
        let key = key(name);
        let upload: Arc<dyn Upload> = store.start_upload(&key).await.unwrap().into();
        let (written, body) = write(Arc::clone(&upload), size, 5).await.unwrap();
        assert_eq!(written, size as u64);
        assert_eq!(
            store.head(&key).await.unwrap(),
            None,
            "not before completion"
        );
        upload.complete(written).await.unwrap();
        assert!(store.get(&key).await.unwrap() == body, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_the_object_in_a_folder() {
    round_trip(stores::local()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_the_object_in_a_bucket() {
    round_trip(stores::retry_throttle_s3()).await;
}

/// An upload whose parts wait for a permit each, or fail.
struct Gate {
    inner: Box<dyn Upload>,
    permits: Semaphore,
    fail_at: u32,
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Gate {
    async fn new(store: &Store, permits: usize, fail_at: u32) -> Arc<Self> {
        Arc::new(Self {
            inner: store.start_upload(&key("gated")).await.unwrap(),
            permits: Semaphore::new(permits),
            fail_at,
            inside: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Upload for Gate {
    fn open_upload(&self) -> OpenUpload {
        self.inner.open_upload()
    }

    async fn part(&self, number: u32, offset: u64, body: Bytes) -> Result<()> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        if number == self.fail_at {
            return Err(Error::new(Code::Denied, "no"));
        }
        self.inner.part(number, offset, body).await
    }

    async fn complete(&self, size: u64) -> Result<()> {
        self.inner.complete(size).await
    }

    async fn abort(&self) -> Result<()> {
        self.inner.abort().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_stops_the_writing_not_the_memory() {
    let store = stores::local();
    let gate = Gate::new(&store, 0, 0).await;
    let writing = tokio::spawn(write(gate.clone(), 40 << 20, 1));
    // Every buffer is full and waits to be sent; the writer waits for one of them.
    let within = Duration::from_secs(30);
    let most = || gate.most.load(Ordering::SeqCst);
    eventually(within, "waiting parts", async || {
        (most() == 3).then_some(())
    })
    .await;
    gate.permits.add_permits(1000);
    let (size, _) = writing.await.unwrap().unwrap();
    gate.complete(size).await.unwrap();
    assert_eq!(most(), 3, "no more buffers than allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_ends_the_writing_and_leaves_the_upload_to_abort() {
    let store = stores::local();
    let gate = Gate::new(&store, 1000, 3).await;
    let failed = write(gate.clone(), 30 << 20, 1).await.unwrap_err();
    assert_eq!(failed.code(), Code::Denied);
    let open = gate.open_upload();
    assert_eq!(
        store.open_uploads("").await.unwrap(),
        std::slice::from_ref(&open)
    );
    store.abort_upload(&open).await.unwrap();
    assert_eq!(store.open_uploads("").await.unwrap(), []);
    assert_eq!(store.list("").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_part_that_fails_is_not_overlooked() {
    let store = stores::local();
    let gate = Gate::new(&store, 1000, 2).await;
    let failed = write(gate, (5 << 20) + 1, 1).await.unwrap_err();
    assert_eq!(failed.code(), Code::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_wakes_a_writer_that_waits() {
    let store = stores::local();
    let gate = Gate::new(&store, 0, 0).await;
    let writer = UploadWriter::new(gate.clone(), Handle::current(), options());
    let mut producing = writer.clone();
    let writing = spawn_blocking(move || {
        let zeros = vec![0; 1 << 20];
        loop {
            if let Err(e) = producing.write_all(&zeros) {
                return Error::caused("write", e);
            }
        }
    });
    let within = Duration::from_secs(30);
    let waiting = async || (gate.most.load(Ordering::SeqCst) >= 2).then_some(());
    eventually(within, "waiting parts", waiting).await;
    writer.cancel();
    assert_eq!(writing.await.unwrap().code(), Code::Cancelled);
    let finished = spawn_blocking(move || writer.finish()).await.unwrap();
    assert_eq!(finished.unwrap_err().code(), Code::Cancelled);
    gate.abort().await.unwrap();
}
