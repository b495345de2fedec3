//! Places of one kind: so many at a time, first come first served, and everybody can see who has
//! one and who waits. How many there are may change at any moment; who has one keeps it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backupd_base::JobId;
use backupd_protocol::Occupant;
use chrono::{DateTime, SubsecRound as _, Utc};
use tokio::sync::oneshot;

/// Whose a place is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The job.
    pub job_id: JobId,
    /// Its source's name.
    pub source_name: String,
}

/// Places of one kind. Clones share them.
#[derive(Debug, Clone)]
pub struct Places(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    limit: usize,
    next: u64,
    taken: BTreeMap<u64, Entry>,
    waiting: VecDeque<(u64, Entry, oneshot::Sender<()>)>,
}

#[derive(Debug)]
struct Entry {
    holder: Option<Holder>,
    since: DateTime<Utc>,
}

/// A place that is taken, or waited for, until this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    id: u64,
}

impl Places {
    /// So many places; at least one.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            limit: limit.max(1),
            next: 0,
            taken: BTreeMap::new(),
            waiting: VecDeque::new(),
        })))
    }

    /// Waits for a place. Without a holder it is nobody's yet; see [`Place::occupy`].
    pub async fn take(&self, holder: Option<Holder>) -> Place {
        let (place, turn) = self.line_up(holder);
        // Given or, by a change of the limit alone, never dropped: the sender is in the line.
        let _ = turn.await;
        place
    }

    /// [`Places::take`] for a thread that may block.
    #[must_use]
    pub fn take_blocking(&self, holder: Option<Holder>) -> Place {
        let (place, turn) = self.line_up(holder);
        let _ = turn.blocking_recv();
        place
    }

    fn line_up(&self, holder: Option<Holder>) -> (Place, oneshot::Receiver<()>) {
        let (give, turn) = oneshot::channel();
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        let since = Utc::now().trunc_subsecs(3);
        state.waiting.push_back((id, Entry { holder, since }, give));
        state.serve();
        drop(state);
        let places = self.clone();
        (Place { places, id }, turn)
    }

    /// Changes how many there are, also for those who wait.
    pub fn set_limit(&self, limit: usize) {
        let mut state = self.state();
        state.limit = limit.max(1);
        state.serve();
    }

    /// How many there are.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.state().limit
    }

    /// Takes away what a job has: its thread does not come back.
    pub fn evict(&self, job: &JobId) {
        let mut state = self.state();
        let others = |entry: &Entry| entry.holder.as_ref().is_none_or(|h| h.job_id != *job);
        state.taken.retain(|_, entry| others(entry));
        state.serve();
    }

    /// Who has one, in the order they took it.
    #[must_use]
    pub fn holders(&self) -> Vec<Occupant> {
        self.state()
            .taken
            .values()
            .filter_map(Entry::told)
            .collect()
    }

    /// Who waits, in order.
    #[must_use]
    pub fn waiters(&self) -> Vec<Occupant> {
        let state = self.state();
        let entries = state.waiting.iter().map(|(_, entry, _)| entry);
        entries.filter_map(Entry::told).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left it whole: every change is a few moves.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives free places to those who wait longest.
    fn serve(&mut self) {
        while self.taken.len() < self.limit {
            let Some((id, mut entry, give)) = self.waiting.pop_front() else {
                return;
            };
            entry.since = Utc::now().trunc_subsecs(3);
            self.taken.insert(id, entry);
            // Whoever gave up waiting drops its place, which frees it again.
            let _ = give.send(());
        }
    }
}

impl Entry {
    fn told(&self) -> Option<Occupant> {
        let holder = self.holder.as_ref()?;
        Some(Occupant {
            job_id: holder.job_id.clone(),
            source_name: holder.source_name.clone(),
            since: self.since,
        })
    }
}

impl Place {
    /// Says whose it is from now on.
    pub fn occupy(&self, holder: Holder) {
        if let Some(entry) = self.places.state().taken.get_mut(&self.id) {
            entry.holder = Some(holder);
            entry.since = Utc::now().trunc_subsecs(3);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        state.waiting.retain(|(id, ..)| *id != self.id);
        state.taken.remove(&self.id);
        state.serve();
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Poll};

    use super::*;

    fn holder(name: &str) -> Holder {
        Holder {
            job_id: JobId::new(),
            source_name: name.to_owned(),
        }
    }

    fn names(list: &[Occupant]) -> Vec<&str> {
        list.iter().map(|o| o.source_name.as_str()).collect()
    }

    #[tokio::test]
    async fn places_go_to_who_waits_longest_and_everybody_sees_it() {
        let places = Places::new(1);
        let first = places.take(Some(holder("a"))).await;
        let mut waiting: Vec<_> = ["b", "c", "d"]
            .map(|name| Box::pin(places.take(Some(holder(name)))))
            .into();
        for take in &mut waiting {
            assert!(futures_util::poll!(take.as_mut()).is_pending());
        }
        assert_eq!(names(&places.holders()), ["a"]);
        assert_eq!(names(&places.waiters()), ["b", "c", "d"]);
        // One gives up; the place goes past it.
        drop(waiting.remove(0));
        drop(first);
        assert_eq!(names(&places.holders()), ["c"]);
        assert!(futures_util::poll!(waiting[1].as_mut()).is_pending());
        let second = waiting.remove(0).await;
        drop(second);
        let third = waiting.remove(0).await;
        assert_eq!(
            (names(&places.holders()), places.waiters()),
            (vec!["d"], vec![])
        );
        drop(third);
        assert!(places.holders().is_empty());
    }

    #[tokio::test]
    async fn a_changed_limit_reaches_who_waits_and_who_has_one_keeps_it() {
        let places = Places::new(1);
        let _first = places.take(Some(holder("a"))).await;
        let mut second = pin!(places.take(Some(holder("b"))));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        places.set_limit(2);
        let Poll::Ready(second) = futures_util::poll!(second.as_mut()) else {
            panic!("the second place is free");
        };
        places.set_limit(1);
        assert_eq!(names(&places.holders()), ["a", "b"]);
        let mut third = pin!(places.take(None));
        drop(second);
        assert!(futures_util::poll!(third.as_mut()).is_pending());
    }

    #[tokio::test]
    async fn what_is_given_up_goes_to_others_once() {
        let places = Places::new(1);
        let gone = holder("gone");
        let lost = places.take(Some(gone.clone())).await;
        let mut next = pin!(places.take(Some(holder("next"))));
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        places.evict(&gone.job_id);
        let _next = next.await;
        // The thread that was given up comes back and drops what is not its own any more.
        drop(lost);
        assert_eq!(names(&places.holders()), ["next"]);
        let mut third = pin!(places.take(None));
        assert!(futures_util::poll!(third.as_mut()).is_pending());
    }
}
