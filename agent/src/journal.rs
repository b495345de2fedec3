//! The journal: what happened on this node, numbered without gaps, kept until a master has read
//! it and for good measure long after.
//!
//! Deliberately not here: the log for people at the console (`tracing`).

use std::{collections::BTreeMap, sync::Arc};

use backupd_base::{JobId, Result, SourceId};
use backupd_protocol::{Event, LiveMessage, Severity};
use rusqlite::Transaction;

use crate::{
    live::Live,
    store::{Store, events},
};

/// An event before it has its number and time.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `job.completed`, `pairing.enrolled`, `security.rejected`, …
    pub kind: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// In a sentence; never a secret.
    pub message: String,
    /// The source it is about.
    pub source_id: Option<SourceId>,
    /// The job it is about.
    pub job_id: Option<JobId>,
    /// Further facts; never a secret.
    pub data: BTreeMap<String, String>,
}

impl Entry {
    /// An entry about the node as a whole.
    #[must_use]
    pub fn new(kind: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            kind,
            severity,
            message: message.into(),
            source_id: None,
            job_id: None,
            data: BTreeMap::new(),
        }
    }

    /// The same entry about one job of one source.
    #[must_use]
    pub fn about(mut self, source: &SourceId, job: &JobId) -> Self {
        self.source_id = Some(source.clone());
        self.job_id = Some(job.clone());
        self
    }

    /// The same entry about a source as a whole.
    #[must_use]
    pub fn of(mut self, source: &SourceId) -> Self {
        self.source_id = Some(source.clone());
        self
    }

    /// The same entry with one more fact.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.data.insert(name.to_owned(), value.to_string());
        self
    }
}

/// The journal of this node. Clones share it.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Arc<Store>,
    live: Live,
}

impl Journal {
    /// The journal in `store`, told to `live` as it grows.
    #[must_use]
    pub fn new(store: Arc<Store>, live: Live) -> Self {
        Self { store, live }
    }

    /// Writes one entry durably, then tells who listens. Blocks for one commit.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn record(&self, entry: Entry) -> Result<Event> {
        self.record_with(|_| Ok(((), entry)))
            .map(|(_, event)| event)
    }

    /// Writes a change and the entry that reports it in one transaction: both or neither survive
    /// a crash, so that it is reported exactly once.
    ///
    /// # Errors
    /// What `change` fails with, or the store.
    pub fn record_with<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<(T, Entry)>,
    ) -> Result<(T, Event)> {
        let (value, mut events) = self.record_all(|tx| {
            let (value, entry) = change(tx)?;
            Ok((value, vec![entry]))
        })?;
        let event = events.pop().expect("one entry is one event");
        Ok((value, event))
    }

    /// [`Journal::record_with`] for a change that several entries report, or none.
    ///
    /// # Errors
    /// What `change` fails with, or the store.
    pub fn record_all<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<(T, Vec<Entry>)>,
    ) -> Result<(T, Vec<Event>)> {
        let (value, events) = self.store.write(|tx| {
            let (value, entries) = change(tx)?;
            let events = entries.iter().map(|entry| events::append(tx, entry));
            Ok((value, events.collect::<Result<Vec<_>>>()?))
        })?;
        for event in &events {
            self.live.tell(LiveMessage::Event(event.clone()));
        }
        Ok((value, events))
    }

    /// Up to `limit` events after number `seq`, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn after(&self, seq: u64, limit: u32) -> Result<Vec<Event>> {
        self.store.read(|db| events::after(db, seq, limit))
    }

    /// Number of the newest event; 0 when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last(&self) -> Result<u64> {
        self.store.read(events::last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backupd_base::{Code, Error};

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        (dir, Journal::new(store, Live::new()))
    }

    fn entry(n: u32) -> Entry {
        Entry::new("test.happened", Severity::Info, format!("number {n}")).with("n", n)
    }

    #[test]
    fn numbers_have_no_gaps_even_after_a_change_that_failed() {
        let (_dir, journal) = journal();
        journal.record(entry(1)).unwrap();
        let failed: Result<((), Event)> =
            journal.record_with(|_| Err(Error::new(Code::Conflict, "no")));
        assert!(failed.is_err());
        journal.record(entry(2)).unwrap();
        let seqs: Vec<_> = journal
            .after(0, 10)
            .unwrap()
            .iter()
            .map(|e| e.seq)
            .collect();
        assert_eq!(seqs, [1, 2]);
        assert_eq!(journal.last().unwrap(), 2);
        assert_eq!(journal.after(1, 10).unwrap()[0].data["n"], "2");
    }

    #[test]
    fn who_listens_hears_what_was_committed_and_nothing_else() {
        let (_dir, journal) = journal();
        let mut heard = journal.live.listen();
        let _: Result<((), Event)> = journal.record_with(|_| Err(Error::new(Code::Conflict, "no")));
        let event = journal.record(entry(7)).unwrap();
        assert_eq!(*heard.try_recv().unwrap(), LiveMessage::Event(event));
        assert!(heard.try_recv().is_err());
    }
}
