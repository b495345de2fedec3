//! The tar of an opened archive, as the index describes it: entries in order, and the bytes at any
//! position, frame by frame. Only what is asked for is fetched and decrypted.

use std::{
    collections::VecDeque,
    io::{self, Read, Seek},
};

use backupd_base::{Code, Context, Error, Result};
use zstd::bulk::Decompressor;

use crate::{
    Entry, FRAME_BYTES, Frame, IndexEnd, IndexLine, IndexReader,
    damage::{corrupt, while_reading},
    frame::max_len,
    stream::PayloadReader,
    tar_header::BLOCK,
};

/// Entries may stand in the index before the frames they lie in, by as much as the writer had in
/// flight: a few ten thousand at the very most. More is no index of ours.
const MAX_PENDING: usize = 256 * 1024;

/// Two zero blocks end a tar.
pub(crate) const END: u64 = 2 * BLOCK as u64;

/// The zstd stream inside an archive's age layer.
pub(crate) trait ZstdBytes {
    /// Fills `buf` from `offset` on.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<()>;
    /// Checks that the stream ends here, and is whole.
    fn end(&mut self) -> Result<()>;
}

/// Read from front to back; what is skipped is decrypted all the same.
pub(crate) struct Forward<R> {
    age: PayloadReader<R>,
    position: u64,
}

impl<R: Read> Forward<R> {
    pub fn new(age: PayloadReader<R>) -> Self {
        Self { age, position: 0 }
    }
}

impl<R: Read> ZstdBytes for Forward<R> {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let skip = offset.checked_sub(self.position).ok_or_else(|| {
            Error::new(
                Code::Invalid,
                "read backwards in an archive opened from front to back",
            )
        })?;
        io::copy(&mut (&mut self.age).take(skip), &mut io::sink())
            .and_then(|_| self.age.read_exact(buf))
            .map_err(|e| while_reading("read the archive", e))?;
        self.position = offset + buf.len() as u64;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        match self.age.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(corrupt("the archive goes on after its last frame")),
            Err(e) => Err(while_reading("read the end of the archive", e)),
        }
    }
}

/// Read at any position, in ranges.
pub(crate) struct Ranged<R>(pub PayloadReader<R>);

impl<R: Read + Seek> ZstdBytes for Ranged<R> {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.0
            .read_exact_at(offset, buf)
            .map_err(|e| while_reading("read a part of the archive", e))
    }

    /// What was read was checked chunk by chunk; the rest was never looked at.
    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

pub(crate) struct TarReader<'a> {
    zstd: Box<dyn ZstdBytes + 'a>,
    index: IndexReader<Box<dyn Read + 'a>>,
    pending: VecDeque<Entry>,
    frames: Vec<Frame>,
    end: Option<IndexEnd>,
    decompressor: Decompressor<'static>,
    compressed: Vec<u8>,
    /// Content of the frame that was read last, from `raw_start` on.
    raw: Vec<u8>,
    raw_start: u64,
    position: u64,
    fetched: u64,
}

impl<'a> TarReader<'a> {
    pub fn new(
        zstd: Box<dyn ZstdBytes + 'a>,
        index: IndexReader<Box<dyn Read + 'a>>,
    ) -> Result<Self> {
        Ok(Self {
            zstd,
            index,
            pending: VecDeque::new(),
            frames: Vec::new(),
            end: None,
            decompressor: Decompressor::new().context("set up zstd")?,
            compressed: Vec::new(),
            raw: Vec::with_capacity(FRAME_BYTES),
            raw_start: 0,
            position: 0,
            fetched: 0,
        })
    }

    /// The next entry of the index; `None` after the last, when the index was read to its end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        while self.pending.is_empty() && self.end.is_none() {
            self.read_index()?;
        }
        Ok(self.pending.pop_front())
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn go_to(&mut self, position: u64) {
        self.position = position;
    }

    /// Goes to the two zero blocks, where the index says they are.
    pub fn go_to_end(&mut self) -> Result<()> {
        let tar_bytes = self.end.as_ref().map_or(0, |end| end.tar_bytes);
        let blocks = tar_bytes.checked_sub(END);
        self.position = blocks.ok_or_else(|| corrupt("the tar is too short to have an end"))?;
        Ok(())
    }

    /// Compressed bytes fetched so far.
    pub fn fetched(&self) -> u64 {
        self.fetched
    }

    /// What follows at the position, as far as it is at hand; never empty.
    pub fn fill(&mut self) -> Result<&[u8]> {
        let at_hand = self.raw_start..self.raw_start + self.raw.len() as u64;
        if !at_hand.contains(&self.position) {
            self.load()?;
        }
        Ok(&self.raw[(self.position - self.raw_start) as usize..])
    }

    pub fn consume(&mut self, n: usize) {
        self.position += n as u64;
    }

    /// After the last entry: the two zero blocks, then nothing, in tar, zstd stream and age.
    pub fn check_end(&mut self) -> Result<()> {
        let end = self
            .end
            .clone()
            .ok_or_else(|| corrupt("the index has no end"))?;
        let mut blocks = [0; END as usize];
        self.read_exact(&mut blocks)
            .map_err(|e| while_reading("read the end of the tar", e))?;
        let last = self.frames.last().copied();
        let raw_end = last.map_or(0, |f| f.raw_offset + u64::from(f.raw_len));
        let zstd_end = last.map_or(0, |f| f.offset + u64::from(f.len));
        let fits = blocks == [0; END as usize]
            && self.position == end.tar_bytes
            && raw_end == end.tar_bytes
            && zstd_end == end.zstd_bytes;
        if !fits {
            return Err(corrupt("the archive does not end where its index says"));
        }
        self.zstd.end()
    }

    /// What the index says of the whole, once it was read to its end.
    pub fn end(&self) -> Option<&IndexEnd> {
        self.end.as_ref()
    }

    fn read_index(&mut self) -> Result<()> {
        match self.index.next() {
            None => Err(corrupt("the index has no end")),
            Some(Err(e)) => Err(e),
            Some(Ok(IndexLine::Header(_))) => Ok(()),
            Some(Ok(IndexLine::End(end))) => {
                self.end = Some(end);
                Ok(())
            }
            Some(Ok(IndexLine::Entry(entry))) => {
                if self.pending.len() == MAX_PENDING {
                    return Err(corrupt("the index tells too late where its entries lie"));
                }
                self.pending.push_back(entry);
                Ok(())
            }
            Some(Ok(IndexLine::Frame(frame))) => {
                let last = self.frames.last();
                let fits = frame.raw_offset
                    == last.map_or(0, |f| f.raw_offset + u64::from(f.raw_len))
                    && frame.offset == last.map_or(0, |f| f.offset + u64::from(f.len))
                    && (1..=FRAME_BYTES).contains(&(frame.raw_len as usize))
                    && (1..=max_len()).contains(&(frame.len as usize));
                if !fits {
                    return Err(corrupt("the frames in the index do not fit together"));
                }
                self.frames.push(frame);
                Ok(())
            }
        }
    }

    /// Fetches the frame the position lies in.
    fn load(&mut self) -> Result<()> {
        let frame = loop {
            let after = self
                .frames
                .partition_point(|f| f.raw_offset <= self.position);
            if let Some(frame) = after.checked_sub(1).map(|i| self.frames[i])
                && self.position < frame.raw_offset + u64::from(frame.raw_len)
            {
                break frame;
            }
            if self.end.is_some() {
                return Err(corrupt("an entry lies beyond the end of the archive"));
            }
            self.read_index()?;
        };
        self.raw.clear();
        self.compressed.resize(frame.len as usize, 0);
        self.zstd.read_at(frame.offset, &mut self.compressed)?;
        self.fetched += u64::from(frame.len);
        self.raw.reserve(FRAME_BYTES);
        let n = self
            .decompressor
            .decompress_to_buffer(&self.compressed, &mut self.raw)
            .map_err(|e| while_reading("decompress a frame", e))?;
        if n != frame.raw_len as usize {
            self.raw.clear();
            return Err(corrupt("a frame is not as long as the index says"));
        }
        self.raw_start = frame.raw_offset;
        Ok(())
    }
}

impl Read for TarReader<'_> {
    /// Never 0 for a buffer that is not empty: beyond the last frame it fails.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let at_hand = self.fill()?;
        let n = at_hand.len().min(buf.len());
        buf[..n].copy_from_slice(&at_hand[..n]);
        self.consume(n);
        Ok(n)
    }
}
