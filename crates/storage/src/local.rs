//! A folder as a store. An object is a file; an upload is a temporary file at
//! `.uploads/<key>/<id>`, so that what a crash leaves behind names the object it would have become.
//!
//! Folders are 0700 and files 0600. Nothing is replaced: a temporary file gets its name by a
//! rename that fails where the name is taken.

mod folder;
mod upload;

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use backupd_base::{Code, Context as _, Error, Result};
use bytes::Bytes;

use crate::{
    Guarantees, Key, ObjectInfo, OpenUpload, Storage, Upload,
    local::{
        folder::{UPLOADS, files_below, prune, remove},
        upload::{LocalUpload, Temporary},
    },
};

/// A store in a folder. The folder is made with the first object.
#[derive(Debug, Clone)]
pub struct Local {
    root: Arc<Path>,
}

impl Local {
    /// The store in `root`, an absolute path.
    ///
    /// # Errors
    /// `Invalid` when the path is not absolute.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        if !root.is_absolute() {
            let what =
                format!("the folder of a local store must be an absolute path, not {root:?}");
            return Err(Error::new(Code::Invalid, what));
        }
        Ok(Self { root: root.into() })
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn temporary(&self, upload: &OpenUpload) -> Result<PathBuf> {
        // An id comes back from a journal; it must not lead out of its folder.
        let safe = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if upload.id.is_empty() || !upload.id.bytes().all(safe) {
            let what = format!("{:?} is not the id of an upload", upload.id);
            return Err(Error::new(Code::Invalid, what));
        }
        let folder = self.root.join(UPLOADS).join(upload.key.as_str());
        Ok(folder.join(&upload.id))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        what: String,
        work: impl FnOnce(Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        blocking(what, {
            let this = self.clone();
            move || work(this)
        })
        .await
    }
}

/// Runs what may wait for a disk where that holds nobody up.
async fn blocking<T: Send + 'static>(
    what: String,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.context(what),
        Err(broken) => Err(broken).context(what),
    }
}

#[async_trait]
impl Storage for Local {
    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        crate::check_put_size(key, &body)?;
        let key = key.clone();
        self.blocking(format!("write {key}"), move |this| {
            let temporary = Temporary::create(&this.root, &key)?;
            let written = temporary
                .write_at(0, &body)
                .and_then(|()| temporary.publish());
            match written {
                Ok(()) => Ok(()),
                Err(error) => {
                    temporary.discard()?;
                    if error.code() == Code::AlreadyExists
                        && fs::read(this.path(&key)).context("compare")? == body
                    {
                        return Ok(());
                    }
                    Err(error)
                }
            }
        })
        .await
    }

    async fn start_upload(&self, key: &Key) -> Result<Box<dyn Upload>> {
        let key = key.clone();
        self.blocking(format!("begin upload of {key}"), move |this| {
            if this.path(&key).exists() {
                return Err(Error::new(Code::AlreadyExists, "the object exists"));
            }
            let temporary = Temporary::create(&this.root, &key)?;
            Ok(Box::new(LocalUpload::new(temporary)) as Box<dyn Upload>)
        })
        .await
    }

    async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        let prefix = prefix.to_owned();
        self.blocking(format!("list open uploads below {prefix:?}"), move |this| {
            let uploads = this.root.join(UPLOADS);
            let mut open = Vec::new();
            for (path, _) in files_below(&uploads, &prefix)? {
                let named = path.rsplit_once('/').and_then(|(key, id)| {
                    Some(OpenUpload {
                        key: Key::new(key).ok()?,
                        id: id.to_owned(),
                    })
                });
                open.extend(named);
            }
            Ok(open)
        })
        .await
    }

    async fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        let path = self.temporary(upload)?;
        self.blocking(format!("abort upload of {}", upload.key), move |this| {
            remove(&path)?;
            prune(&path, &this.root);
            Ok(())
        })
        .await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        let path = self.path(key);
        self.blocking(format!("read {key}"), move |_| {
            let mut file = open(&path)?;
            let size = file.metadata().context("look at it")?.len();
            crate::check_get_size(size)?;
            let mut body = Vec::with_capacity(size as usize);
            file.read_to_end(&mut body).context("read it")?;
            Ok(body.into())
        })
        .await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        let path = self.path(key);
        let what = format!("read bytes {} to {} of {key}", range.start, range.end);
        self.blocking(what, move |_| {
            let mut file = open(&path)?;
            let size = file.metadata().context("look at it")?.len();
            let wanted = range.end.min(size).saturating_sub(range.start);
            let mut body = Vec::with_capacity(wanted as usize);
            file.seek(SeekFrom::Start(range.start)).context("seek")?;
            file.take(wanted)
                .read_to_end(&mut body)
                .context("read it")?;
            Ok(body.into())
        })
        .await
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        let (path, key) = (self.path(key), key.clone());
        self.blocking(format!("look at {key}"), move |_| {
            match fs::metadata(&path) {
                Ok(found) if found.is_file() => Ok(Some(ObjectInfo {
                    key,
                    size: found.len(),
                })),
                Ok(_) => Ok(None),
                Err(e) if is_missing(&e) => Ok(None),
                Err(e) => Err(e).context("look at it"),
            }
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let prefix = prefix.to_owned();
        self.blocking(format!("list objects below {prefix:?}"), move |this| {
            let found = files_below(&this.root, &prefix)?;
            let object = |(path, size)| Key::new(path).ok().map(|key| ObjectInfo { key, size });
            Ok(found.into_iter().filter_map(object).collect())
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let path = self.path(key);
        self.blocking(format!("delete {key}"), move |this| {
            remove(&path)?;
            prune(&path, &this.root);
            Ok(())
        })
        .await
    }

    async fn guarantees(&self, scratch: &Key) -> Result<Guarantees> {
        // The rename is tried on the file system that is really there.
        let key = scratch.clone();
        self.blocking(format!("try to replace {scratch}"), move |this| {
            let temporary = Temporary::create(&this.root, &key)?;
            let replaced = temporary.publish();
            temporary.discard()?;
            Ok(Guarantees {
                no_overwrite: matches!(replaced, Err(e) if e.code() == Code::AlreadyExists),
                checksum: true,
                clock_ahead: None,
            })
        })
        .await
    }
}

fn open(path: &Path) -> Result<File> {
    let missing = || Error::new(Code::NotFound, "there is no such object");
    match File::open(path) {
        Ok(file) if file.metadata().is_ok_and(|found| found.is_file()) => Ok(file),
        Ok(_) => Err(missing()),
        Err(e) if is_missing(&e) => Err(missing()),
        Err(e) => Err(e).context("open it"),
    }
}

/// Whether nothing lies there, also because a parent is no folder.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
