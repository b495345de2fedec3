//! Which state may follow which, for jobs and their stages. Everything that moves a job or a stage
//! asks here.
//!
//! ```text
//! job    PENDING ──▶ RUNNING ──▶ COMPLETED   every provider has the snapshot; a restore is in place
//!           │           ├──────▶ FAILED      what failed, or that it was cut short, hung or reset
//!           │           └──────▶ CANCELLED   stopped on request
//!           ├──────────────────▶ CANCELLED   stopped, or a waiting retry that gave way
//!           └──────────────────▶ FAILED      a restore whose lent keys went with a former process
//!
//! stage  PENDING ──▶ RUNNING ──▶ COMPLETED
//!           │           ├──────▶ FAILED      the one the job failed in
//!           │           └──────▶ SKIPPED     cut short by another's failure, or on request
//!           ├──────────────────▶ SKIPPED     not needed, or never come to
//!           └──────────────────▶ FAILED      what it needs could not be had before it began
//! ```
//!
//! What has ended stays as it ended: a retry is a job of its own, `PENDING` until its time comes,
//! linked to the first of its chain.
//!
//! Beside each other run jobs of different sources only: one source has at most one job that is
//! `PENDING` or `RUNNING`, which the table of jobs keeps by a unique index.

use backupd_base::{Code, Error, Result};
use backupd_protocol::{
    JobState::{self, *},
    StageState,
};

/// From a state of a job to those that may follow.
const JOB: &[(JobState, &[JobState])] = &[
    (Pending, &[Running, Cancelled, Failed]),
    (Running, &[Completed, Failed, Cancelled]),
    (Completed, &[]),
    (Failed, &[]),
    (Cancelled, &[]),
];

/// From a state of a stage to those that may follow. A stage that was cut short by another's
/// failure, or on request, is `SKIPPED`.
const STAGE: &[(StageState, &[StageState])] = &[
    (
        StageState::Pending,
        &[StageState::Running, StageState::Skipped, StageState::Failed],
    ),
    (
        StageState::Running,
        &[
            StageState::Completed,
            StageState::Failed,
            StageState::Skipped,
        ],
    ),
    (StageState::Completed, &[]),
    (StageState::Failed, &[]),
    (StageState::Skipped, &[]),
];

/// Checks a step of a job.
///
/// # Errors
/// `Conflict` when the table has no such step.
pub fn job(from: JobState, to: JobState) -> Result<()> {
    check(JOB, from, to, "job")
}

/// Checks a step of a stage.
///
/// # Errors
/// `Conflict` when the table has no such step.
pub fn stage(from: StageState, to: StageState) -> Result<()> {
    check(STAGE, from, to, "stage")
}

fn check<S: Copy + PartialEq + std::fmt::Debug>(
    table: &[(S, &[S])],
    from: S,
    to: S,
    what: &str,
) -> Result<()> {
    let allowed = table
        .iter()
        .any(|(state, next)| *state == from && next.contains(&to));
    if allowed {
        Ok(())
    } else {
        let why = format!("a {what} does not go from {from:?} to {to:?}");
        Err(Error::new(Code::Conflict, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_stays_as_it_ended() {
        for (from, next) in JOB {
            assert_eq!(from.is_final(), next.is_empty(), "{from:?}");
        }
        assert!(job(Completed, Running).is_err());
        assert!(job(Pending, Completed).is_err());
        assert!(stage(StageState::Pending, StageState::Completed).is_err());
        assert!(stage(StageState::Running, StageState::Completed).is_ok());
    }
}
