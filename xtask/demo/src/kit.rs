//! What somebody does whose computer is gone: the printed kit, the objects in the store, and
//! programs that every distribution has.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use walkdir::WalkDir;

use crate::{site::Site, story::held};

/// Opens the snapshot in `store` with the key printed in `kit`, into `folder`, and compares.
///
/// # Errors
/// When it does not open, or holds something else.
pub fn opens(kit: &Path, store: &Path, folder: &Path, site: &Site) -> Result<()> {
    fs::create_dir(folder).context("make a folder")?;
    let page = fs::read_to_string(kit).context("read the recovery kit")?;
    let secret = page
        .split(|c: char| c.is_whitespace() || c == '<' || c == '>')
        .find(|word| word.starts_with("AGE-SECRET-KEY-1"))
        .context("find the key in the recovery kit")?;
    let key = folder.join("recovery.key");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&key)
        .context("create the key file")?;
    writeln!(file, "{secret}").context("write the key file")?;

    let mut age = Command::new("age")
        .args(["--decrypt", "--identity"])
        .args([&key, &archive(store)?])
        .stdout(Stdio::piped())
        .spawn()
        .context("start age")?;
    let mut zstd = Command::new("zstd")
        .arg("--decompress")
        .stdin(age.stdout.take().context("connect age")?)
        .stdout(Stdio::piped())
        .spawn()
        .context("start zstd")?;
    let mut tar = Command::new("tar")
        .args(["--extract", "--directory"])
        .arg(folder)
        .stdin(zstd.stdout.take().context("connect zstd")?)
        .spawn()
        .context("start tar")?;
    for (name, child) in [("tar", &mut tar), ("zstd", &mut zstd), ("age", &mut age)] {
        let status = child.wait().with_context(|| format!("wait for {name}"))?;
        ensure!(status.success(), "{name}: {status}");
    }
    held("age -d | zstd -d | tar x, with the key from the printed kit, opens the snapshot");
    site.same_files(&folder.join("files/wp-content"))?;
    site.same_database(&folder.join("database.sql"))?;
    held("its files and its database are the original's too");
    Ok(())
}

/// The one archive in the store.
fn archive(store: &Path) -> Result<PathBuf> {
    WalkDir::new(store)
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .find(|path| path.ends_with("backup.tar.zst.age"))
        .context("find the archive in the server's store")
}
