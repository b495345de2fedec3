//! What a rule means for a list of snapshots.
//!
//! - The counts are applied to the verified ones, and apart from them to the others: what is not
//!   proven to be there never takes the place of what is. Somebody who plants snapshots, or a
//!   store that lost some, pushes no good one out.
//! - Protected, whatever the rule says: the newest verified one and all that are newer, held ones,
//!   unknown ones, and those from the future of `now`. Only the newest verified one and held ones
//!   also count.
//! - While nothing is verified, nothing goes.

use std::{cmp::Reverse, collections::HashSet, hash::Hash};

use backupd_base::SnapshotId;
use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{Candidate, Retention};

/// Why a snapshot stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum KeepReason {
    /// One of the last so many.
    Last,
    /// The newest of its day.
    Daily,
    /// The newest of its week.
    Weekly,
    /// The newest of its month.
    Monthly,
    /// The newest of its year.
    Yearly,
    /// From the days of which all stay.
    Within,
    /// Somebody asked for it to stay.
    Held,
    /// The newest that is known to be good: never removed.
    NewestVerified,
    /// Newer than the newest that is known to be good, or none is: it may be all there is.
    NotYetProven,
    /// Dated in the future: a clock is wrong, and nothing is removed by a wrong clock.
    Future,
    /// The catalogue does not have it: nobody's to remove.
    Unknown,
}

/// Why a snapshot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum RemoveReason {
    /// No count asks for it.
    Rule,
    /// A count does, but there is no room.
    Quota,
}

/// What becomes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum Decision {
    /// It stays.
    Keep {
        /// Why; one or more.
        reasons: Vec<KeepReason>,
    },
    /// It goes.
    Remove {
        /// Why.
        reason: RemoveReason,
    },
}

impl Decision {
    /// Whether it stays.
    #[must_use]
    pub fn keeps(&self) -> bool {
        matches!(self, Self::Keep { .. })
    }
}

/// What becomes of one of the candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub id: SnapshotId,
    /// What becomes of it.
    pub decision: Decision,
}

/// What becomes of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One for each candidate, in their order.
    pub verdicts: Vec<Verdict>,
    /// Bytes of those that stay.
    pub kept_bytes: u64,
    /// Bytes of those that go.
    pub freed_bytes: u64,
    /// How far what stays is beyond the quota: more than 0 when protected snapshots alone are.
    pub over_quota_bytes: u64,
}

impl Plan {
    /// Those that go, in the candidates' order.
    pub fn removed(&self) -> impl Iterator<Item = &SnapshotId> {
        let gone = self.verdicts.iter().filter(|v| !v.decision.keeps());
        gone.map(|v| &v.id)
    }
}

/// Decides what stays, at the time `now`, with days, weeks, months and years as they are in `zone`.
/// The order of the candidates does not matter; of two made at the same time the greater id is the
/// newer one.
#[must_use]
pub fn decide(rule: &Retention, candidates: &[Candidate], zone: Tz, now: DateTime<Utc>) -> Plan {
    let mut slots: Vec<Slot<'_>> = candidates.iter().map(Slot::new).collect();
    let mut newest_first: Vec<usize> = (0..slots.len()).collect();
    newest_first.sort_by_key(|at| Reverse((candidates[*at].created_at, &candidates[*at].id)));

    protect(&mut slots, &newest_first, now);
    for verified in [true, false] {
        let class: Vec<usize> = newest_first
            .iter()
            .copied()
            .filter(|at| slots[*at].counts && slots[*at].candidate.verified == verified)
            .collect();
        apply(rule, &mut slots, &class, zone);
    }
    if let Some(quota) = rule.quota_bytes {
        make_room(quota, &mut slots, &newest_first);
    }
    plan(rule, slots)
}

struct Slot<'a> {
    candidate: &'a Candidate,
    reasons: Vec<KeepReason>,
    protected: bool,
    /// The counts see it.
    counts: bool,
    no_room: bool,
}

impl<'a> Slot<'a> {
    fn new(candidate: &'a Candidate) -> Self {
        Self {
            candidate,
            reasons: Vec::new(),
            protected: false,
            counts: true,
            no_room: false,
        }
    }

    fn protect(&mut self, reason: KeepReason) {
        self.reasons.push(reason);
        self.protected = true;
    }

    fn stays(&self) -> bool {
        !self.reasons.is_empty() && !self.no_room
    }
}

fn protect(slots: &mut [Slot<'_>], newest_first: &[usize], now: DateTime<Utc>) {
    let mut proven = false;
    for at in newest_first {
        let slot = &mut slots[*at];
        let candidate = slot.candidate;
        if candidate.held {
            slot.protect(KeepReason::Held);
        }
        let uncounted = if !candidate.known {
            Some(KeepReason::Unknown)
        } else if candidate.created_at > now {
            Some(KeepReason::Future)
        } else if !candidate.verified && !proven {
            Some(KeepReason::NotYetProven)
        } else {
            None
        };
        if let Some(reason) = uncounted {
            slot.protect(reason);
            slot.counts = false;
        } else if !proven {
            slot.protect(KeepReason::NewestVerified);
            proven = true;
        }
    }
}

fn apply(rule: &Retention, slots: &mut [Slot<'_>], newest_first: &[usize], zone: Tz) {
    let day = |slot: &Slot<'_>| slot.candidate.created_at.with_timezone(&zone).date_naive();
    let week = |d: NaiveDate| (d.iso_week().year(), d.iso_week().week());
    for at in newest_first.iter().take(rule.keep_last as usize) {
        slots[*at].reasons.push(KeepReason::Last);
    }
    let mut newest_of_each = |count: u32, reason: KeepReason, bucket: &dyn Fn(NaiveDate) -> _| {
        for at in first_of_each(newest_first, count, |at| bucket(day(&slots[at]))) {
            slots[at].reasons.push(reason);
        }
    };
    newest_of_each(rule.daily, KeepReason::Daily, &|d| (d.year(), d.ordinal()));
    newest_of_each(rule.weekly, KeepReason::Weekly, &week);
    newest_of_each(rule.monthly, KeepReason::Monthly, &|d| {
        (d.year(), d.month())
    });
    newest_of_each(rule.yearly, KeepReason::Yearly, &|d| (d.year(), 0));

    let newest = newest_first.first().map(|at| slots[*at].candidate);
    if let (Some(days), Some(newest)) = (rule.keep_within_days, newest) {
        let within = TimeDelta::try_days(i64::from(days)).filter(|_| days > 0);
        // Further back than the calendar reaches: all.
        let since = within.map(|w| newest.created_at.checked_sub_signed(w));
        for at in newest_first {
            let made = slots[*at].candidate.created_at;
            if since.is_some_and(|since| since.is_none_or(|since| made > since)) {
                slots[*at].reasons.push(KeepReason::Within);
            }
        }
    }
}

fn first_of_each<B: Eq + Hash>(
    newest_first: &[usize],
    count: u32,
    bucket: impl Fn(usize) -> B,
) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut firsts = newest_first.iter().copied();
    let mut first = || firsts.find(|at| seen.insert(bucket(*at)));
    std::iter::from_fn(&mut first)
        .take(count as usize)
        .collect()
}

/// Unproven ones go first: they were counted on their own, and must not push a proven one out here
/// either. For the same reason what no count sees takes up no room of the others.
fn make_room(quota: u64, slots: &mut [Slot<'_>], newest_first: &[usize]) {
    let counted = slots.iter().filter(|s| s.counts && s.stays());
    let mut taken: u128 = counted.map(|s| u128::from(s.candidate.stored_bytes)).sum();
    for verified in [false, true] {
        for at in newest_first.iter().rev() {
            let slot = &mut slots[*at];
            let goes = slot.stays() && !slot.protected && slot.candidate.verified == verified;
            if goes && taken > u128::from(quota) {
                slot.no_room = true;
                taken -= u128::from(slot.candidate.stored_bytes);
            }
        }
    }
}

fn plan(rule: &Retention, slots: Vec<Slot<'_>>) -> Plan {
    let mut plan = Plan {
        verdicts: Vec::with_capacity(slots.len()),
        kept_bytes: 0,
        freed_bytes: 0,
        over_quota_bytes: 0,
    };
    for slot in slots {
        let bytes = match slot.stays() {
            true => &mut plan.kept_bytes,
            false => &mut plan.freed_bytes,
        };
        *bytes = bytes.saturating_add(slot.candidate.stored_bytes);
        let decision = if slot.stays() {
            let reasons = slot.reasons;
            Decision::Keep { reasons }
        } else {
            let reason = match slot.no_room {
                true => RemoveReason::Quota,
                false => RemoveReason::Rule,
            };
            Decision::Remove { reason }
        };
        plan.verdicts.push(Verdict {
            id: slot.candidate.id.clone(),
            decision,
        });
    }
    let quota = rule.quota_bytes.unwrap_or(u64::MAX);
    plan.over_quota_bytes = plan.kept_bytes.saturating_sub(quota);
    plan
}
