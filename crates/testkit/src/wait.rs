//! Waiting for a condition, with a deadline and without guessing how long it takes.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How long a busy machine may take for what usually takes a moment: only a failure waits for it.
pub const PATIENCE: Duration = Duration::from_secs(180);

const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
///
/// # Panics
/// When there is none within the time; `what` says what was waited for.
pub fn poll_until<T>(within: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "no {what} within {within:?}");
        std::thread::sleep(PAUSE);
    }
}

/// [`poll_until`] for a question that is a future.
///
/// # Panics
/// When there is no answer within the time; `what` says what was waited for.
pub async fn eventually<T, F>(within: Duration, what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "no {what} within {within:?}");
        tokio::time::sleep(PAUSE).await;
    }
}
