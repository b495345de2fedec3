//! The contract of [`Storage`], one function for each sentence of it.

use std::sync::Arc;

use backupd_base::Code;
use backupd_storage::{GET_LIMIT, PUT_LIMIT, Upload};
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::stores::{Store, key};

/// The smallest part that S3 lets follow by another.
const PART: usize = 5 << 20;

macro_rules! suite {
    ($($store:ident)*) => {
        $(mod $store {
            suite!(@cases $store
                what_is_put_comes_back
                what_exists_is_not_overwritten
                of_many_writers_one_wins
                what_is_missing_is_told
                ranges_end_where_the_object_ends
                parts_may_come_in_any_order
                a_part_is_replaced_by_a_shorter_one
                nothing_is_visible_before_completion
                a_wrong_size_is_not_completed
                of_two_uploads_one_wins
                open_uploads_are_found_and_aborted
                lists_by_prefix_in_order
                deleting_is_idempotent
            );
        })*
    };
    (@cases $store:ident $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            super::$case(crate::stores::$store()).await;
        })*
    };
}

suite!(local s3 retry throttle retry_throttle_s3);

fn bytes(len: usize, salt: u8) -> Bytes {
    (0..len).map(|i| (i * 31 + i / 251) as u8 ^ salt).collect()
}

async fn what_is_put_comes_back(store: Store) {
    for (name, len) in [("empty", 0), ("small", 3), ("full", PUT_LIMIT)] {
        let (key, body) = (key(&format!("a/{name}.json")), bytes(len, 1));
        store.put(&key, body.clone()).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap(), body, "{name}");
        let found = store.head(&key).await.unwrap().unwrap();
        assert_eq!((found.key, found.size), (key, len as u64));
    }
    let too_large = store.put(&key("b"), bytes(PUT_LIMIT + 1, 1)).await;
    assert_eq!(too_large.unwrap_err().code(), Code::Invalid);
}

async fn what_exists_is_not_overwritten(store: Store) {
    let (key, first) = (key("a/b/manifest.json"), Bytes::from_static(b"first"));
    store.put(&key, first.clone()).await.unwrap();
    let other = store.put(&key, Bytes::from_static(b"other")).await;
    assert_eq!(other.unwrap_err().code(), Code::AlreadyExists);
    // The same bytes again are an answer that was lost.
    store.put(&key, first.clone()).await.unwrap();
    let begun = store.start_upload(&key).await.err().unwrap();
    assert_eq!(begun.code(), Code::AlreadyExists);
    assert_eq!(store.get(&key).await.unwrap(), first);
    assert_eq!(store.open_uploads("").await.unwrap(), []);
}

async fn of_many_writers_one_wins(store: Store) {
    let (key, store) = (key("contested"), Arc::clone(&store.storage));
    let mut writers = JoinSet::new();
    for number in 0..20u8 {
        let (key, store) = (key.clone(), Arc::clone(&store));
        writers.spawn(async move {
            let put = store.put(&key, bytes(1000, number)).await;
            put.map(|()| number).map_err(|e| e.code())
        });
    }
    let results = writers.join_all().await;
    let won: Vec<u8> = results
        .iter()
        .filter_map(|r| r.as_ref().ok().copied())
        .collect();
    assert_eq!(won.len(), 1, "{results:?}");
    let lost = results.iter().filter_map(|r| r.as_ref().err());
    assert!(
        lost.into_iter().all(|code| *code == Code::AlreadyExists),
        "{results:?}"
    );
    assert_eq!(store.get(&key).await.unwrap(), bytes(1000, won[0]));
}

async fn what_is_missing_is_told(store: Store) {
    store.put(&key("folder/there"), Bytes::new()).await.unwrap();
    // A folder is no object, nor is what would lie below an object.
    for missing in ["none", "folder", "folder/none", "folder/there/below"] {
        let key = key(missing);
        assert_eq!(
            store.get(&key).await.unwrap_err().code(),
            Code::NotFound,
            "{missing}"
        );
        let range = store.get_range(&key, 0..10).await;
        assert_eq!(range.unwrap_err().code(), Code::NotFound, "{missing}");
        assert_eq!(store.head(&key).await.unwrap(), None, "{missing}");
    }
}

async fn ranges_end_where_the_object_ends(store: Store) {
    let (key, body) = (key("ranged"), bytes(1000, 7));
    store.put(&key, body.clone()).await.unwrap();
    for (range, expected) in [
        (0..1000, 0..1000),
        (0..1, 0..1),
        (999..1000, 999..1000),
        (500..700, 500..700),
        (900..5000, 900..1000),
        (1000..1001, 1000..1000),
        (5000..6000, 1000..1000),
        (3..3, 3..3),
    ] {
        let got = store.get_range(&key, range.clone()).await.unwrap();
        assert_eq!(got, body[expected], "{range:?}");
    }
}

async fn send(upload: &Arc<dyn Upload>, parts: &[(u32, usize, Bytes)]) {
    let mut sent = JoinSet::new();
    for (number, offset, body) in parts.iter().cloned() {
        let upload = Arc::clone(upload);
        sent.spawn(async move { upload.part(number, offset as u64, body).await.unwrap() });
    }
    sent.join_all().await;
}

async fn parts_may_come_in_any_order(store: Store) {
    let key = key("tenants/t/sources/s/snapshots/n/backup.tar.zst.age");
    let body = bytes(3 * PART + 1234, 3);
    let upload: Arc<dyn Upload> = store.start_upload(&key).await.unwrap().into();
    let cut = |number: u32, from: usize, to: usize| (number, from, body.slice(from..to));
    // The last one first, one of them wrong at first, the others side by side.
    send(&upload, &[cut(4, 3 * PART, body.len())]).await;
    send(&upload, &[(2, PART, bytes(PART, 99))]).await;
    send(
        &upload,
        &[
            cut(3, 2 * PART, 3 * PART),
            cut(1, 0, PART),
            cut(2, PART, 2 * PART),
        ],
    )
    .await;
    upload.complete(body.len() as u64).await.unwrap();
    let found = store.head(&key).await.unwrap().unwrap();
    assert_eq!(found.size, body.len() as u64);
    assert!(store.get(&key).await.unwrap() == body);
    assert_eq!(store.open_uploads("").await.unwrap(), []);
    assert!(body.len() < GET_LIMIT as usize);
}

async fn a_part_is_replaced_by_a_shorter_one(store: Store) {
    let key = key("replaced");
    let upload = store.start_upload(&key).await.unwrap();
    upload.part(1, 0, bytes(1000, 1)).await.unwrap();
    upload.part(1, 0, bytes(600, 2)).await.unwrap();
    let former = upload.complete(1000).await;
    assert_eq!(former.unwrap_err().code(), Code::Corrupt);
    upload.complete(600).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), bytes(600, 2));
}

async fn nothing_is_visible_before_completion(store: Store) {
    let key = key("a/half");
    let upload = store.start_upload(&key).await.unwrap();
    upload.part(1, 0, bytes(PART, 1)).await.unwrap();
    assert_eq!(store.head(&key).await.unwrap(), None);
    assert_eq!(store.list("").await.unwrap(), []);
    assert_eq!(store.get(&key).await.unwrap_err().code(), Code::NotFound);
    // Dropped, it stays open, for the next process to find.
    let open = upload.open_upload();
    drop(upload);
    assert_eq!(store.open_uploads("a/").await.unwrap(), [open]);
}

async fn a_wrong_size_is_not_completed(store: Store) {
    let key = key("a/short");
    let upload = store.start_upload(&key).await.unwrap();
    upload.part(1, 0, bytes(100, 1)).await.unwrap();
    for wrong in [0, 99, 101] {
        let completed = upload.complete(wrong).await;
        assert_eq!(completed.unwrap_err().code(), Code::Corrupt, "{wrong}");
    }
    assert_eq!(store.head(&key).await.unwrap(), None);
    upload.abort().await.unwrap();
}

async fn of_two_uploads_one_wins(store: Store) {
    let key = key("a/twice");
    let first = store.start_upload(&key).await.unwrap();
    let second = store.start_upload(&key).await.unwrap();
    assert_ne!(first.open_upload(), second.open_upload());
    first.part(1, 0, bytes(100, 1)).await.unwrap();
    second.part(1, 0, bytes(100, 2)).await.unwrap();
    second.complete(100).await.unwrap();
    let lost = first.complete(100).await;
    assert_eq!(lost.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(store.get(&key).await.unwrap(), bytes(100, 2));
    first.abort().await.unwrap();
    assert_eq!(store.open_uploads("").await.unwrap(), []);
    assert_eq!(store.get(&key).await.unwrap(), bytes(100, 2));
}

async fn open_uploads_are_found_and_aborted(store: Store) {
    let mut opened = Vec::new();
    for name in ["a/one", "a/two", "b/three"] {
        let upload = store.start_upload(&key(name)).await.unwrap();
        upload.part(1, 0, bytes(100, 1)).await.unwrap();
        opened.push(upload.open_upload());
    }
    let found = async |prefix: &str| {
        let mut found = store.open_uploads(prefix).await.unwrap();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    };
    assert_eq!(found("").await, opened);
    assert_eq!(found("a/").await, opened[..2]);
    assert_eq!(found("a/tw").await, opened[1..2]);
    for upload in &opened {
        store.abort_upload(upload).await.unwrap();
        // Once more: it does not exist any more.
        store.abort_upload(upload).await.unwrap();
    }
    assert_eq!(found("").await, []);
    assert_eq!(store.list("").await.unwrap(), []);
}

async fn lists_by_prefix_in_order(store: Store) {
    let mut names: Vec<String> = ["a/b", "a/b/c", "a/bc", "a.b", "a-b", "b/a"]
        .map(str::to_owned)
        .into();
    names.extend((0..1050).map(|n| format!("many/{n}")));
    // `a/b` and `a/b/c` cannot both be files of one folder.
    names.retain(|name| name != "a/b");
    let mut writers = JoinSet::new();
    for name in names.clone() {
        let store = Arc::clone(&store.storage);
        writers.spawn(async move { store.put(&key(&name), Bytes::from(name)).await.unwrap() });
        while writers.len() > 16 {
            writers.join_next().await.unwrap().unwrap();
        }
    }
    writers.join_all().await;
    names.sort();
    for prefix in [
        "", "a", "a/", "a/b", "a/b/", "a/bc", "many/", "many/10", "none", "b/a",
    ] {
        let found = store.list(prefix).await.unwrap();
        let expected: Vec<&String> = names.iter().filter(|n| n.starts_with(prefix)).collect();
        let keys: Vec<&str> = found.iter().map(|o| o.key.as_str()).collect();
        assert_eq!(keys, expected, "{prefix}");
        assert!(found.iter().all(|o| o.size == o.key.as_str().len() as u64));
    }
}

async fn deleting_is_idempotent(store: Store) {
    let (one, two) = (key("a/b/one"), key("a/b/two"));
    store.put(&one, Bytes::from_static(b"1")).await.unwrap();
    store.put(&two, Bytes::from_static(b"2")).await.unwrap();
    for _ in 0..2 {
        store.delete(&one).await.unwrap();
        assert_eq!(store.head(&one).await.unwrap(), None);
    }
    let left = store.list("").await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].key, two);
    // A key that was deleted may be written again.
    store.put(&one, Bytes::from_static(b"3")).await.unwrap();
}
