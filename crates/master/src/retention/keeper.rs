//! When retention is looked after: at a start what was begun is finished; a source when something
//! of it was heard; all once a day while the program runs.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backupd_base::{Result, SourceId};
use chrono::Utc;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, interval_at},
};

use crate::Master;

/// Between two looks at all sources.
const DAILY: Duration = Duration::from_secs(24 * 3600);

/// The sources to look after, and the task that does.
#[derive(Default)]
pub struct Keeper {
    due: Mutex<BTreeSet<SourceId>>,
    wake: Notify,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

impl Keeper {
    /// Something of the source was heard.
    pub fn due(&self, source: SourceId) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.insert(source);
        self.wake.notify_one();
    }

    fn next(&self) -> Option<SourceId> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.pop_first()
    }

    /// Begins to look after the sources of `master`.
    pub async fn start(&self, master: Master) {
        self.tasks.lock().await.spawn(run(master));
    }

    /// Ends that. What was begun is finished at the next start.
    pub async fn close(&self) {
        self.tasks.lock().await.shutdown().await;
    }
}

/// Looks after all sources for as long as it is polled.
async fn run(master: Master) {
    let keeper = &master.core().keeper;
    let mut days = interval_at(Instant::now() + DAILY, DAILY);
    note(master.retention_finish().await);
    loop {
        while let Some(source) = keeper.next() {
            note(master.retention_apply(&source, Utc::now()).await);
        }
        tokio::select! {
            () = keeper.wake.notified() => {}
            _ = days.tick() => note(all(&master).await),
        }
    }
}

async fn all(master: &Master) -> Result<()> {
    for source in master.db(|r| r.sources_list()).await? {
        master.core().keeper.due(source.id);
    }
    Ok(())
}

fn note(done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(%error, "the retention could not be applied; it is tried again");
    }
}
