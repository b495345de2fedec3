//! Compression in parallel, output in order, memory bounded by the number of workers.
//!
//! The caller fills chunks and submits them. Workers compress; the drain thread takes the results
//! in the order they were submitted and gives them to the sink, which encrypts and writes. The
//! queue to the drain is short: when the sink is slow, `submit` waits.
//! Dropping a pipeline stops it: nothing more reaches the sink, and no thread is left behind.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use backupd_base::{Code, Context, Error, Result};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::frame::{Chunk, Compressed, FrameCompressor, FrameSize};

/// Takes frames in order, on the drain thread.
pub(crate) trait FrameSink: Send + 'static {
    fn frames(&mut self, compressed: &[u8]) -> Result<()>;
}

/// Who may compress now. Threads of several archives share what a server can spare.
pub trait Turns: Send + Sync {
    /// Waits for a turn, which lasts until what is returned is dropped: one frame.
    fn take(&self) -> Box<dyn Send>;
}

/// How a pipeline compresses.
#[derive(Clone)]
pub(crate) struct Compression {
    /// Threads; at least one is started.
    pub workers: usize,
    /// zstd's level.
    pub level: i32,
    /// Where they wait for their turns, if anywhere.
    pub turns: Option<Arc<dyn Turns>>,
}

struct Work {
    chunk: Chunk,
    result: Sender<Result<Compressed>>,
}

enum Queued {
    Compressing(Receiver<Result<Compressed>>),
    Ready(Compressed),
}

pub(crate) struct Pipeline<S> {
    work: Option<Sender<Work>>,
    queue: Option<Sender<Queued>>,
    free_chunks: Receiver<Chunk>,
    free_outputs: Receiver<Compressed>,
    written: Receiver<FrameSize>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
    drain: Option<JoinHandle<Result<S>>>,
}

impl<S: FrameSink> Pipeline<S> {
    pub fn new(sink: S, compression: Compression) -> Result<Self> {
        let Compression { level, turns, .. } = compression;
        let workers = compression.workers.max(1);
        let (work, to_do) = bounded::<Work>(workers);
        // One in each worker's hands, one waiting for each, and one on its way out.
        let (queue, queued) = bounded::<Queued>(workers + 1);
        let (chunk_back, free_chunks) = unbounded();
        let (output_back, free_outputs) = unbounded();
        let (report, written) = unbounded();
        let stop = Arc::new(AtomicBool::new(false));

        let mut pipeline = Self {
            work: Some(work),
            queue: Some(queue),
            free_chunks,
            free_outputs: free_outputs.clone(),
            written,
            stop: stop.clone(),
            workers: Vec::with_capacity(workers),
            drain: None,
        };
        for n in 0..workers {
            let compressor = FrameCompressor::new(level)?;
            let (to_do, chunk_back) = (to_do.clone(), chunk_back.clone());
            let (free_outputs, stop) = (free_outputs.clone(), stop.clone());
            let turns = turns.clone();
            let worker = thread::Builder::new()
                .name(format!("compress-{n}"))
                .spawn(move || {
                    let turns = turns.as_deref();
                    work_off(compressor, turns, &to_do, &chunk_back, &free_outputs, &stop);
                })
                .context("start a compression thread")?;
            pipeline.workers.push(worker);
        }
        let drain = thread::Builder::new()
            .name("archive-drain".into())
            .spawn(move || drain(sink, &queued, &output_back, &report, &stop))
            .context("start the thread that writes the archive")?;
        pipeline.drain = Some(drain);
        Ok(pipeline)
    }

    /// An empty chunk to fill.
    pub fn chunk(&mut self) -> Chunk {
        let mut chunk = self.free_chunks.try_recv().unwrap_or_else(|_| Chunk::new());
        chunk.clear();
        chunk
    }

    /// An empty output, for frames that are compressed already.
    pub fn output(&mut self) -> Compressed {
        let mut output = self.free_outputs.try_recv().unwrap_or_default();
        output.clear();
        output
    }

    /// Compresses a chunk and sends it on, in order.
    pub fn submit(&mut self, chunk: Chunk) -> Result<()> {
        let (result, compressed) = bounded(1);
        // First its place in the queue: it bounds how much is in flight.
        self.enqueue(Queued::Compressing(compressed))?;
        let work = self.work.as_ref().ok_or_else(ended)?;
        work.send(Work { chunk, result })
            .map_err(|_| Error::new(Code::Internal, "the compression threads ended"))
    }

    /// Sends on frames that are compressed already, in order.
    pub fn splice(&mut self, frames: Compressed) -> Result<()> {
        self.enqueue(Queued::Ready(frames))
    }

    /// Frames the sink took since the last call, in order.
    pub fn written(&self) -> impl Iterator<Item = FrameSize> + '_ {
        self.written.try_iter()
    }

    /// Waits until the sink has everything. The second part is what [`Pipeline::written`] has not given yet.
    pub fn finish(mut self) -> Result<(S, Vec<FrameSize>)> {
        self.work = None;
        self.queue = None;
        let sink = self.join_drain()?;
        let rest = self.written.try_iter().collect();
        Ok((sink, rest))
    }

    fn enqueue(&mut self, item: Queued) -> Result<()> {
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        if queue.send(item).is_ok() {
            return Ok(());
        }
        // The drain is gone, and only an error makes it go: that is the one to tell.
        self.queue = None;
        Err(self.join_drain().err().unwrap_or_else(ended))
    }

    fn join_drain(&mut self) -> Result<S> {
        let drain = self.drain.take().ok_or_else(ended)?;
        drain.join().map_err(|_| {
            Error::new(
                Code::Internal,
                "the thread that writes the archive panicked",
            )
        })?
    }
}

impl<S> Drop for Pipeline<S> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.work = None;
        self.queue = None;
        for thread in self.workers.drain(..) {
            let _ = thread.join();
        }
        if let Some(drain) = self.drain.take() {
            let _ = drain.join();
        }
    }
}

fn ended() -> Error {
    Error::new(Code::Internal, "write to an archive that failed before")
}

fn work_off(
    mut compressor: FrameCompressor,
    turns: Option<&dyn Turns>,
    to_do: &Receiver<Work>,
    chunk_back: &Sender<Chunk>,
    free_outputs: &Receiver<Compressed>,
    stop: &AtomicBool,
) {
    for Work { chunk, result } in to_do {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let mut output = free_outputs.try_recv().unwrap_or_default();
        output.clear();
        let turn = turns.map(Turns::take);
        let compressed = compressor.compress(chunk.filled(), &mut output);
        drop(turn);
        // Nobody takes it back or waits for it only when the pipeline is being dropped.
        let _ = chunk_back.send(chunk);
        let _ = result.send(compressed.map(|()| output));
    }
}

fn drain<S: FrameSink>(
    mut sink: S,
    queued: &Receiver<Queued>,
    output_back: &Sender<Compressed>,
    report: &Sender<FrameSize>,
    stop: &AtomicBool,
) -> Result<S> {
    for item in queued {
        let output = match item {
            Queued::Ready(output) => output,
            Queued::Compressing(result) => match result.recv() {
                Ok(output) => output?,
                Err(_) => return Err(Error::new(Code::Internal, "a compression thread ended")),
            },
        };
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "write the archive"));
        }
        sink.frames(&output.bytes)?;
        for frame in &output.frames {
            let _ = report.send(*frame);
        }
        let _ = output_back.send(output);
    }
    Ok(sink)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::AtomicUsize,
        time::{Duration, Instant},
    };

    use super::*;

    fn threads(workers: usize) -> Compression {
        Compression {
            workers,
            level: 1,
            turns: None,
        }
    }

    /// Takes a frame only when the test lets it.
    struct Gate {
        entered: Sender<()>,
        open: Receiver<()>,
    }

    impl FrameSink for Gate {
        fn frames(&mut self, _: &[u8]) -> Result<()> {
            self.entered.send(()).expect("the test listens");
            self.open.recv().expect("the test opens");
            Ok(())
        }
    }

    #[test]
    fn a_dropped_pipeline_writes_no_more() {
        let (entered, taken) = unbounded();
        let (opener, open) = unbounded();
        let mut pipeline = Pipeline::new(Gate { entered, open }, threads(2)).unwrap();
        for _ in 0..3 {
            let mut chunk = pipeline.chunk();
            chunk.advance(10);
            pipeline.submit(chunk).unwrap();
        }
        taken.recv().unwrap();
        let stop = pipeline.stop.clone();
        let dropped = thread::spawn(move || drop(pipeline));
        let deadline = Instant::now() + Duration::from_secs(10);
        while !stop.load(Ordering::Relaxed) {
            assert!(Instant::now() < deadline, "the drop says stop");
            thread::yield_now();
        }
        // Enough for all three; only the one under way is taken, and then nobody listens.
        for _ in 0..3 {
            let _ = opener.send(());
        }
        dropped.join().unwrap();
        assert_eq!(taken.try_iter().count(), 0);
    }

    #[test]
    fn frames_come_out_in_order() {
        struct Collect(Vec<u8>);
        impl FrameSink for Collect {
            fn frames(&mut self, compressed: &[u8]) -> Result<()> {
                self.0
                    .extend(zstd::bulk::decompress(compressed, 100).expect("a frame"));
                Ok(())
            }
        }
        let mut pipeline = Pipeline::new(Collect(Vec::new()), threads(4)).unwrap();
        for n in 0..100 {
            if n % 7 == 0 {
                let mut output = pipeline.output();
                let mut compressor = FrameCompressor::new(1).unwrap();
                compressor.compress(&[n], &mut output).unwrap();
                pipeline.splice(output).unwrap();
            } else {
                let mut chunk = pipeline.chunk();
                chunk.spare()[0] = n;
                chunk.advance(1);
                pipeline.submit(chunk).unwrap();
            }
        }
        let (sink, rest) = pipeline.finish().unwrap();
        assert_eq!(sink.0, (0..100).collect::<Vec<u8>>());
        assert_eq!(rest.len(), 100);
    }

    struct Swallow;

    impl FrameSink for Swallow {
        fn frames(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }
    }

    /// Counts turns, and those under way.
    #[derive(Default)]
    struct Counted {
        taken: AtomicUsize,
        at_work: Arc<AtomicUsize>,
    }

    struct Turn(Arc<AtomicUsize>);

    impl Drop for Turn {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl Turns for Counted {
        fn take(&self) -> Box<dyn Send> {
            self.taken.fetch_add(1, Ordering::SeqCst);
            self.at_work.fetch_add(1, Ordering::SeqCst);
            Box::new(Turn(self.at_work.clone()))
        }
    }

    #[test]
    fn every_frame_is_compressed_in_a_turn() {
        let turns = Arc::new(Counted::default());
        let mut options = threads(3);
        options.turns = Some(turns.clone());
        let mut pipeline = Pipeline::new(Swallow, options).unwrap();
        for _ in 0..9 {
            let mut chunk = pipeline.chunk();
            chunk.advance(1);
            pipeline.submit(chunk).unwrap();
        }
        pipeline.finish().unwrap();
        assert_eq!(turns.taken.load(Ordering::SeqCst), 9);
        assert_eq!(turns.at_work.load(Ordering::SeqCst), 0);
    }
}
