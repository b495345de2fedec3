//! The window that is open and the exchange that is under way. Pure state: no store, no journal.
//!
//! ```text
//! no window ── open ──▶ free ── reserve ──▶ answering ── hold ──▶ waiting ── take ──▶ proving
//!     ▲                  ▲                      │                    │                  │
//!     │                  └────── release ───────┴────────────────────┴──────────────────┘
//!     └── expire, close, release of the last attempt
//! ```

use std::{sync::Arc, time::Duration};

use backupd_protocol::pairing::{ATTEMPTS, NodeExchange, NodeWindow};
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::ConnectionId;

/// An exchange that takes longer makes room for the next: people retype within seconds.
const EXCHANGE: Duration = Duration::from_secs(15);

/// Why a window closed without an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// Its time ran out.
    Expired,
    /// Its last attempt failed.
    UsedUp,
}

/// At most one window.
#[derive(Default)]
pub(super) struct Desk {
    window: Option<Window>,
}

struct Window {
    node: Arc<NodeWindow>,
    expires: Instant,
    /// The same by the clock on the wall, which goes on while a machine is suspended.
    expires_at: DateTime<Utc>,
    attempts_left: u32,
    busy: Option<Busy>,
}

struct Busy {
    connection: ConnectionId,
    since: Instant,
    exchange: Option<NodeExchange>,
}

impl Desk {
    pub(super) fn open(&mut self, node: NodeWindow, expires: Instant, expires_at: DateTime<Utc>) {
        self.window = Some(Window {
            node: Arc::new(node),
            expires,
            expires_at,
            attempts_left: ATTEMPTS,
            busy: None,
        });
    }

    pub(super) fn close(&mut self) {
        self.window = None;
    }

    pub(super) fn is_open(&self) -> bool {
        self.window.as_ref().is_some_and(|w| !w.has_expired())
    }

    pub(super) fn expires(&self) -> Option<Instant> {
        self.window.as_ref().map(|w| w.expires)
    }

    /// Closes the window if its time has run out.
    pub(super) fn expire(&mut self) -> Option<Closed> {
        self.window.take_if(|w| w.has_expired())?;
        Some(Closed::Expired)
    }

    /// Takes the desk for one exchange; the window, if it is free. An exchange that takes too long
    /// is dropped for it.
    pub(super) fn reserve(
        &mut self,
        connection: ConnectionId,
    ) -> (Option<Arc<NodeWindow>>, Option<Closed>) {
        let mut closed = self.expire();
        if let Some(stale) = self.stale() {
            closed = self.release(stale).or(closed);
        }
        let Some(window) = &mut self.window else {
            return (None, closed);
        };
        if window.busy.is_some() {
            return (None, closed);
        }
        window.busy = Some(Busy {
            connection,
            since: Instant::now(),
            exchange: None,
        });
        (Some(window.node.clone()), closed)
    }

    /// Keeps an answered exchange until its proof comes; whether the desk is still its own.
    pub(super) fn hold(&mut self, connection: ConnectionId, exchange: NodeExchange) -> bool {
        let busy = self.window.as_mut().and_then(|w| w.busy.as_mut());
        match busy {
            Some(busy) if busy.connection == connection => {
                busy.exchange = Some(exchange);
                true
            }
            _ => false,
        }
    }

    /// What the store says is left.
    pub(super) fn set_attempts_left(&mut self, left: u32) {
        if let Some(window) = &mut self.window {
            window.attempts_left = left;
        }
    }

    /// The exchange a proof has come for. The desk stays taken until `release` or `close`.
    pub(super) fn take(&mut self, connection: ConnectionId) -> Option<NodeExchange> {
        let window = self.window.as_mut().filter(|w| !w.has_expired())?;
        let busy = window.busy.as_mut()?;
        if busy.connection != connection {
            return None;
        }
        busy.exchange.take()
    }

    /// An exchange failed. With the last attempt the window goes.
    pub(super) fn release(&mut self, connection: ConnectionId) -> Option<Closed> {
        let window = self.window.as_mut()?;
        window.busy.take_if(|busy| busy.connection == connection)?;
        if window.attempts_left > 0 {
            return None;
        }
        self.window = None;
        Some(Closed::UsedUp)
    }

    pub(super) fn is_busy_with(&self, connection: ConnectionId) -> bool {
        let busy = self.window.as_ref().and_then(|w| w.busy.as_ref());
        busy.is_some_and(|busy| busy.connection == connection)
    }

    fn stale(&self) -> Option<ConnectionId> {
        let busy = self.window.as_ref()?.busy.as_ref()?;
        (busy.since.elapsed() > EXCHANGE).then_some(busy.connection)
    }
}

impl Window {
    fn has_expired(&self) -> bool {
        Instant::now() >= self.expires || Utc::now() >= self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backupd_protocol::{
        pairing::{Binding, MasterExchange, PairingCode},
        tls::Pin,
    };

    const LONG: Duration = Duration::from_secs(600);

    fn desk() -> Desk {
        let mut desk = Desk::default();
        let node = NodeWindow::new(PairingCode::generate());
        desk.open(node, Instant::now() + LONG, Utc::now() + LONG);
        desk
    }

    fn answered(window: &NodeWindow) -> NodeExchange {
        let binding = Binding {
            master: Pin::from([1; 32]),
            node: Pin::from([2; 32]),
            exporter: [3; 32],
        };
        let (_, start) = MasterExchange::start(&PairingCode::generate()).unwrap();
        window.answer(binding, &start).unwrap().0
    }

    #[tokio::test]
    async fn one_exchange_at_a_time_and_only_its_own_connection_may_prove() {
        let mut desk = desk();
        let (window, _) = desk.reserve(1);
        let window = window.unwrap();
        assert!(desk.reserve(2).0.is_none());
        assert!(desk.take(1).is_none(), "not answered yet");
        assert!(desk.hold(1, answered(&window)));
        assert!(desk.take(2).is_none());
        assert!(desk.take(1).is_some());
        assert!(desk.take(1).is_none(), "a proof is tried once");
        assert!(desk.reserve(2).0.is_none(), "the proof is being checked");
        assert_eq!(desk.release(1), None);
        assert!(desk.reserve(2).0.is_some());
    }

    #[tokio::test]
    async fn a_connection_that_went_meanwhile_gets_no_answer() {
        let mut desk = desk();
        let window = desk.reserve(1).0.unwrap();
        desk.release(1);
        assert!(!desk.hold(1, answered(&window)));
        desk.reserve(2).0.unwrap();
        assert!(!desk.hold(1, answered(&window)), "the desk is another's");
    }

    #[tokio::test]
    async fn the_code_goes_with_the_last_attempt_and_not_before_it_failed() {
        let mut desk = desk();
        let window = desk.reserve(1).0.unwrap();
        desk.set_attempts_left(0);
        desk.hold(1, answered(&window));
        assert!(desk.is_open(), "the last attempt may still succeed");
        assert_eq!(desk.release(1), Some(Closed::UsedUp));
        assert!(!desk.is_open());
        assert!(desk.reserve(2).0.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_that_takes_too_long_makes_room() {
        let mut desk = desk();
        desk.reserve(1).0.unwrap();
        tokio::time::advance(EXCHANGE).await;
        assert!(desk.reserve(2).0.is_none());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(desk.reserve(2).0.is_some());
        assert!(!desk.is_busy_with(1));
    }

    #[tokio::test(start_paused = true)]
    async fn time_closes_a_window_even_in_the_middle_of_an_exchange() {
        let mut desk = desk();
        let window = desk.reserve(1).0.unwrap();
        desk.hold(1, answered(&window));
        tokio::time::advance(LONG).await;
        assert!(desk.take(1).is_none());
        assert_eq!(desk.expire(), Some(Closed::Expired));
        assert_eq!(desk.expire(), None);
    }

    #[tokio::test]
    async fn the_clock_on_the_wall_closes_a_window_that_slept_through_its_time() {
        let mut desk = Desk::default();
        let node = NodeWindow::new(PairingCode::generate());
        desk.open(node, Instant::now() + LONG, Utc::now());
        assert!(!desk.is_open());
    }
}
