//! The time that requests are signed with. A server tells its own in every answer; when it
//! refuses ours, the difference is taken over and the request made once more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_sdk_s3::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::BeforeDeserializationInterceptorContextRef,
    },
    error::BoxError,
    primitives::{DateTime, DateTimeFormat},
};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

const UNKNOWN: i64 = i64::MIN;

/// Seconds by which S3 servers let a signature be off: 15 minutes. Less than that is no reason
/// to suspect the clock.
const TOLERATED: u64 = 15 * 60;

/// A clock that can be put right. Clones show the same time.
#[derive(Debug, Clone)]
pub(super) struct Clock(Arc<Offsets>);

#[derive(Debug)]
struct Offsets {
    /// Seconds added to the system's time.
    applied: AtomicI64,
    /// Seconds the server is ahead of the system's time.
    told: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(Offsets {
            applied: AtomicI64::new(0),
            told: AtomicI64::new(UNKNOWN),
        }))
    }
}

impl Clock {
    /// Seconds the server is ahead of this computer, as of its last answer.
    pub(super) fn ahead(&self) -> Option<i64> {
        let told = self.0.told.load(Ordering::Relaxed);
        (told != UNKNOWN).then_some(told)
    }

    /// Whether the last answer came from a time that a signature of ours does not hold in.
    pub(super) fn is_off(&self) -> bool {
        let applied = self.0.applied.load(Ordering::Relaxed);
        self.ahead()
            .is_some_and(|told| told.abs_diff(applied) >= TOLERATED)
    }

    /// Takes the server's time over.
    pub(super) fn correct(&self) {
        if let Some(told) = self.ahead() {
            tracing::warn!(
                seconds = told,
                "the clock of the store is ahead; signing with its time"
            );
            self.0.applied.store(told, Ordering::Relaxed);
        }
    }

    fn note(&self, date: &str) {
        let Ok(server) = DateTime::from_str(date, DateTimeFormat::HttpDate) else {
            return;
        };
        let here = DateTime::from(SystemTime::now()).secs();
        self.0.told.store(server.secs() - here, Ordering::Relaxed);
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        let applied = self.0.applied.load(Ordering::Relaxed);
        let by = Duration::from_secs(applied.unsigned_abs());
        let now = SystemTime::now();
        let moved = if applied < 0 {
            now.checked_sub(by)
        } else {
            now.checked_add(by)
        };
        moved.unwrap_or(now)
    }
}

#[dyn_dispatch_hint]
impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.note(date);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_time_is_taken_over_when_it_is_far_off() {
        let clock = Clock::default();
        assert_eq!(clock.ahead(), None);
        let hour_ahead = SystemTime::now() + Duration::from_secs(3600);
        let date = DateTime::from(hour_ahead)
            .fmt(DateTimeFormat::HttpDate)
            .unwrap();
        clock.note(&date);
        assert!(clock.is_off());
        clock.correct();
        assert!(!clock.is_off());
        let off = clock.now().duration_since(hour_ahead).unwrap_or_default();
        assert!(off < Duration::from_secs(60), "{off:?}");
        clock.note("no date");
        assert!(clock.ahead().is_some_and(|told| told.abs_diff(3600) < 60));
    }
}
