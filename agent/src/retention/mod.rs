//! Keeping to the retention of a source in folders of this server.
//!
//! Mark: what the rule no longer keeps, decided over what was just seen to be whole. Write the
//! intent down. Delete: the manifest first, so that half a snapshot is none. Then the catalogue
//! forgets it, and the journal says what went and why, in one change. A crash in between is made
//! good by the intent at the next start.
//!
//! Deliberately not here: buckets. The credential of a node cannot delete there; the master does.

mod removal;
mod survey;

use std::{collections::BTreeSet, time::Duration};

use backupd_base::{Code, ProviderId, Result, SnapshotId, SourceId};
use backupd_policy::retention::{Decision, Retention, ZONE, decide};
use backupd_protocol::{Severity, Source};
use chrono::{DateTime, Utc};
use tokio::{sync::Mutex, time::interval};
use tokio_util::sync::CancellationToken;

use crate::{
    jobs::Parts,
    journal::Entry,
    store::{jobs, meta, removals, snapshots},
};
use survey::Survey;

/// Between two looks at all sources; each backup looks at its own.
const DAILY: Duration = Duration::from_secs(24 * 3600);

/// One at a time, so that each removal is reported once.
static TURN: Mutex<()> = Mutex::const_new(());

/// Finishes what was begun, then looks after all sources once a day, until `shutdown`. A start
/// removes nothing new: a mistyped rule can be put right before the next backup.
pub async fn run(parts: &Parts, shutdown: CancellationToken) {
    let mut days = interval(DAILY);
    let mut is_start = true;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = days.tick() => {}
        }
        let done = if std::mem::take(&mut is_start) {
            finish(parts).await
        } else {
            all(parts, Utc::now()).await
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the retention could not be applied; it is tried again");
        }
    }
}

/// Finishes the removals that were begun.
///
/// # Errors
/// What a store says; its removals stay begun.
pub async fn finish(parts: &Parts) -> Result<()> {
    let _turn = TURN.lock().await;
    removal::finish(parts).await
}

/// Keeps to the retention of every source that has snapshots, at the time `now`.
///
/// # Errors
/// The first of what went wrong; the others were looked after all the same.
pub async fn all(parts: &Parts, now: DateTime<Utc>) -> Result<()> {
    let catalogue = parts.store.read(|db| snapshots::list(db, None))?;
    let sources: BTreeSet<_> = catalogue.into_iter().map(|s| s.source_id).collect();
    let mut outcome = Ok(());
    for id in sources {
        outcome = outcome.and(apply(parts, &id, now).await);
    }
    outcome
}

/// Keeps to the retention of one source in its folders on this server, at the time `now`. While a
/// job of it is pending or running nothing goes.
///
/// # Errors
/// `Invalid` for a rule that keeps nothing; what a store says.
pub async fn apply(parts: &Parts, id: &SourceId, now: DateTime<Utc>) -> Result<()> {
    let _turn = TURN.lock().await;
    let source = match parts.host.source(id) {
        Ok(source) => source,
        // It is no longer backed up, and nobody says what is to stay.
        Err(e) if e.code() == Code::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let Some(rule) = &source.retention else {
        return Ok(());
    };
    rule.check()?;
    let mut outcome = Ok(());
    for provider in &source.providers {
        outcome = outcome.and(mark(parts, &source, rule, provider, now).await);
    }
    outcome.and(removal::finish(parts).await)
}

/// Decides what goes from one provider, and writes that down.
async fn mark(
    parts: &Parts,
    source: &Source,
    rule: &Retention,
    provider: &ProviderId,
    now: DateTime<Utc>,
) -> Result<()> {
    let Some(storage) = parts.folder(provider).await? else {
        return Ok(());
    };
    let survey = Survey::of(parts, source, provider, &*storage).await?;
    let plan = decide(rule, &survey.candidates, ZONE, now);
    parts.store.write(|tx| {
        if jobs::is_busy(tx, &source.id)? {
            return Ok(());
        }
        for verdict in &plan.verdicts {
            let Decision::Remove { reason } = verdict.decision else {
                continue;
            };
            let now = snapshots::get(tx, &verdict.id)?;
            // Somebody may have asked for it since it was looked at.
            if !now.held && now.providers.contains(provider) {
                let removal = survey.removal(&verdict.id, provider, reason);
                removals::begin(tx, &removal)?;
            }
        }
        Ok(())
    })?;
    tell_quota(parts, source, provider, plan.over_quota_bytes)
}

/// Says once when a quota cannot be met, and again only after it was.
fn tell_quota(parts: &Parts, source: &Source, provider: &ProviderId, over: u64) -> Result<()> {
    let fact = format!("over_quota/{}/{provider}", source.id);
    let was_over = parts.store.read(|db| meta::get(db, &fact))?.as_deref() == Some("yes");
    if was_over == (over > 0) {
        return Ok(());
    }
    if over == 0 {
        return parts.store.write(|tx| meta::set(tx, &fact, "no"));
    }
    let name = parts.host.provider_name(provider);
    let message = format!(
        "What must stay of {} in {name} takes {} MiB more than its quota: raise the quota, or \
         release snapshots that are held.",
        source.name,
        over.div_ceil(1 << 20),
    );
    let mut entry = Entry::new("retention.over_quota", Severity::Warning, message);
    entry.source_id = Some(source.id.clone());
    let entry = entry.with("provider_id", provider).with("bytes", over);
    parts
        .journal
        .record_with(|tx| Ok((meta::set(tx, &fact, "yes")?, entry)))
        .map(drop)
}

/// Keeps a snapshot from the retention, or leaves it to it again. The same again changes nothing.
///
/// # Errors
/// `NotFound` when it is not in the catalogue, `Conflict` when it is being removed.
pub fn hold(parts: &Parts, id: &SnapshotId, held: bool) -> Result<()> {
    let snapshot = parts.store.read(|db| snapshots::get(db, id))?;
    if snapshot.held == held {
        return Ok(());
    }
    let name = source_name(parts, &snapshot.source_id);
    let made = snapshot.created_at.format("%Y-%m-%d %H:%M UTC");
    let (kind, what) = match held {
        true => ("snapshot.held", "is held: retention does not remove it"),
        false => ("snapshot.released", "is left to retention again"),
    };
    let message = format!("The snapshot of {name} of {made} {what}.");
    let mut entry = Entry::new(kind, Severity::Info, message).with("snapshot_id", id);
    entry.source_id = Some(snapshot.source_id);
    parts
        .journal
        .record_with(|tx| {
            removals::check_stays(tx, id)?;
            Ok((snapshots::hold(tx, id, held)?, entry))
        })
        .map(drop)
}

fn source_name(parts: &Parts, id: &SourceId) -> String {
    let source = parts.host.source(id);
    source.map_or_else(|_| id.to_string(), |source| source.name)
}
