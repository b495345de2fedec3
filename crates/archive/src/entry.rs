//! One entry of an archive: what the index says of it, and the path rules that keep it inside.

use std::{borrow::Cow, fmt, str::FromStr, time::SystemTime};

use backupd_base::{Code, Error, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The path of an entry: relative, segments joined by `/`, none of them empty, `.` or `..`, no NUL.
/// Bytes, since a file name on Unix need not be UTF-8.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPath(Vec<u8>);

impl EntryPath {
    /// More than 256 nested folders with names of 255 bytes, the longest there are on Linux.
    const MAX: usize = 96 * 1024;

    /// Checks a path; one closing slash is taken off.
    ///
    /// # Errors
    /// `Invalid` when it is not as described above, or longer than 96 KiB.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self> {
        let mut path = path.into();
        if path.last() == Some(&b'/') {
            path.pop();
        }
        let inside = path.len() <= Self::MAX
            && !path.contains(&0)
            && path
                .split(|b| *b == b'/')
                .all(|segment| !matches!(segment, b"" | b"." | b".."));
        if inside {
            Ok(Self(path))
        } else {
            let shown: String = String::from_utf8_lossy(&path).chars().take(200).collect();
            Err(Error::new(
                Code::Invalid,
                format!("{shown:?} is not a path inside an archive"),
            ))
        }
    }

    /// The path as it stands in the archive.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// For showing; what is not UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Whether it is `ancestor` itself or lies below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &EntryPath) -> bool {
        self.0
            .strip_prefix(ancestor.0.as_slice())
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// The folder it lies in, if it is not at the top.
    #[must_use]
    pub fn parent(&self) -> Option<EntryPath> {
        let slash = self.0.iter().rposition(|b| *b == b'/')?;
        Some(Self(self.0[..slash].to_vec()))
    }

    /// Its last segment.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let start = self.0.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
        &self.0[start..]
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/')
    }

    /// What remains of it below `ancestor`; `None` when it is not below.
    pub(crate) fn below(&self, ancestor: &EntryPath) -> Option<EntryPath> {
        let rest = self.0.strip_prefix(ancestor.0.as_slice())?;
        Some(Self(rest.strip_prefix(b"/")?.to_vec()))
    }
}

impl FromStr for EntryPath {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string_lossy())
    }
}

/// What an entry is. Sockets, pipes and devices are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file, sparse or not.
    File,
    /// A folder.
    Directory,
    /// A symbolic link; its target is not checked and never followed.
    Symlink,
    /// A second name of a file that came before it.
    Hardlink,
}

/// A modification time: seconds since 1970-01-01 UTC and nanoseconds after that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mtime {
    /// Seconds; negative before 1970.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

impl From<SystemTime> for Mtime {
    fn from(time: SystemTime) -> Self {
        DateTime::<Utc>::from(time).into()
    }
}

impl From<DateTime<Utc>> for Mtime {
    fn from(time: DateTime<Utc>) -> Self {
        Self {
            seconds: time.timestamp(),
            // chrono counts a leap second as nanoseconds beyond the second.
            nanoseconds: time.timestamp_subsec_nanos().min(999_999_999),
        }
    }
}

/// A SHA-256, in lower-case hex where it is text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| Error::new(Code::Invalid, "a SHA-256 is 64 hex digits"))?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).expect("32 bytes are 64 hex digits");
        serializer.serialize_str(std::str::from_utf8(&text).expect("hex is ASCII"))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// An entry as the index lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies in the archive.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
    /// Size of the content in bytes, holes included; 0 for all but files.
    pub size: u64,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// When it was last changed.
    pub mtime: Mtime,
    /// Owner, as a number.
    pub uid: u32,
    /// Group, as a number.
    pub gid: u32,
    /// Target of a symbolic link, or the path of the entry a hard link is another name of.
    pub link: Option<Vec<u8>>,
    /// SHA-256 of the content, holes as zeros; files only.
    pub sha256: Option<Digest>,
    /// SHA-256 of its extended attributes as they stand in the PAX header, if it has any.
    pub xattrs_sha256: Option<Digest>,
    /// Whether hard links to this file may follow.
    pub linked: bool,
    /// Position of its first tar header in the uncompressed tar.
    pub offset: u64,
}

/// [`Entry`] as a line of JSON: `path` or, where it is not UTF-8, `path_b64`; `link` likewise.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    #[serde(rename = "type")]
    kind: EntryKind,
    size: u64,
    mode: u32,
    mtime: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    mtime_ns: u32,
    uid: u32,
    gid: u32,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    link: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link_b64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    xattrs_sha256: Option<Digest>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    linked: bool,
    offset: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature serde asks for
fn is_zero(n: &u32) -> bool {
    *n == 0
}

fn to_text(bytes: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.into()), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
    }
}

fn from_text(text: Option<Cow<'_, str>>, b64: Option<&str>) -> Result<Option<Vec<u8>>, String> {
    match (text, b64) {
        (Some(text), None) => Ok(Some(text.into_owned().into_bytes())),
        (None, Some(b64)) => BASE64_STANDARD
            .decode(b64)
            .map(Some)
            .map_err(|e| e.to_string()),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("a name stands there as text and as base64".into()),
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (path, path_b64) = to_text(self.path.as_bytes());
        let (link, link_b64) = self.link.as_deref().map_or((None, None), to_text);
        Line {
            path,
            path_b64,
            kind: self.kind,
            size: self.size,
            mode: self.mode,
            mtime: self.mtime.seconds,
            mtime_ns: self.mtime.nanoseconds,
            uid: self.uid,
            gid: self.gid,
            link,
            link_b64,
            sha256: self.sha256,
            xattrs_sha256: self.xattrs_sha256,
            linked: self.linked,
            offset: self.offset,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let line = Line::deserialize(deserializer)?;
        let path = from_text(line.path, line.path_b64.as_deref())
            .map_err(D::Error::custom)?
            .ok_or_else(|| D::Error::missing_field("path"))?;
        let link = from_text(line.link, line.link_b64.as_deref()).map_err(D::Error::custom)?;
        let is_link = matches!(line.kind, EntryKind::Symlink | EntryKind::Hardlink);
        if is_link != link.is_some() {
            return Err(D::Error::custom("only links have a link, and always"));
        }
        if (line.kind == EntryKind::File) != line.sha256.is_some() {
            return Err(D::Error::custom("only files have a sha256, and always"));
        }
        if line.mtime_ns > 999_999_999 || line.mode > 0o7777 {
            return Err(D::Error::custom("mtime_ns or mode out of range"));
        }
        Ok(Self {
            path: EntryPath::new(path).map_err(D::Error::custom)?,
            kind: line.kind,
            size: line.size,
            mode: line.mode,
            mtime: Mtime {
                seconds: line.mtime,
                nanoseconds: line.mtime_ns,
            },
            uid: line.uid,
            gid: line.gid,
            link,
            sha256: line.sha256,
            xattrs_sha256: line.xattrs_sha256,
            linked: line.linked,
            offset: line.offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for bad in [
            &b""[..],
            b"/",
            b"/a",
            b"a//b",
            b"..",
            b"a/../b",
            b"./a",
            b"a/.",
            b"a\0b",
            b"a/..",
        ] {
            assert!(EntryPath::new(bad).is_err(), "{bad:?}");
        }
        let path = EntryPath::new(*b"a/b..c/...").unwrap();
        assert_eq!(path.name(), b"...");
        assert_eq!(path.parent(), Some("a/b..c".parse().unwrap()));
        assert!(path.is_within(&"a".parse().unwrap()));
        assert!(!path.is_within(&"a/b".parse().unwrap()));
    }

    #[test]
    fn an_entry_survives_its_line() {
        let mut entry = Entry {
            path: EntryPath::new(*b"files/\xff\n").unwrap(),
            kind: EntryKind::Symlink,
            size: 0,
            mode: 0o777,
            mtime: Mtime {
                seconds: -5,
                nanoseconds: 7,
            },
            uid: 33,
            gid: u32::MAX,
            link: Some(b"../\xfe".to_vec()),
            sha256: None,
            xattrs_sha256: Some(Digest([7; 32])),
            linked: false,
            offset: 512,
        };
        let line = serde_json::to_string(&entry).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);

        entry.path = "a\"ü".parse().unwrap();
        entry.link = None;
        let line = serde_json::to_string(&entry).unwrap();
        assert!(
            serde_json::from_str::<Entry>(&line).is_err(),
            "a link without one"
        );
    }
}
