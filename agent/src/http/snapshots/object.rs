//! One object of a snapshot as a stream (RFC 9110, section 14, single ranges).

use std::{ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE},
    },
    response::{IntoResponse, Response},
};
use backupd_base::{Code, Context, Error, ProviderId, Result, SnapshotId};
use backupd_protocol::{ProviderKind, Snapshot};
use backupd_storage::{Key, SnapshotPrefix, Storage};
use futures_util::stream;
use serde::Deserialize;

use crate::{
    agent::Agent,
    http::{Failure, Shared, blocking},
    jobs::Host as _,
    store::{providers, snapshots},
};

/// Read from the store at a time; one block of each stream is in memory.
const BLOCK: u64 = 1 << 20;

/// Where to read it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    provider: Option<ProviderId>,
}

/// Streams one object.
pub async fn get(
    State(agent): Shared,
    path: Result<Path<(SnapshotId, String)>, PathRejection>,
    from: Result<Query<From>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (Path((id, name)), Query(from)) = (path?, from?);
    let (storage, key) = blocking(move || find(&agent, &id, &name, from.provider)).await?;
    let object = storage
        .head(&key)
        .await?
        .with_context(|| format!("there is no {key} in that store"))?;
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let size = object.size;
    let (status, range) = match asked.map(|text| parse(text, size)) {
        None => (StatusCode::OK, 0..size),
        Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, range),
        Some(None) => {
            let header = [(CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, header).into_response());
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(ACCEPT_RANGES, "bytes")
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, range.end - range.start);
    if status == StatusCode::PARTIAL_CONTENT {
        let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        response = response.header(CONTENT_RANGE, shown);
    }
    let response = response
        .body(body(storage, key, range))
        .context("answer with an object");
    Ok(response?)
}

fn find(
    agent: &Agent,
    id: &SnapshotId,
    name: &str,
    provider: Option<ProviderId>,
) -> Result<(Arc<dyn Storage>, Key)> {
    let snapshot = agent.store.read(|db| snapshots::get(db, id))?;
    let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
    let key = match name {
        "manifest" => prefix.manifest(),
        "meta" => prefix.meta(),
        "files" => prefix.index(),
        "download" => prefix.archive(),
        _ => {
            return Err(Error::new(
                Code::NotFound,
                format!("a snapshot has no {name:?}; it has manifest, meta, files and download"),
            ));
        }
    };
    let provider = holder(agent, &snapshot, provider.as_ref())?;
    Ok((agent.inventory.storage(&provider)?, key))
}

/// The store that holds `snapshot`: the one asked for, else one on this server, else any.
fn holder(agent: &Agent, snapshot: &Snapshot, asked: Option<&ProviderId>) -> Result<ProviderId> {
    let kept = agent.store.read(providers::list)?;
    kept.into_iter()
        .map(|kept| kept.provider)
        .filter(|provider| snapshot.providers.contains(&provider.id))
        .filter(|provider| asked.is_none_or(|id| *id == provider.id))
        .min_by_key(|provider| !matches!(provider.kind, ProviderKind::Local { .. }))
        .map(|provider| provider.id)
        .with_context(|| format!("no such store holds snapshot {}", snapshot.id))
}

fn body(storage: Arc<dyn Storage>, key: Key, range: Range<u64>) -> Body {
    Body::from_stream(stream::try_unfold(range, move |rest| {
        let (storage, key) = (storage.clone(), key.clone());
        async move {
            if rest.is_empty() {
                return Ok::<_, Error>(None);
            }
            let end = rest.end.min(rest.start + BLOCK);
            let block = storage.get_range(&key, rest.start..end).await?;
            if block.is_empty() {
                return Err(Error::new(Code::Corrupt, format!("{key} ends too soon")));
            }
            let next = rest.start + block.len() as u64..rest.end;
            Ok(Some((block, next)))
        }
    }))
}

/// `bytes=a-b`, `bytes=a-`, `bytes=-n`, as a range within `size`; `None` when it lies outside, or is
/// more than one.
fn parse(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", n) => size.saturating_sub(n.parse().ok()?)..size,
        (a, "") => a.parse().ok()?..size,
        (a, b) => a.parse().ok()?..b.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    (range.start < range.end).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_object() {
        for (text, range) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=2-4", Some(2..5)),
            ("bytes=8-99", Some(8..10)),
            ("bytes=7-", Some(7..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-99", Some(0..10)),
            ("bytes=10-", None),
            ("bytes=4-2", None),
            ("bytes=-0", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=x-", None),
        ] {
            assert_eq!(parse(text, 10), range, "{text}");
        }
    }
}
