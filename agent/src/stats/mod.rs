//! How the server is: a sample a second, an hour of them kept, and a day of minutes, so that a
//! graph is full when it opens. In memory only.

mod disk;
mod ring;
mod sampler;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backupd_protocol::{LiveMessage, Sample, StatsHistory, StatsRange};
use ring::History;
use sampler::Sampler;
use tokio::time::{MissedTickBehavior, interval};

use crate::agent::Agent;

/// The history.
#[derive(Debug, Default)]
pub struct Stats(Mutex<History>);

impl Stats {
    /// What is kept, oldest first.
    #[must_use]
    pub fn history(&self, range: StatsRange) -> StatsHistory {
        let history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        StatsHistory {
            range,
            samples: history.samples(range),
        }
    }

    fn push(&self, sample: Sample) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(sample);
    }
}

/// Samples once a second until the agent shuts down.
pub async fn sample(agent: &Agent) {
    let mut sampler = match Sampler::new() {
        Ok(sampler) => sampler,
        Err(error) => {
            // Backups do not need it.
            tracing::error!(%error, "this server's state cannot be shown");
            return agent.shutdown.cancelled().await;
        }
    };
    let mut seconds = interval(Duration::from_secs(1));
    // After a suspend there is a gap, not a burst.
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first tick is at once, and rates need a second to be rates.
    seconds.tick().await;
    loop {
        tokio::select! {
            _ = seconds.tick() => {}
            () = agent.shutdown.cancelled() => return,
        }
        let running = u32::try_from(agent.queue.running_count()).unwrap_or(u32::MAX);
        let sample = sampler.sample(running);
        agent.stats.push(sample.clone());
        agent.live.tell(LiveMessage::Sample(sample));
    }
}
