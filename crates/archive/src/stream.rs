//! The payload of an age file (<https://c2sp.org/age#payload>): chunks of 64 KiB, each sealed with
//! ChaCha20-Poly1305, the last one marked as such. Keys and headers are the age crate's; the payload
//! is done here with the cipher TLS uses, which takes a third of the time, and is read at any
//! position in ranges.

use std::io::{self, Read, Seek, SeekFrom, Write};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::keys::FileKey;

const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
/// Bytes before the payload that make its key unique.
pub(crate) const NONCE: usize = 16;
/// The number of no chunk.
const LOST: u64 = u64::MAX;

struct Cipher {
    key: LessSafeKey,
}

impl Cipher {
    fn new(file_key: &FileKey, nonce: &[u8; NONCE]) -> Self {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(nonce), file_key.expose())
            .expand(b"payload", key.as_mut())
            .expect("HKDF gives 32 bytes");
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).expect("the key has 32 bytes");
        Self {
            key: LessSafeKey::new(key),
        }
    }

    /// Seals the chunk in `chunk` in place.
    fn seal(&self, number: u64, last: bool, chunk: &mut Vec<u8>) -> io::Result<()> {
        self.key
            .seal_in_place_append_tag(nonce(number, last), Aad::empty(), chunk)
            .map_err(|_| io::Error::other("encrypt a chunk"))
    }

    /// Opens the chunk in `chunk` in place and gives its length.
    fn open(&self, number: u64, last: bool, chunk: &mut [u8]) -> io::Result<usize> {
        self.key
            .open_in_place(nonce(number, last), Aad::empty(), chunk)
            .map(|plain| plain.len())
            .map_err(|_| damaged("a chunk of an age file was changed, moved or cut"))
    }
}

/// 11 bytes of the chunk's number, one that marks the last.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = last.into();
    Nonce::assume_unique_for_key(nonce)
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Encrypts a payload. Without [`PayloadWriter::finish`] it cannot be read to its end.
pub(crate) struct PayloadWriter<W> {
    out: W,
    cipher: Cipher,
    chunk: Vec<u8>,
    number: u64,
}

impl<W: Write> PayloadWriter<W> {
    /// Continues after the header and nonce that `out` has got.
    pub fn new(out: W, file_key: &FileKey, nonce: &[u8; NONCE]) -> Self {
        Self {
            out,
            cipher: Cipher::new(file_key, nonce),
            chunk: Vec::with_capacity(CHUNK + TAG),
            number: 0,
        }
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.flush_chunk(true)?;
        Ok(self.out)
    }

    fn flush_chunk(&mut self, last: bool) -> io::Result<()> {
        self.cipher.seal(self.number, last, &mut self.chunk)?;
        self.number += 1;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}

impl<W: Write> Write for PayloadWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // A full chunk waits until more comes: it might be the last.
        if self.chunk.len() == CHUNK && !buf.is_empty() {
            self.flush_chunk(false)?;
        }
        let n = buf.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Decrypts a payload, from front to back; with [`Seek`] below it, also from any position.
pub(crate) struct PayloadReader<R> {
    input: R,
    cipher: Cipher,
    /// The ciphertext of a chunk, or what is left of its content.
    chunk: Box<[u8]>,
    content: std::ops::Range<usize>,
    /// The chunk that comes next, and a byte of it that was read already.
    number: u64,
    ahead: Option<u8>,
    ended: bool,
    /// Where the payload begins and ends in the input, once somebody asked.
    bounds: Option<(u64, u64)>,
    consumed: u64,
}

impl<R: Read> PayloadReader<R> {
    /// Reads on after header and nonce.
    pub fn new(input: R, file_key: &FileKey, nonce: &[u8; NONCE]) -> Self {
        Self {
            input,
            cipher: Cipher::new(file_key, nonce),
            chunk: vec![0; CHUNK + TAG].into_boxed_slice(),
            content: 0..0,
            number: 0,
            ahead: None,
            ended: false,
            bounds: None,
            consumed: 0,
        }
    }

    /// Decrypts the next chunk; nothing is left in `content`. After an error the reader is lost
    /// until it is told a position.
    fn next_chunk(&mut self) -> io::Result<()> {
        let read = self.read_chunk();
        if read.is_err() {
            self.number = LOST;
        }
        read
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        let mut filled = 0;
        if let Some(byte) = self.ahead.take() {
            self.chunk[0] = byte;
            filled = 1;
        }
        filled += read_full(&mut self.input, &mut self.chunk[filled..])?;
        self.consumed += filled as u64;
        let last = filled < CHUNK + TAG || self.nothing_follows()?;
        if filled == 0 {
            return Err(damaged("an age file ends before its last chunk"));
        }
        let len = self
            .cipher
            .open(self.number, last, &mut self.chunk[..filled])?;
        if len == 0 && self.number > 0 {
            return Err(damaged("an age file ends in an empty chunk"));
        }
        self.number += 1;
        self.ended = last;
        self.content = 0..len;
        Ok(())
    }

    fn nothing_follows(&mut self) -> io::Result<bool> {
        if let Some((start, end)) = self.bounds {
            return Ok(start + self.consumed >= end);
        }
        let mut byte = [0];
        if read_full(&mut self.input, &mut byte)? == 0 {
            return Ok(true);
        }
        self.ahead = Some(byte[0]);
        Ok(false)
    }
}

impl<R: Read + Seek> PayloadReader<R> {
    /// Fills `buf` with the content from `offset` on. Only the chunks it lies in are read, and
    /// only they are known to be whole.
    pub fn read_exact_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let (start, _) = self.bounds()?;
        let chunk = offset / CHUNK as u64;
        let within = (offset % CHUNK as u64) as usize;
        let at_hand = self.number > 0 && chunk == self.number - 1 && !self.content.is_empty();
        if at_hand && within >= self.content.start {
            self.content.start = within.min(self.content.end);
        } else if chunk == self.number && within == 0 && self.content.is_empty() {
            // Just where the reader is.
        } else {
            self.consumed = chunk * (CHUNK + TAG) as u64;
            self.input.seek(SeekFrom::Start(start + self.consumed))?;
            self.number = chunk;
            self.ended = false;
            self.content = 0..0;
            self.next_chunk()?;
            self.content.start = within.min(self.content.end);
        }
        self.read_exact(buf)
    }

    fn bounds(&mut self) -> io::Result<(u64, u64)> {
        if let Some(bounds) = self.bounds {
            return Ok(bounds);
        }
        let ahead = u64::from(self.ahead.is_some());
        let here = self.input.stream_position()? - ahead;
        let end = self.input.seek(SeekFrom::End(0))?;
        self.input.seek(SeekFrom::Start(here))?;
        self.ahead = None;
        let bounds = (here - self.consumed, end);
        self.bounds = Some(bounds);
        Ok(bounds)
    }
}

impl<R: Read> Read for PayloadReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.content.is_empty() && !self.ended && !buf.is_empty() {
            self.next_chunk()?;
        }
        let n = self.content.len().min(buf.len());
        let from = self.content.start;
        buf[..n].copy_from_slice(&self.chunk[from..from + n]);
        self.content.start += n;
        Ok(n)
    }
}

/// Fills `buf` as far as the input reaches.
fn read_full(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match input.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const AT_EDGES: [usize; 9] = [
        0,
        1,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK - 1,
        2 * CHUNK,
        2 * CHUNK + 1,
        5 * CHUNK + 7,
    ];

    fn key() -> FileKey {
        FileKey::from_base64(&"AAECAwQFBgcICQoLDA0ODw==".into()).unwrap()
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i / 7) as u8).collect()
    }

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut writer = PayloadWriter::new(Vec::new(), &key(), &[7; NONCE]);
        for piece in content.chunks(10_007) {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    fn open(sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        PayloadReader::new(sealed, &key(), &[7; NONCE]).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_length_survives_and_every_cut_is_noticed() {
        for len in AT_EDGES {
            let plain = content(len);
            let sealed = sealed(&plain);
            let chunks = len.div_ceil(CHUNK).max(1);
            assert_eq!(
                sealed.len(),
                len + chunks * TAG,
                "no empty chunk at the end"
            );
            assert!(open(&sealed).unwrap() == plain);
            for cut in AT_EDGES.iter().filter(|cut| **cut < sealed.len()) {
                assert!(open(&sealed[..*cut]).is_err(), "{len} cut to {cut}");
            }
            let chunk = (CHUNK + TAG).min(sealed.len());
            assert!(open(&sealed[..sealed.len() - 1]).is_err());
            assert!(
                open(&[&sealed[..], b"x"].concat()).is_err(),
                "{len} and more"
            );
            assert!(open(&[&sealed[..], &sealed[..chunk]].concat()).is_err());
            let mut flipped = sealed.clone();
            *flipped.last_mut().unwrap() ^= 1;
            assert!(open(&flipped).is_err());
        }
        let swapped = sealed(&content(3 * CHUNK));
        let (a, rest) = swapped.split_at(CHUNK + TAG);
        let (b, c) = rest.split_at(CHUNK + TAG);
        assert!(open(&[b, a, c].concat()).is_err());
        assert!(open(&[a, c].concat()).is_err());
    }

    #[test]
    fn any_position_can_be_read() {
        for len in AT_EDGES {
            let plain = content(len);
            // Something stands before the payload, as an age header does.
            let object = [b"header".to_vec(), sealed(&plain)].concat();
            let mut input = Cursor::new(object);
            input.set_position(6);
            let mut reader = PayloadReader::new(input, &key(), &[7; NONCE]);
            let edges = AT_EDGES.iter().rev().chain(&AT_EDGES);
            for (from, take) in
                edges.flat_map(|from| [1, 100, CHUNK, CHUNK + 1].map(|n| (*from, n)))
            {
                let mut buf = vec![0; take];
                let read = reader.read_exact_at(from as u64, &mut buf);
                if from + take <= len {
                    read.unwrap();
                    assert!(
                        buf == plain[from..from + take],
                        "{take} from {from} of {len}"
                    );
                } else {
                    assert!(read.is_err(), "{take} from {from} of {len}");
                }
            }
        }
    }
}
