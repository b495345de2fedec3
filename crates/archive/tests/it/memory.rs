//! Memory does not grow with what is backed up.

use std::{fs, fs::File, io::Write};

use backupd_archive::{
    ArchiveOptions, ArchiveReader, ArchiveWriter, ExtractOptions, Keypair, SnapshotKeys,
    TreeOptions,
};

use crate::{
    child::in_child,
    fixture::{UNLIMITED, noise, open},
};

/// Megabytes this process had resident at most.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .next()
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

#[test]
fn writing_and_reading_are_bounded() {
    in_child("memory::writing_and_reading_are_bounded", None, || {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        let block = noise(1 << 20);
        fs::create_dir(&tree).unwrap();
        let mut large = File::create(tree.join("large")).unwrap();
        for _ in 0..256 {
            large.write_all(&block).unwrap();
        }
        for n in 0..20_000 {
            let folder = tree.join(format!("{}", n % 7));
            fs::create_dir_all(&folder).unwrap();
            fs::write(
                folder.join(format!("a rather long name for a small file {n}")),
                "small",
            )
            .unwrap();
        }
        let before = peak();

        let pairs = [Keypair::generate(), Keypair::generate()];
        let options = ArchiveOptions {
            workers: 2,
            ..ArchiveOptions::new(pairs.iter().map(Keypair::recipient).collect())
        };
        let (archive, index) = (folder.path().join("archive"), folder.path().join("index"));
        let create = |path| File::create_new(path).unwrap();
        let mut writer = ArchiveWriter::new(create(&archive), create(&index), options).unwrap();
        writer
            .append_tree(
                &tree,
                &"files".parse().unwrap(),
                &TreeOptions::default(),
                &mut |_| Ok(()),
            )
            .unwrap();
        let made = writer.finish().unwrap().summary;
        assert!(made.archive_bytes > 256 << 20);
        let written = peak() - before;
        // 2 workers: 6 chunks of 2 MiB, as many outputs, zstd's tables, the listing.
        assert!(written < 40, "writing took {written} MB");

        let target = folder.path().join("target");
        fs::create_dir(&target).unwrap();
        let keys = SnapshotKeys::both(&pairs[0]);
        let open_file = |path| File::open(path).unwrap();
        let mut reader =
            ArchiveReader::ranged(open_file(&archive), open_file(&index), keys, None).unwrap();
        reader
            .extract(&open(&target), &ExtractOptions::all(UNLIMITED), &mut |_| {
                Ok(())
            })
            .unwrap();
        let both = peak() - before;
        assert!(both < 50, "writing and reading took {both} MB");
    });
}
