//! Runs that are due together: the latest one, and those it makes up for.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

/// Missed runs that are recorded one by one. A clock that was wrong by years may miss thousands.
const EACH: usize = 100;

/// What is due, at least one run.
#[derive(Debug, PartialEq)]
pub struct Due {
    /// Runs missed before those that follow: how many, the first and the last.
    pub summed: Option<(usize, DateTime<Utc>, DateTime<Utc>)>,
    /// Runs missed, oldest first.
    pub missed: VecDeque<DateTime<Utc>>,
    /// The run that a job is for.
    pub latest: DateTime<Utc>,
}

impl Due {
    /// The runs that are due, oldest first; `None` when none is.
    pub fn of(mut runs: impl Iterator<Item = DateTime<Utc>>) -> Option<Self> {
        let mut due = Self {
            summed: None,
            missed: VecDeque::new(),
            latest: runs.next()?,
        };
        for run in runs {
            due.missed
                .push_back(std::mem::replace(&mut due.latest, run));
            if due.missed.len() > EACH {
                due.sum_up();
            }
        }
        Some(due)
    }

    fn sum_up(&mut self) {
        if let Some(run) = self.missed.pop_front() {
            let (count, first, _) = self.summed.unwrap_or((0, run, run));
            self.summed = Some((count + 1, first, run));
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn runs(count: i32) -> Vec<DateTime<Utc>> {
        let at = |n| DateTime::UNIX_EPOCH + TimeDelta::minutes(n);
        (0..i64::from(count)).map(at).collect()
    }

    #[test]
    fn the_latest_stands_for_all_and_each_is_in_it_once() {
        assert_eq!(Due::of(std::iter::empty()), None);
        for count in [1, 2, 101, 102, 500] {
            let runs = runs(count);
            let due = Due::of(runs.iter().copied()).unwrap();
            assert_eq!(due.latest, runs[runs.len() - 1]);
            let (summed, first, last) = due.summed.unwrap_or((0, runs[0], runs[0]));
            assert_eq!(summed + due.missed.len() + 1, runs.len());
            assert_eq!(first, runs[0]);
            if summed > 0 {
                assert_eq!((last, due.missed.len()), (runs[summed - 1], EACH));
            }
            assert_eq!(due.missed, &runs[summed..runs.len() - 1]);
        }
    }
}
