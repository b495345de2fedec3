//! The uncompressed tar as it is written: bytes collected into chunks, chunks handed to the
//! pipeline, and the place of each frame once it is known.

use backupd_base::Result;

use crate::{
    Frame,
    frame::{Chunk, FrameSize},
    pipeline::{Compression, FrameSink, Pipeline},
    spool::FrameSpool,
    tar_header::padding,
};

pub(crate) struct TarStream<S> {
    pipeline: Pipeline<S>,
    chunk: Chunk,
    /// Bytes of tar so far.
    position: u64,
    /// The end of the last frame that was written.
    raw_end: u64,
    zstd_end: u64,
}

impl<S: FrameSink> TarStream<S> {
    pub fn new(sink: S, compression: Compression) -> Result<Self> {
        let mut pipeline = Pipeline::new(sink, compression)?;
        Ok(Self {
            chunk: pipeline.chunk(),
            pipeline,
            position: 0,
            raw_end: 0,
            zstd_end: 0,
        })
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let spare = self.spare();
            let n = bytes.len().min(spare.len());
            spare[..n].copy_from_slice(&bytes[..n]);
            self.advance(n)?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Room to read into; never empty.
    pub fn spare(&mut self) -> &mut [u8] {
        self.chunk.spare()
    }

    /// The first `n` bytes of [`TarStream::spare`] were filled.
    pub fn advance(&mut self, n: usize) -> Result<()> {
        self.chunk.advance(n);
        self.position += n as u64;
        if self.chunk.spare().is_empty() {
            self.submit()?;
        }
        Ok(())
    }

    /// Zeros up to the next block, after content of `len` bytes.
    pub fn pad(&mut self, len: u64) -> Result<()> {
        self.zeros(padding(len) as u64)
    }

    pub fn zeros(&mut self, mut len: u64) -> Result<()> {
        while len > 0 {
            let spare = self.spare();
            let n = spare.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            spare[..n].fill(0);
            self.advance(n)?;
            len -= n as u64;
        }
        Ok(())
    }

    /// Takes over the frames of a spool as they are. `progress` gets the uncompressed bytes done.
    pub fn splice(
        &mut self,
        spool: &FrameSpool,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let mut frames = spool.frames()?;
        self.submit()?;
        let mut done = 0;
        loop {
            let mut output = self.pipeline.output();
            if !frames.read(&mut output)? {
                return Ok(());
            }
            let raw: u64 = output.frames.iter().map(|f| u64::from(f.raw_len)).sum();
            self.pipeline.splice(output)?;
            self.position += raw;
            done += raw;
            progress(done)?;
        }
    }

    /// The frames written since the last call.
    pub fn written(&mut self) -> Vec<Frame> {
        let sizes: Vec<_> = self.pipeline.written().collect();
        sizes.into_iter().map(|size| self.place(size)).collect()
    }

    /// Ends the stream: the sink, the frames not told yet, the size of tar and zstd stream.
    pub fn finish(mut self) -> Result<(S, Vec<Frame>, u64, u64)> {
        self.submit()?;
        let mut frames = self.written();
        let Self {
            pipeline,
            position,
            mut raw_end,
            mut zstd_end,
            ..
        } = self;
        let (sink, rest) = pipeline.finish()?;
        frames.extend(
            rest.into_iter()
                .map(|size| place(&mut raw_end, &mut zstd_end, size)),
        );
        debug_assert_eq!(raw_end, position, "every byte of tar is in a frame");
        Ok((sink, frames, position, zstd_end))
    }

    fn place(&mut self, size: FrameSize) -> Frame {
        place(&mut self.raw_end, &mut self.zstd_end, size)
    }

    fn submit(&mut self) -> Result<()> {
        if self.chunk.filled().is_empty() {
            return Ok(());
        }
        let empty = self.pipeline.chunk();
        self.pipeline
            .submit(std::mem::replace(&mut self.chunk, empty))
    }
}

fn place(raw_end: &mut u64, zstd_end: &mut u64, size: FrameSize) -> Frame {
    let frame = Frame {
        raw_offset: *raw_end,
        raw_len: size.raw_len,
        offset: *zstd_end,
        len: size.len,
    };
    *raw_end += u64::from(size.raw_len);
    *zstd_end += u64::from(size.len);
    frame
}
