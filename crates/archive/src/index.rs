//! The encrypted index: JSON lines under zstd and age, streamed as the archive is made and read
//! back line by line, so that it may be longer than the memory.

use std::io::{BufRead, BufReader, Read, Write};

use backupd_base::{Code, Context, Error, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Entry, Frame, Identity, Recipient,
    damage::{corrupt, while_reading},
    keys::decrypt,
    seal::{Seal, Sealed},
    stream::PayloadReader,
};

/// The version of the format written here, and the only one read.
pub const FORMAT: u32 = 1;

/// A line is shorter than this: a path of 96 KiB and as long a link, each byte escaped.
const MAX_LINE: u64 = 1536 * 1024;
/// zstd may ask for so much memory to read an index (as a power of two).
const WINDOW_LOG_MAX: u32 = 23;

/// The first line of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexHeader {
    /// Version of the format.
    pub format: u32,
    /// When the archive was begun.
    pub created_at: DateTime<Utc>,
}

/// The last line of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEnd {
    /// Entries before it.
    pub entries: u64,
    /// Frames before it.
    pub frames: u64,
    /// Size of the uncompressed tar.
    pub tar_bytes: u64,
    /// Size of the zstd stream.
    pub zstd_bytes: u64,
    /// Size of the encrypted archive.
    pub archive_bytes: u64,
}

/// A line of the index. Entries stand in the order of the tar, frames in theirs; how the two
/// interleave is not defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexLine {
    /// The first.
    Header(IndexHeader),
    /// An entry of the tar.
    Entry(Entry),
    /// A frame of the zstd stream.
    Frame(Frame),
    /// The last.
    End(IndexEnd),
}

/// Writes an index.
pub(crate) struct IndexWriter<W: Write> {
    zstd: zstd::stream::write::Encoder<'static, Seal<W>>,
    line: Vec<u8>,
    entries: u64,
    frames: u64,
}

/// [`IndexLine`] without owning what it names.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LineRef<'a> {
    Header(&'a IndexHeader),
    Entry(&'a Entry),
    Frame(&'a Frame),
    End(&'a IndexEnd),
}

impl<W: Write> IndexWriter<W> {
    pub fn new(out: W, recipients: &[Recipient], created_at: DateTime<Utc>) -> Result<Self> {
        let seal = Seal::new(out, recipients)?;
        let mut zstd = zstd::stream::write::Encoder::new(seal, 3).context("set up zstd")?;
        zstd.include_checksum(true).context("set up zstd")?;
        let mut writer = Self {
            zstd,
            line: Vec::new(),
            entries: 0,
            frames: 0,
        };
        writer.write(&LineRef::Header(&IndexHeader {
            format: FORMAT,
            created_at,
        }))?;
        Ok(writer)
    }

    pub fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.entries += 1;
        self.write(&LineRef::Entry(entry))
    }

    pub fn frame(&mut self, frame: &Frame) -> Result<()> {
        self.frames += 1;
        self.write(&LineRef::Frame(frame))
    }

    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Writes the last line.
    pub fn finish(mut self, tar_bytes: u64, zstd_bytes: u64, archive: u64) -> Result<Sealed<W>> {
        self.write(&LineRef::End(&IndexEnd {
            entries: self.entries,
            frames: self.frames,
            tar_bytes,
            zstd_bytes,
            archive_bytes: archive,
        }))?;
        self.zstd.finish().context("end the index")?.finish()
    }

    fn write(&mut self, line: &LineRef<'_>) -> Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line).context("encode an index line")?;
        self.line.push(b'\n');
        self.zstd.write_all(&self.line).context("write the index")
    }
}

/// Opens the index object of a snapshot.
///
/// # Errors
/// `KeyMissing` when `identity` does not open it, `Incompatible` when its format is another
/// version's, `Corrupt` when it is not an index.
pub fn open_index<R: Read>(object: R, identity: &dyn Identity) -> Result<IndexReader<R>> {
    let age = decrypt(object, identity).context("open the index")?;
    let mut zstd = zstd::stream::read::Decoder::new(age).context("set up zstd")?;
    zstd.window_log_max(WINDOW_LOG_MAX).context("set up zstd")?;
    let mut reader = IndexReader {
        lines: BufReader::with_capacity(64 * 1024, zstd),
        line: Vec::new(),
        header: IndexHeader {
            format: FORMAT,
            created_at: DateTime::UNIX_EPOCH,
        },
        entries: 0,
        frames: 0,
        ended: false,
    };
    if !reader.fill_line()? {
        return Err(corrupt("the index is empty"));
    }
    let version = serde_json::from_slice::<AnyVersion>(&reader.line)
        .map_err(|_| corrupt("the index does not begin with its header"))?;
    if version.header.format != FORMAT {
        return Err(Error::new(
            Code::Incompatible,
            format!(
                "the snapshot has format {}, this program reads format {FORMAT}",
                version.header.format
            ),
        ));
    }
    match reader.parse_line()? {
        IndexLine::Header(header) => reader.header = header,
        _ => return Err(corrupt("the index does not begin with its header")),
    }
    Ok(reader)
}

/// The header line of any version: looked at before anything else is taken for granted.
#[derive(Deserialize)]
struct AnyVersion {
    header: AnyVersionHeader,
}

#[derive(Deserialize)]
struct AnyVersionHeader {
    format: u32,
}

/// Reads an index line by line. After an error it ends.
pub struct IndexReader<R: Read> {
    lines: BufReader<zstd::stream::read::Decoder<'static, BufReader<PayloadReader<R>>>>,
    line: Vec<u8>,
    header: IndexHeader,
    entries: u64,
    frames: u64,
    ended: bool,
}

impl<R: Read> IndexReader<R> {
    /// Its first line.
    #[must_use]
    pub fn header(&self) -> &IndexHeader {
        &self.header
    }

    /// The entries alone, in the order of the tar. An index that breaks off is `Corrupt` where it does.
    pub fn entries(self) -> impl Iterator<Item = Result<Entry>> {
        self.filter_map(|line| match line {
            Ok(IndexLine::Entry(entry)) => Some(Ok(entry)),
            Ok(_) => None,
            Err(e) => Some(Err(e)),
        })
    }

    /// Reads a line; `false` at the end of the object.
    fn fill_line(&mut self) -> Result<bool> {
        self.line.clear();
        let read = (&mut self.lines)
            .take(MAX_LINE)
            .read_until(b'\n', &mut self.line)
            .map_err(|e| while_reading("read the index", e))?;
        if read > 0 && self.line.last() != Some(&b'\n') {
            return Err(corrupt("an index line is cut or too long"));
        }
        Ok(read > 0)
    }

    fn parse_line(&self) -> Result<IndexLine> {
        serde_json::from_slice(&self.line)
            .map_err(|e| corrupt(format!("an index line is malformed: {e}")))
    }

    fn read_next(&mut self) -> Result<Option<IndexLine>> {
        if !self.fill_line()? {
            return Err(corrupt("the index breaks off"));
        }
        let line = self.parse_line()?;
        match &line {
            IndexLine::Header(_) => return Err(corrupt("the index has a second header")),
            IndexLine::Entry(_) => self.entries += 1,
            IndexLine::Frame(_) => self.frames += 1,
            IndexLine::End(end) => {
                if (end.entries, end.frames) != (self.entries, self.frames) {
                    return Err(corrupt("the index misses lines"));
                }
                // To the very end: the last age chunk says that nothing is cut off.
                if self.fill_line()? {
                    return Err(corrupt("the index goes on after its end"));
                }
                self.ended = true;
            }
        }
        Ok(Some(line))
    }
}

impl<R: Read> Iterator for IndexReader<R> {
    type Item = Result<IndexLine>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read_next();
        if next.is_err() {
            self.ended = true;
        }
        next.transpose()
    }
}
