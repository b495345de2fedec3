//! Cancelling stops at once and leaves no thread behind; so does a store that fails.

use std::{
    fs,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use backupd_archive::{
    ArchiveOptions, ArchiveWriter, ExtractOptions, FrameSpool, Keypair, TreeOptions, verify,
};
use backupd_base::{Code, Error};

use crate::{
    child::in_child,
    fixture::{Snapshot, UNLIMITED, noise, open},
};

fn options() -> ArchiveOptions {
    let recipients = [Keypair::generate(), Keypair::generate()];
    ArchiveOptions {
        workers: 3,
        ..ArchiveOptions::new(recipients.map(|pair| pair.recipient()).to_vec())
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "stopped on request")
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Counts what it gets, until it may have no more.
struct Store {
    got: Arc<AtomicU64>,
    room: u64,
}

impl Write for Store {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.got.load(Ordering::SeqCst) > self.room {
            return Err(Error::new(Code::Unavailable, "upload part 3").into());
        }
        self.got.fetch_add(buf.len() as u64, Ordering::SeqCst);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn cancelling_ends_every_thread() {
    in_child("cancel::cancelling_ends_every_thread", None, || {
        let tree = tempfile::tempdir().unwrap();
        for n in 0..12 {
            fs::write(tree.path().join(format!("{n}")), noise(3_000_000)).unwrap();
        }
        let before = threads();
        for stop_after in [0, 1, 5, 40, 100] {
            let got = Arc::new(AtomicU64::new(0));
            let store = Store {
                got: got.clone(),
                room: u64::MAX,
            };
            let mut writer = ArchiveWriter::new(store, Vec::new(), options()).unwrap();
            assert!(threads() > before);
            let mut calls = 0;
            let result = writer.append_tree(
                tree.path(),
                &"files".parse().unwrap(),
                &TreeOptions::default(),
                &mut |_| {
                    calls += 1;
                    if calls > stop_after {
                        Err(cancelled())
                    } else {
                        Ok(())
                    }
                },
            );
            assert_eq!(result.unwrap_err().code(), Code::Cancelled);
            assert_eq!(calls, stop_after + 1, "it was asked once more and stopped");
            drop(writer);
            assert_eq!(threads(), before);
            assert_eq!(Arc::strong_count(&got), 1, "the store was let go");
        }

        let mut spool = FrameSpool::create(&tree.path().join("spool"), 2, 3).unwrap();
        spool.write_all(&noise(5_000_000)).unwrap();
        drop(spool);
        assert_eq!(threads(), before);
    });
}

#[test]
fn a_failing_store_stops_the_reading() {
    in_child("cancel::a_failing_store_stops_the_reading", None, || {
        let tree = tempfile::tempdir().unwrap();
        for n in 0..20 {
            fs::write(tree.path().join(format!("{n:02}")), noise(2_000_000)).unwrap();
        }
        let before = threads();
        let store = Store {
            got: Arc::default(),
            room: 3_000_000,
        };
        let mut writer = ArchiveWriter::new(store, Vec::new(), options()).unwrap();
        let mut read = 0;
        let error = writer
            .append_tree(
                tree.path(),
                &"files".parse().unwrap(),
                &TreeOptions::default(),
                &mut |p| {
                    read = p.bytes;
                    Ok(())
                },
            )
            .unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "the store's own: {error}");
        assert!(
            read < 30_000_000,
            "{read} bytes were read after the store had failed"
        );
        let again = writer.append_bytes(
            &"x".parse().unwrap(),
            &noise(10_000_000),
            std::time::SystemTime::now(),
        );
        assert!(again.is_err());
        drop(writer);
        assert_eq!(threads(), before);
    });
}

#[test]
fn reading_is_cancelled_too() {
    let (tree, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(tree.path().join("a"), noise(3_000_000)).unwrap();
    fs::write(tree.path().join("b"), noise(3_000_000)).unwrap();
    let snapshot = Snapshot::of_tree(tree.path());
    let stop = |bytes| {
        if bytes > 4_000_000 {
            Err(cancelled())
        } else {
            Ok(())
        }
    };

    let error = verify(
        &snapshot.archive[..],
        &snapshot.index[..],
        snapshot.keys(),
        None,
        &mut |p| stop(p.bytes),
    );
    assert_eq!(error.unwrap_err().code(), Code::Cancelled);

    let options = ExtractOptions::all(UNLIMITED);
    let error = snapshot
        .sequential()
        .extract(&open(target.path()), &options, &mut |p| stop(p.bytes));
    assert_eq!(error.unwrap_err().code(), Code::Cancelled);
    let left: Vec<_> = fs::read_dir(target.path().join("files"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["a"], "the one under way is gone");
}
