//! A temporary file that becomes an object by one rename.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use backupd_base::{Code, Context as _, Error, Result};
use bytes::Bytes;

use crate::{
    Key, OpenUpload, Upload,
    local::{
        blocking,
        folder::{UPLOADS, make_folder, prune, sync_folder},
        is_missing,
    },
};

/// How often the way to a file is made anew when a neighbour tidies it away meanwhile.
const ATTEMPTS: usize = 16;

/// The file of an upload, below `.uploads/`.
pub(super) struct Temporary {
    root: PathBuf,
    key: Key,
    id: String,
    path: PathBuf,
    file: File,
    sync_failed: AtomicBool,
}

impl Temporary {
    /// A new, empty file (0600).
    pub(super) fn create(root: &Path, key: &Key) -> Result<Self> {
        let id = uuid::Uuid::now_v7().to_string();
        let folder = root.join(UPLOADS).join(key.as_str());
        let path = folder.join(&id);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = on_the_way(&folder, || options.open(&path)).context("create temporary file")?;
        Ok(Self {
            root: root.to_owned(),
            key: key.clone(),
            id,
            path,
            file,
            sync_failed: AtomicBool::new(false),
        })
    }

    pub(super) fn write_at(&self, offset: u64, body: &[u8]) -> Result<()> {
        write_all_at(&self.file, offset, body).context("write temporary file")
    }

    /// Cuts off what a part left that was replaced by a shorter one.
    fn cut_to(&self, size: u64) -> Result<()> {
        let found = self.file.metadata().context("look at it")?.len();
        if found < size {
            let what = format!("the temporary file has {found} bytes, not {size}");
            return Err(Error::new(Code::Corrupt, what));
        }
        if found > size {
            self.file.set_len(size).context("cut it")?;
        }
        Ok(())
    }

    /// Makes the bytes durable, gives the file its name, makes the name durable.
    pub(super) fn publish(&self) -> Result<()> {
        // After a failed fsync the kernel may have dropped the pages and report success the
        // next time: such a file is never to be trusted again.
        if self.sync_failed.load(Ordering::SeqCst) {
            return Err(Error::new(Code::Internal, "an earlier sync of it failed"));
        }
        let target = self.root.join(self.key.as_str());
        let folder = target.parent().expect("a key lies below the root");
        let sync = |synced: io::Result<()>, what: &'static str| {
            if synced.is_err() {
                self.sync_failed.store(true, Ordering::SeqCst);
            }
            synced.context(what)
        };
        sync(self.file.sync_all(), "sync temporary file")?;
        if let Err(e) = on_the_way(folder, || rename_new(&self.path, &target)) {
            prune(&target, &self.root);
            return Err(e).context("give it its name");
        }
        sync(sync_folder(folder), "sync folder")?;
        prune(&self.path, &self.root);
        Ok(())
    }

    /// Removes the file, unless it has been published.
    pub(super) fn discard(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            // Frees the space now, not when the last holder of the file lets go. It was not
            // published, and without a name it no longer can be.
            Ok(()) => self.file.set_len(0).context("empty temporary file")?,
            Err(e) if is_missing(&e) => {}
            Err(e) => return Err(e).context("remove temporary file"),
        }
        prune(&self.path, &self.root);
        Ok(())
    }
}

/// Does `step`, whose target lies in `folder`, making the folder where it is missing.
fn on_the_way<T>(folder: &Path, mut step: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut last = step();
    for _ in 0..ATTEMPTS {
        match last {
            Err(e) if is_missing(&e) => {
                match make_folder(folder) {
                    Err(e) if !is_missing(&e) => return Err(e),
                    _ => {}
                }
                last = step();
            }
            settled => return settled,
        }
    }
    last
}

/// Renames without replacing: fails with `AlreadyExists` where `to` is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems without it (some network and FUSE ones) have links.
            Err(
                rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP,
            ) => {}
            renamed => return renamed.map_err(Into::into),
        }
    }
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

#[cfg(unix)]
fn write_all_at(file: &File, offset: u64, body: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, body, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut offset: u64, mut body: &[u8]) -> io::Result<()> {
    while !body.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, body, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => (offset, body) = (offset + n as u64, &body[n..]),
        }
    }
    Ok(())
}

/// An upload into a folder.
pub(super) struct LocalUpload {
    temporary: Arc<Temporary>,
    /// Offset and length of each part that lies in the file.
    parts: Mutex<BTreeMap<u32, (u64, u64)>>,
}

impl LocalUpload {
    pub(super) fn new(temporary: Temporary) -> Self {
        Self {
            temporary: Arc::new(temporary),
            parts: Mutex::default(),
        }
    }

    /// Whether the parts lie end to end and make up `size`.
    fn check(&self, size: u64) -> Result<()> {
        let parts = self.parts.lock().expect("no holder of this lock panics");
        let mut end = 0;
        for (number, (offset, len)) in parts.iter() {
            if *offset != end {
                let what = format!("part {number} begins at {offset}, not at {end}");
                return Err(Error::new(Code::Corrupt, what));
            }
            end += len;
        }
        if end == size {
            return Ok(());
        }
        let what = format!("the parts make up {end} bytes, not {size}");
        Err(Error::new(Code::Corrupt, what))
    }
}

#[async_trait]
impl Upload for LocalUpload {
    fn open_upload(&self) -> OpenUpload {
        OpenUpload {
            key: self.temporary.key.clone(),
            id: self.temporary.id.clone(),
        }
    }

    async fn part(&self, number: u32, offset: u64, body: Bytes) -> Result<()> {
        let what = format!("write part {number} of {}", self.temporary.key);
        let (temporary, len) = (Arc::clone(&self.temporary), body.len() as u64);
        blocking(what, move || temporary.write_at(offset, &body)).await?;
        let mut parts = self.parts.lock().expect("no holder of this lock panics");
        parts.insert(number, (offset, len));
        Ok(())
    }

    async fn complete(&self, size: u64) -> Result<()> {
        let what = format!("complete {}", self.temporary.key);
        self.check(size).with_context(|| what.clone())?;
        let temporary = Arc::clone(&self.temporary);
        blocking(what, move || {
            temporary.cut_to(size)?;
            temporary.publish()
        })
        .await
    }

    async fn abort(&self) -> Result<()> {
        let what = format!("abort upload of {}", self.temporary.key);
        let temporary = Arc::clone(&self.temporary);
        blocking(what, move || temporary.discard()).await
    }
}
