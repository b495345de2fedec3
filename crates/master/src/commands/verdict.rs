//! What is said of a source: the worst that is known.

use backupd_base::{Code, Result, SnapshotId};
use backupd_policy::schedule::Plan;
use backupd_protocol::{Job, JobState, Snapshot};
use backupd_registry::SourceRow;
use chrono::Utc;

use super::{parsed, schedule_of};
use crate::retention::rule_of;
use crate::view::{ErrorView, Protection, SourceView};

/// The web root of a source.
pub fn path_of(source: &SourceRow) -> Result<String> {
    let settings: serde_json::Value = parsed("settings", &source.settings)?;
    Ok(settings["path"].as_str().unwrap_or_default().to_owned())
}

/// A source as the interface shows it. `jobs`: its backups, newest first.
pub fn view(
    source: SourceRow,
    newest: Option<(Snapshot, u32)>,
    jobs: Vec<Job>,
    online: bool,
) -> Result<SourceView> {
    let (last_snapshot, snapshots) = newest.unzip();
    let protection = verdict(
        last_snapshot.as_ref().map(|s: &Snapshot| &s.id),
        jobs.iter().find(|job| job.state.is_final()),
        source.refused.is_some(),
        online,
    );
    let schedule = schedule_of(&source)?;
    // One that a later version does not know any more has no next run to show.
    let plan = schedule
        .as_ref()
        .and_then(|s| Plan::new(s, source.id.as_str()).ok());
    Ok(SourceView {
        retention: rule_of(&source)?,
        next_run: plan.and_then(|plan| plan.next(Utc::now())),
        schedule,
        path: path_of(&source)?,
        id: source.id,
        node_id: source.node_id,
        tenant_id: source.tenant_id,
        name: source.name,
        module: source.module,
        providers: source.providers,
        protection,
        last_job: jobs.into_iter().next(),
        last_snapshot,
        snapshots: snapshots.unwrap_or(0),
        problem: source.refused.map(|message| ErrorView {
            code: Code::Corrupt,
            message,
        }),
    })
}

/// `last`: the newest backup that ended.
fn verdict(
    snapshot: Option<&SnapshotId>,
    last: Option<&Job>,
    refused: bool,
    online: bool,
) -> Protection {
    let state = last.map(|job| job.state);
    if state == Some(JobState::Failed) {
        return Protection::Failed;
    }
    if refused {
        return Protection::Attention;
    }
    if snapshot.is_none() {
        return match last {
            None if online => Protection::Waiting,
            _ => Protection::Attention,
        };
    }
    let whole = last.is_none_or(|job| {
        job.state == JobState::Completed
            && job.warnings.is_empty()
            && job.providers.iter().all(|p| p.stored)
    });
    if whole && online {
        Protection::Protected
    } else {
        Protection::Attention
    }
}

#[cfg(test)]
mod tests {
    use backupd_base::{ProviderId, SourceId};
    use backupd_protocol::{JobKind, ProviderOutcome};

    use super::*;

    fn job(state: JobState) -> Job {
        let source = (&SourceId::new(), "shop", "wordpress");
        Job {
            state,
            ..Job::new(JobKind::Backup, source, 5, &[], Utc::now())
        }
    }

    #[test]
    fn the_verdict_is_the_worst_that_is_known() {
        use Protection::{Attention, Failed, Protected, Waiting};
        let id = SnapshotId::new();
        let some = Some(&id);
        let done = job(JobState::Completed);
        let failed = job(JobState::Failed);
        let stopped = job(JobState::Cancelled);
        let mut warned = job(JobState::Completed);
        warned.warnings.push("a file vanished".into());
        let mut partial = job(JobState::Completed);
        partial.providers.push(ProviderOutcome {
            provider_id: ProviderId::new(),
            stored: false,
            error: None,
        });
        for (snapshot, last, refused, online, expected) in [
            (None, None, false, true, Waiting),
            (None, None, false, false, Attention),
            (None, Some(&stopped), false, true, Attention),
            (some, Some(&done), false, true, Protected),
            (some, None, false, true, Protected),
            (some, Some(&failed), false, true, Failed),
            (some, Some(&failed), true, false, Failed),
            (some, Some(&stopped), false, true, Attention),
            (some, Some(&warned), false, true, Attention),
            (some, Some(&partial), false, true, Attention),
            (some, Some(&done), true, true, Attention),
            (some, Some(&done), false, false, Attention),
            // Completed, but nothing that could be believed came of it.
            (None, Some(&done), false, true, Attention),
        ] {
            let got = verdict(snapshot, last, refused, online);
            let state = last.map(|job| job.state);
            assert_eq!(got, expected, "{snapshot:?} {state:?} {refused} {online}");
        }
    }
}
