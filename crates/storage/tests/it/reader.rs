//! Reading by ranges.

use std::{
    io::{Cursor, Read as _, Seek as _, SeekFrom},
    sync::{Arc, atomic::Ordering},
};

use backupd_storage::Ranged;
use bytes::Bytes;
use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::stores::{self, Store, key};

const SIZE: usize = (16 << 20) + 123;

async fn object(store: &Store) -> Bytes {
    let mut body = vec![0; SIZE];
    StdRng::seed_from_u64(1).fill_bytes(&mut body);
    let body = Bytes::from(body);
    let upload = store.start_upload(&key("object")).await.unwrap();
    upload.part(1, 0, body.clone()).await.unwrap();
    upload.complete(SIZE as u64).await.unwrap();
    body
}

fn reader(store: &Store, size: usize) -> Ranged {
    let storage = Arc::clone(&store.storage);
    Ranged::new(storage, Handle::current(), key("object"), size as u64)
}

async fn reads_like_a_file(store: Store) {
    let body = object(&store).await;
    let mut ranged = reader(&store, SIZE);
    spawn_blocking(move || {
        let mut file = Cursor::new(body);
        let mut random = StdRng::seed_from_u64(2);
        for _ in 0..60 {
            let to = match random.gen_range(0..3) {
                0 => SeekFrom::Start(random.gen_range(0..SIZE as u64 + 100)),
                1 => SeekFrom::End(-random.gen_range(0..SIZE as i64)),
                _ => SeekFrom::Current(random.gen_range(0..70_000)),
            };
            assert_eq!(ranged.seek(to).unwrap(), file.seek(to).unwrap());
            let len = random.gen_range(0..300_000);
            let (mut mine, mut theirs) = (Vec::new(), Vec::new());
            ranged.by_ref().take(len).read_to_end(&mut mine).unwrap();
            file.by_ref().take(len).read_to_end(&mut theirs).unwrap();
            assert!(mine == theirs, "{len} bytes from {to:?}");
        }
        assert!(ranged.seek(SeekFrom::Current(i64::MIN)).is_err());
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_reads_like_a_file() {
    reads_like_a_file(stores::local()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_reads_like_a_file() {
    reads_like_a_file(stores::s3()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_twice_and_a_glance_costs_little() {
    let store = stores::local();
    let body = object(&store).await;
    let mut whole = reader(&store, SIZE);
    let mut glance = reader(&store, SIZE);
    spawn_blocking(move || {
        let mut read = Vec::new();
        whole.read_to_end(&mut read).unwrap();
        assert!(read == body);
        assert_eq!(whole.fetched().load(Ordering::SeqCst), SIZE as u64);

        glance.seek(SeekFrom::Start(9 << 20)).unwrap();
        glance.read_exact(&mut [0; 100]).unwrap();
        let fetched = glance.fetched().load(Ordering::SeqCst);
        assert!(fetched <= 256 << 10, "{fetched} bytes for 100");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_shorter_than_told_is_an_error_not_an_end() {
    let store = stores::local();
    object(&store).await;
    let mut ranged = reader(&store, SIZE + 1);
    let read = spawn_blocking(move || ranged.read_to_end(&mut Vec::new()));
    assert!(read.await.unwrap().is_err());
}
