//! The unit of compression: an independent zstd frame of at most [`FRAME_BYTES`] of tar, with its
//! content size in its header and a checksum at its end.

use backupd_base::{Context, Result};
use serde::{Deserialize, Serialize};
use zstd::{bulk::Compressor, zstd_safe::compress_bound};

use crate::noise::is_noise;

/// So much tar goes into one frame at most: enough for the ratio, little enough that one file
/// costs one small read.
pub const FRAME_BYTES: usize = 2 * 1024 * 1024;

/// Where one frame lies. The positions are in the uncompressed tar and in the zstd stream, that
/// is inside the age layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Position of its content in the tar.
    pub raw_offset: u64,
    /// Size of its content.
    pub raw_len: u32,
    /// Position in the zstd stream.
    pub offset: u64,
    /// Compressed size.
    pub len: u32,
}

/// The two sizes of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FrameSize {
    pub raw_len: u32,
    pub len: u32,
}

/// No frame is larger than this when compressed.
pub(crate) fn max_len() -> usize {
    compress_bound(FRAME_BYTES)
}

/// A buffer of tar to be compressed; filled in place, reused.
pub(crate) struct Chunk {
    bytes: Box<[u8]>,
    len: usize,
}

impl Chunk {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; FRAME_BYTES].into_boxed_slice(),
            len: 0,
        }
    }

    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// `n` bytes of [`Chunk::spare`] were filled.
    pub fn advance(&mut self, n: usize) {
        assert!(n <= FRAME_BYTES - self.len, "filled no more than was spare");
        self.len += n;
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }
}

/// Compressed frames, back to back.
#[derive(Default)]
pub(crate) struct Compressed {
    pub bytes: Vec<u8>,
    pub frames: Vec<FrameSize>,
}

impl Compressed {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }
}

/// zstd's level for what does not compress: it looks at little and copies the rest.
const NOISE_LEVEL: i32 = -100;

/// Makes frames of chunks; one for each worker.
pub(crate) struct FrameCompressor {
    zstd: Compressor<'static>,
    level: i32,
}

impl FrameCompressor {
    pub fn new(level: i32) -> Result<Self> {
        let mut zstd = Compressor::new(level).context("set up zstd")?;
        zstd.include_checksum(true).context("set up zstd")?;
        zstd.include_contentsize(true).context("set up zstd")?;
        Ok(Self { zstd, level })
    }

    /// Compresses `raw` into `into`, which is empty.
    pub fn compress(&mut self, raw: &[u8], into: &mut Compressed) -> Result<()> {
        let level = if is_noise(raw) {
            NOISE_LEVEL.min(self.level)
        } else {
            self.level
        };
        self.zstd
            .set_compression_level(level)
            .context("set up zstd")?;
        into.bytes.reserve(compress_bound(raw.len()));
        self.zstd
            .compress_to_buffer(raw, &mut into.bytes)
            .context("compress a frame")?;
        into.frames.push(FrameSize {
            raw_len: fits(raw.len()),
            len: fits(into.bytes.len()),
        });
        Ok(())
    }
}

fn fits(len: usize) -> u32 {
    u32::try_from(len).expect("a frame is at most a few MiB")
}
