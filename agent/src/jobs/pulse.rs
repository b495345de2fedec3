//! Whether a job still moves: when it last did, and what it has been waiting for since.
//!
//! Bytes, files, the begin and end of a wait, the step of a stage are movement; a clock that goes on
//! is not. The streaming stages of a backup are one chain: when one stands they all do, and the wait
//! that was entered last is the one that holds them.

use std::time::{Duration, Instant};

/// What is waited for, which says how long that may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Bytes of a disk, a store, a pipe.
    Stream,
    /// A database, which may hold a table for whoever came first.
    Database,
    /// A place that others have: its queue moves as they do, and each of them is watched.
    Place,
}

/// How long a job may stand still.
#[derive(Debug, Clone)]
pub struct Patience {
    /// At a stream. Every call to a store has tried again for ten minutes at most by then, and a
    /// disk that gives nothing for a quarter of an hour is one that hangs.
    pub stream: Duration,
    /// At a database. An `ALTER TABLE` of a large table, or another tool's dump, locks for many
    /// minutes; after an hour somebody forgot a lock.
    pub database: Duration,
    /// Between being told to end and being given up: clean-up asks a store, 30 seconds at most for
    /// each answer, and whoever resets a job is waiting for it.
    pub grace: Duration,
    /// How often all of this is looked at.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stream: Duration::from_secs(15 * 60),
            database: Duration::from_secs(60 * 60),
            grace: Duration::from_secs(20),
            look: Duration::from_secs(5),
        }
    }
}

impl Patience {
    fn limit(&self, of: For) -> Option<Duration> {
        match of {
            For::Stream => Some(self.stream),
            For::Database => Some(self.database),
            For::Place => None,
        }
    }
}

/// A job that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hang {
    /// The stage that holds it.
    pub stage: String,
    /// What it waits for, in words that follow "waiting for".
    pub waits_for: String,
    /// For how long it has not moved.
    pub still: Duration,
}

impl std::fmt::Display for Hang {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            stage,
            waits_for,
            still,
        } = self;
        let seconds = still.as_secs();
        let time = match seconds / 60 {
            0 => format!("{seconds} seconds"),
            1 => "a minute".to_owned(),
            minutes => format!("{minutes} minutes"),
        };
        write!(
            f,
            "{stage} has not moved for {time}, waiting for {waits_for}"
        )
    }
}

/// The pulse of one job.
#[derive(Debug)]
pub(super) struct Pulse {
    moved: Instant,
    waits: Vec<Wait>,
    entered: u64,
}

#[derive(Debug)]
struct Wait {
    id: u64,
    stage: &'static str,
    of: For,
    waits_for: String,
}

impl Pulse {
    pub fn new(now: Instant) -> Self {
        Self {
            moved: now,
            waits: Vec::new(),
            entered: 0,
        }
    }

    /// It moved.
    pub fn beat(&mut self, now: Instant) {
        self.moved = now;
    }

    /// Enters a wait; the answer leaves it again.
    pub fn enter(&mut self, now: Instant, stage: &'static str, of: For, waits_for: String) -> u64 {
        self.beat(now);
        self.entered += 1;
        let id = self.entered;
        self.waits.push(Wait {
            id,
            stage,
            of,
            waits_for,
        });
        id
    }

    /// Leaves a wait.
    pub fn leave(&mut self, now: Instant, id: u64) {
        self.beat(now);
        self.waits.retain(|wait| wait.id != id);
    }

    /// What it waits for, and for how long it has stood. `running` is the last stage at work, for a
    /// job that waits for nothing it named.
    pub fn now(&self, now: Instant, running: &str) -> Hang {
        let (stage, waits_for) = match self.waits.last() {
            Some(wait) => (wait.stage, wait.waits_for.as_str()),
            None => (running, "its next step"),
        };
        Hang {
            stage: stage.to_owned(),
            waits_for: waits_for.to_owned(),
            still: now.saturating_duration_since(self.moved),
        }
    }

    /// Whether it has stood for longer than it may; `running` as in [`Pulse::now`].
    pub fn hang(&self, now: Instant, patience: &Patience, running: &str) -> Option<Hang> {
        let of = self.waits.last().map_or(For::Stream, |wait| wait.of);
        let hang = self.now(now, running);
        (hang.still > patience.limit(of)?).then_some(hang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_stream_that_stands_is_named_by_the_wait_entered_last() {
        let patience = Patience::default();
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        pulse.enter(
            start,
            "backup_files",
            For::Stream,
            "the files of /srv".into(),
        );
        let upload = pulse.enter(start, "upload_remote", For::Stream, "bucket".into());
        assert_eq!(pulse.hang(start + 15 * MINUTE, &patience, ""), None);
        let late = start + 16 * MINUTE;
        let hang = pulse.hang(late, &patience, "").unwrap();
        assert_eq!(
            hang.to_string(),
            "upload_remote has not moved for 16 minutes, waiting for bucket"
        );
        // The upload took its part: now it is the files, from then on.
        pulse.leave(late, upload);
        assert_eq!(pulse.hang(late + 15 * MINUTE, &patience, ""), None);
        let hang = pulse.hang(late + 16 * MINUTE, &patience, "").unwrap();
        assert_eq!(hang.stage, "backup_files");
    }

    #[test]
    fn a_lock_may_be_held_longer_and_a_place_for_ever() {
        let patience = Patience::default();
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        let lock = pulse.enter(start, "backup_db", For::Database, "the dump".into());
        assert_eq!(pulse.hang(start + 60 * MINUTE, &patience, ""), None);
        assert!(pulse.hang(start + 61 * MINUTE, &patience, "").is_some());
        pulse.leave(start, lock);
        pulse.enter(start, "upload_remote", For::Place, "a place".into());
        assert_eq!(pulse.hang(start + 100_000 * MINUTE, &patience, ""), None);
    }

    #[test]
    fn what_moves_does_not_hang() {
        let patience = Patience::default();
        let mut now = Instant::now();
        let mut pulse = Pulse::new(now);
        for _ in 0..10 {
            now += 14 * MINUTE;
            assert_eq!(pulse.hang(now, &patience, "backup_files"), None);
            pulse.beat(now);
        }
        let hang = pulse.hang(now + 16 * MINUTE, &patience, "backup_files");
        assert_eq!(hang.unwrap().stage, "backup_files");
    }
}
