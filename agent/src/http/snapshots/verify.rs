//! Reads a snapshot back, telling how far it is.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Body,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use backupd_base::{Code, Error, SnapshotId};
use backupd_protocol::{VerifyCreate, VerifyLine};
use bytes::Bytes;
use futures_util::stream;
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    http::{Failure, Shared, blocking},
    restore::verify,
    store::snapshots,
};

/// Between two lines of progress.
const PACE: Duration = Duration::from_millis(250);

/// Answers with a line a quarter of a second, and a last one. A caller that leaves stops it.
pub async fn create(
    State(agent): Shared,
    id: Result<Path<SnapshotId>, PathRejection>,
    body: Result<Json<VerifyCreate>, JsonRejection>,
) -> Result<Response, Failure> {
    let (Path(id), Json(create)) = (id?, body?);
    // One that is not there is told before the stream begins.
    let (store, known) = (agent.store.clone(), id.clone());
    blocking(move || store.read(|db| snapshots::get(db, &known))).await?;
    let (sender, receiver) = mpsc::channel(4);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut told = Instant::now();
        let mut progress = |done: backupd_archive::VerifyProgress| {
            if told.elapsed() < PACE {
                return Ok(());
            }
            told = Instant::now();
            let (entries, bytes) = (done.entries, done.bytes);
            if agent.shutdown.is_cancelled() {
                return Err(Error::new(Code::Unavailable, "the agent stops"));
            }
            sender
                .blocking_send(VerifyLine::Progress { entries, bytes })
                .map_err(|_| Error::new(Code::Cancelled, "the caller left"))
        };
        let VerifyCreate { provider_id, keys } = &create;
        let parts = &agent.parts;
        let outcome = verify::verify(parts, &runtime, &id, provider_id, keys, &mut progress);
        let last = match outcome {
            Ok(done) => VerifyLine::Verified {
                entries: done.entries,
                bytes: done.bytes,
            },
            Err(error) => VerifyLine::Failed {
                error: (&error).into(),
            },
        };
        // Nobody to tell is no fault.
        let _ = sender.blocking_send(last);
    });
    let lines = stream::unfold(receiver, |mut receiver| async move {
        let line = receiver.recv().await?;
        let mut text = serde_json::to_vec(&line).expect("wire types serialize");
        text.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(text)), receiver))
    });
    let header = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((header, Body::from_stream(lines)).into_response())
}
