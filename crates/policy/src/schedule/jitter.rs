//! The spread: how much later than its rule says a run comes.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};

/// Less than `most`, the same for the same seed and run on every machine and after every restart.
pub fn of(seed: &str, run: DateTime<Utc>, most: TimeDelta) -> TimeDelta {
    let Ok(most @ 1..) = u64::try_from(most.num_seconds()) else {
        return TimeDelta::zero();
    };
    let digest = Sha256::new()
        .chain_update(run.timestamp().to_be_bytes())
        .chain_update(seed)
        .finalize();
    let (head, _) = digest.split_at(8);
    let number = head
        .iter()
        .fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    TimeDelta::seconds(i64::try_from(number % most).unwrap_or_default())
}
