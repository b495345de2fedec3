//! Where the time comes from, so that a month can pass in a test.

use chrono::{DateTime, SubsecRound as _, Utc};

/// A clock on the wall: it may be put forward and back.
pub trait Clock: Send + Sync {
    /// What it shows.
    fn now(&self) -> DateTime<Utc>;
}

/// This server's.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(3)
    }
}
