//! The headers of one tar entry: ustar (POSIX.1-1988), with a PAX extended header before it
//! (POSIX.1-2001) where ustar has no room. Written, and read back strictly: what the writer does
//! not write is refused.

use std::io::Read;

use backupd_base::Result;
use tar::{EntryType, Header};

use crate::{
    Digest, Entry, EntryKind, EntryPath, Mtime,
    damage::{corrupt, while_reading},
    hash::Hash,
    pax::{decimal, parse_pax_time, pax_time, record, records, xattr_key, xattr_name},
};

pub(crate) const BLOCK: usize = 512;
const MAX_OCTAL_SIZE: u64 = 0o777_7777_7777;
const MAX_OCTAL_ID: u32 = 0o777_7777;
/// More than any file system lets one entry have of names and attributes.
const MAX_PAX: u64 = 1024 * 1024;
/// Names and values of the extended attributes of one entry together; the rest of a PAX header
/// takes at most two paths.
pub(crate) const MAX_XATTRS: usize = 512 * 1024;

/// What stands in the tar about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TarHeader {
    pub path: EntryPath,
    pub kind: EntryKind,
    /// Size of the content, holes included.
    pub size: u64,
    /// Bytes that follow in the tar, without padding.
    pub stored: u64,
    /// Whether what follows begins with a map of its data (GNU sparse format 1.0).
    pub sparse: bool,
    pub mode: u32,
    pub mtime: Mtime,
    pub uid: u32,
    pub gid: u32,
    pub link: Option<Vec<u8>>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Zeros after `len` bytes, up to the next block.
pub(crate) fn padding(len: u64) -> usize {
    (len.next_multiple_of(BLOCK as u64) - len) as usize
}

impl TarHeader {
    /// Appends the headers to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut name = self.path.as_bytes().to_vec();
        if self.kind == EntryKind::Directory {
            name.push(b'/');
        }
        let mut pax = Vec::new();
        let mut header = Header::new_ustar();
        self.put_name(&mut header, &mut pax, &name);
        if let Some(link) = &self.link {
            if link.len() > 100 {
                record(&mut pax, b"linkpath", link);
            }
            put(&mut header.as_old_mut().linkname, link);
        }
        if self.stored > MAX_OCTAL_SIZE {
            record(&mut pax, b"size", self.stored.to_string().as_bytes());
        }
        if self.uid > MAX_OCTAL_ID {
            record(&mut pax, b"uid", self.uid.to_string().as_bytes());
        }
        if self.gid > MAX_OCTAL_ID {
            record(&mut pax, b"gid", self.gid.to_string().as_bytes());
        }
        let whole = u64::try_from(self.mtime.seconds).ok();
        let whole = whole.filter(|s| *s <= MAX_OCTAL_SIZE && self.mtime.nanoseconds == 0);
        if whole.is_none() {
            record(&mut pax, b"mtime", pax_time(self.mtime).as_bytes());
        }
        pax.extend_from_slice(&self.xattr_records());

        if !pax.is_empty() {
            let mut before = Header::new_ustar();
            put(&mut before.as_old_mut().name, b"PaxHeader");
            before.set_entry_type(EntryType::XHeader);
            before.set_mode(0o644);
            before.set_uid(0);
            before.set_gid(0);
            before.set_mtime(0);
            before.set_size(pax.len() as u64);
            before.set_cksum();
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(&pax);
            out.resize(out.len() + padding(pax.len() as u64), 0);
        }
        header.set_entry_type(match self.kind {
            EntryKind::File => EntryType::Regular,
            EntryKind::Directory => EntryType::Directory,
            EntryKind::Symlink => EntryType::Symlink,
            EntryKind::Hardlink => EntryType::Link,
        });
        header.set_mode(self.mode);
        header.set_uid(u64::from(self.uid.min(MAX_OCTAL_ID)));
        header.set_gid(u64::from(self.gid.min(MAX_OCTAL_ID)));
        header.set_size(self.stored.min(MAX_OCTAL_SIZE));
        // Readers without PAX get the whole second.
        let seconds = u64::try_from(self.mtime.seconds).unwrap_or(0);
        header.set_mtime(seconds.min(MAX_OCTAL_SIZE));
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
    }

    /// SHA-256 of the extended attributes as they stand in the PAX header, if there are any.
    pub fn xattrs_sha256(&self) -> Option<Digest> {
        (!self.xattrs.is_empty()).then(|| Hash::of(&self.xattr_records()))
    }

    fn xattr_records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        for (name, value) in &self.xattrs {
            record(&mut records, &xattr_key(name), value);
        }
        records
    }

    fn put_name(&self, header: &mut Header, pax: &mut Vec<u8>, name: &[u8]) {
        if self.sparse {
            record(pax, b"GNU.sparse.major", b"1");
            record(pax, b"GNU.sparse.minor", b"0");
            record(pax, b"GNU.sparse.name", name);
            record(
                pax,
                b"GNU.sparse.realsize",
                self.size.to_string().as_bytes(),
            );
            // What GNU tar writes there, so that a reader that knows no sparse files
            // does not take the stored form for the file.
            put(&mut header.as_old_mut().name, b"GNUSparseFile.0/sparse");
        } else if let Some((prefix, rest)) = ustar_split(name) {
            put(&mut header.as_old_mut().name, rest);
            let ustar = header.as_ustar_mut().expect("made as ustar");
            put(&mut ustar.prefix, prefix);
        } else {
            record(pax, b"path", name);
            put(&mut header.as_old_mut().name, name);
        }
    }

    /// Reads the headers of the next entry; `None` at the end of the archive.
    pub fn read(tar: &mut dyn Read) -> Result<Option<Self>> {
        let mut block = [0; BLOCK];
        read_block(tar, &mut block)?;
        if block == [0; BLOCK] {
            return Ok(None);
        }
        let mut pax = Vec::new();
        if checked(&block)?.entry_type() == EntryType::XHeader {
            let size = number(checked(&block)?.size())?;
            if size > MAX_PAX {
                return Err(corrupt("a PAX header in the tar is larger than 1 MiB"));
            }
            pax.resize(size as usize + padding(size), 0);
            tar.read_exact(&mut pax)
                .map_err(|e| while_reading("read a PAX header", e))?;
            pax.truncate(size as usize);
            read_block(tar, &mut block)?;
        }
        Self::decode(checked(&block)?, &pax).map(Some)
    }

    fn decode(header: &Header, pax: &[u8]) -> Result<Self> {
        if header.as_ustar().is_none() {
            return Err(corrupt("a tar header is not ustar"));
        }
        let kind = match header.entry_type() {
            EntryType::Regular => EntryKind::File,
            EntryType::Directory => EntryKind::Directory,
            EntryType::Symlink => EntryKind::Symlink,
            EntryType::Link => EntryKind::Hardlink,
            other => return Err(corrupt(format!("a tar entry has type {other:?}"))),
        };
        let mut path = header.path_bytes().into_owned();
        let mut link = header.link_name_bytes().map(|link| link.into_owned());
        let mut stored = number(header.size())?;
        let mut uid = number(header.uid())?;
        let mut gid = number(header.gid())?;
        let mut mtime = Mtime {
            seconds: i64::try_from(number(header.mtime())?)
                .map_err(|_| corrupt("a time in the tar is out of range"))?,
            nanoseconds: 0,
        };
        let mut real_size = None;
        let mut xattrs = Vec::new();
        for found in records(pax) {
            let (key, value) = found?;
            match key {
                b"path" | b"GNU.sparse.name" => path = value.to_vec(),
                b"linkpath" => link = Some(value.to_vec()),
                b"size" => stored = decimal(value)?,
                b"uid" => uid = decimal(value)?,
                b"gid" => gid = decimal(value)?,
                b"mtime" => mtime = parse_pax_time(value)?,
                b"GNU.sparse.realsize" => real_size = Some(decimal(value)?),
                b"GNU.sparse.major" if value == b"1" => {}
                b"GNU.sparse.minor" if value == b"0" => {}
                _ => match key.strip_prefix(b"SCHILY.xattr.") {
                    Some(name) => xattrs.push((xattr_name(name), value.to_vec())),
                    None => return Err(corrupt("a PAX header has an unknown record")),
                },
            }
        }
        let id = |n: u64| u32::try_from(n).map_err(|_| corrupt("an owner in the tar is too large"));
        if kind != EntryKind::File && (stored != 0 || real_size.is_some()) {
            return Err(corrupt("a tar entry that is no file has content"));
        }
        let has_link = matches!(kind, EntryKind::Symlink | EntryKind::Hardlink);
        Ok(Self {
            path: EntryPath::new(path).map_err(|e| corrupt(e.to_string()))?,
            kind,
            size: real_size.unwrap_or(stored),
            stored,
            sparse: real_size.is_some(),
            mode: u32::try_from(number(header.mode().map(u64::from))?)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| corrupt("a mode in the tar is out of range"))?,
            mtime,
            uid: id(uid)?,
            gid: id(gid)?,
            link: if has_link {
                Some(link.ok_or_else(|| corrupt("a link in the tar has no target"))?)
            } else {
                None
            },
            xattrs,
        })
    }

    /// Whether tar and index say the same of an entry.
    pub fn check(&self, entry: &Entry) -> Result<()> {
        let same = self.path == entry.path
            && self.kind == entry.kind
            && self.size == entry.size
            && self.mode == entry.mode
            && self.mtime == entry.mtime
            && self.uid == entry.uid
            && self.gid == entry.gid
            && self.link == entry.link
            && self.xattrs_sha256() == entry.xattrs_sha256;
        if same {
            Ok(())
        } else {
            Err(corrupt(format!(
                "index and archive differ about {}",
                entry.path
            )))
        }
    }
}

fn read_block(tar: &mut dyn Read, block: &mut [u8; BLOCK]) -> Result<()> {
    tar.read_exact(block)
        .map_err(|e| while_reading("read a tar header", e))
}

/// The header in `block`, when its checksum holds.
fn checked(block: &[u8; BLOCK]) -> Result<&Header> {
    let header = Header::from_byte_slice(block);
    let sum: u32 = block[..148]
        .iter()
        .chain(&[b' '; 8])
        .chain(&block[156..])
        .map(|b| u32::from(*b))
        .sum();
    if header.cksum().is_ok_and(|said| said == sum) {
        Ok(header)
    } else {
        Err(corrupt("the checksum of a tar header does not hold"))
    }
}

/// ustar's `prefix` and `name` for a path, if it fits them.
fn ustar_split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // The first slash that leaves a name short enough makes the shortest prefix.
    let from = path.len() - 101;
    let slash = from + path[from..path.len() - 1].iter().position(|b| *b == b'/')?;
    (slash <= 155).then(|| (&path[..slash], &path[slash + 1..]))
}

/// As much of `value` as fits; the rest is in a PAX record.
fn put(field: &mut [u8], value: &[u8]) {
    let n = value.len().min(field.len());
    field[..n].copy_from_slice(&value[..n]);
}

fn number<T: Into<u64>>(field: std::io::Result<T>) -> Result<u64> {
    field
        .map(Into::into)
        .map_err(|_| corrupt("a number in a tar header is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(path: &[u8]) -> TarHeader {
        TarHeader {
            path: EntryPath::new(path).unwrap(),
            kind: EntryKind::File,
            size: 3,
            stored: 3,
            sparse: false,
            mode: 0o644,
            mtime: Mtime {
                seconds: 1_700_000_000,
                nanoseconds: 0,
            },
            uid: 33,
            gid: 33,
            link: None,
            xattrs: Vec::new(),
        }
    }

    fn survives(header: &TarHeader) {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        assert_eq!(bytes.len() % BLOCK, 0);
        let read = TarHeader::read(&mut bytes.as_slice()).unwrap().unwrap();
        assert_eq!(&read, header);
    }

    #[test]
    fn headers_survive() {
        for len in [
            1_usize, 98, 99, 100, 101, 154, 155, 156, 255, 256, 257, 4000,
        ] {
            for slash in [
                None,
                Some(len / 3),
                Some(len.saturating_sub(102)),
                Some(len / 2),
            ] {
                let mut path = vec![b'a'; len];
                if let Some(at) = slash.filter(|at| *at > 0 && at + 1 < len) {
                    path[at] = b'/';
                }
                survives(&header(&path));
                let mut folder = header(&path);
                folder.kind = EntryKind::Directory;
                (folder.size, folder.stored) = (0, 0);
                survives(&folder);
                let mut link = header(b"x");
                link.kind = EntryKind::Symlink;
                (link.size, link.stored) = (0, 0);
                link.link = Some(path);
                survives(&link);
            }
        }
        survives(&header(b"\xff\xfe\n 12 path=evil\n"));
        for (seconds, nanoseconds) in [
            (0, 0),
            (0, 1),
            (-1, 0),
            (-1, 999_999_999),
            (-2, 500_000_000),
            (i64::MAX, 999_999_999),
            (i64::MIN + 1, 1),
            (8_589_934_592, 0),
        ] {
            let mut odd = header(b"x");
            odd.mtime = Mtime {
                seconds,
                nanoseconds,
            };
            survives(&odd);
        }
        let mut odd = header(b"x");
        (odd.uid, odd.gid) = (u32::MAX, MAX_OCTAL_ID + 1);
        (odd.size, odd.stored) = (1 << 40, 1 << 40);
        odd.xattrs = vec![(b"user.a=%3D%".to_vec(), b"\0\n=5 x=y\n".to_vec())];
        survives(&odd);
        odd.sparse = true;
        odd.stored = 1024;
        survives(&odd);
    }

    #[test]
    fn what_the_writer_does_not_write_is_refused() {
        let mut bytes = Vec::new();
        header(b"x").encode(&mut bytes);
        for (at, byte) in [(156, b'6'), (156, b'L'), (257, b'X'), (0, b'/')] {
            let mut bad = bytes.clone();
            bad[at] = byte;
            let mut fixed = Header::from_byte_slice(&bad).clone();
            fixed.set_cksum();
            assert!(TarHeader::read(&mut &fixed.as_bytes()[..]).is_err(), "{at}");
            assert!(TarHeader::read(&mut bad.as_slice()).is_err(), "checksum");
        }
    }
}
