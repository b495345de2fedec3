//! The node's side of an enrolment: one window at a time, one exchange at a time, five attempts.
//!
//! An attempt is taken durably before a first message is answered, and the code is in memory only:
//! a process that is killed takes its code with it, and the next one opens no window by itself.
//! The exchange is in `backupd_protocol::pairing`; who asks for a window is not decided here.

mod desk;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backupd_base::{Code, Error, Result};
use backupd_protocol::{
    Severity,
    pairing::{
        ATTEMPTS, Binding, FinishAnswer, FinishRequest, NodeExchange, NodeWindow, PairingCode,
        StartAnswer, StartRequest, refusal,
    },
};
use chrono::{DateTime, SubsecRound as _, Utc};
use desk::{Closed, Desk};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    enrolment::Enrolment,
    journal::{Entry, Journal},
    store::{Store, enrolment::Enrolled, windows},
};

/// One connection among all of this process's.
pub type ConnectionId = u64;

/// The pairing desk of this node. Clones share it.
#[derive(Clone)]
pub struct Pairing(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    journal: Journal,
    enrolment: Enrolment,
    desk: Mutex<Desk>,
    changed: Notify,
}

/// A window as its opener is told.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The code to show.
    pub code: PairingCode,
    /// When it dies.
    pub expires_at: DateTime<Utc>,
}

impl Pairing {
    /// A desk with no window open.
    #[must_use]
    pub fn new(store: Arc<Store>, journal: Journal, enrolment: Enrolment) -> Self {
        Self(Arc::new(Inner {
            store,
            journal,
            enrolment,
            desk: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Whether a window is open now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.desk().is_open()
    }

    /// Opens the window of the first start ever; none when there ever was one, or a master.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn open_first(&self, lifetime: Duration) -> Result<Option<Opened>> {
        let had_one = self.0.store.read(windows::any)?;
        if had_one || self.0.enrolment.get().is_some() {
            return Ok(None);
        }
        self.open(lifetime, false).map(Some)
    }

    /// Opens a window in place of the one that is open. Only the node's console may ask for it.
    ///
    /// # Errors
    /// `Conflict` when the node is enrolled and `replaces` is not set; else what the store says.
    pub fn open(&self, lifetime: Duration, replaces: bool) -> Result<Opened> {
        if !replaces && let Some(enrolled) = self.0.enrolment.get() {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "this server is enrolled already, by the master {}; another one has to be meant to take its place",
                    enrolled.master.for_people()
                ),
            ));
        }
        let code = PairingCode::generate();
        let window = NodeWindow::new(code.clone());
        let expires_at = (Utc::now() + lifetime).trunc_subsecs(0);
        let entry = Entry::new(
            "pairing.opened",
            Severity::Info,
            "A pairing window was opened at this server's console.",
        )
        .with("expires_at", expires_at.to_rfc3339());
        self.0.journal.record_with(|tx| {
            windows::open(tx, window.id(), expires_at, ATTEMPTS)?;
            Ok(((), entry))
        })?;
        self.desk()
            .open(window, Instant::now() + lifetime, expires_at);
        self.0.changed.notify_one();
        Ok(Opened { code, expires_at })
    }

    /// Answers a first message. Blocks for a commit and an Argon2.
    ///
    /// # Errors
    /// `Incompatible` for another version of the protocol; else [`refusal`], whatever the reason.
    pub fn start(
        &self,
        connection: ConnectionId,
        binding: Binding,
        request: &StartRequest,
    ) -> Result<StartAnswer> {
        request.check()?;
        let window = self.reserve(connection)?;
        match self.answer(&window, binding, request) {
            Ok((exchange, answer)) => {
                if self.desk().hold(connection, exchange) {
                    return Ok(answer);
                }
                // Its connection is gone, or the window was closed meanwhile.
                Err(refusal())
            }
            Err(error) => {
                self.report(self.desk_release(connection));
                tracing::warn!(%error, "a pairing attempt failed");
                Err(refusal())
            }
        }
    }

    /// Checks the proof, enrols durably, and only then answers. Blocks for a commit.
    ///
    /// # Errors
    /// `Invalid` for an enrolment that a proven master sent wrong; else [`refusal`].
    pub fn finish(
        &self,
        connection: ConnectionId,
        binding: &Binding,
        request: &FinishRequest,
    ) -> Result<FinishAnswer> {
        let exchange = self.desk().take(connection).ok_or_else(refusal)?;
        let finished = self.enrol(exchange, binding, request);
        match &finished {
            Ok(_) => self.desk().close(),
            Err(_) => self.report(self.desk_release(connection)),
        }
        finished
    }

    /// A connection ended: an exchange that was under way on it has failed.
    pub fn gone(&self, connection: ConnectionId) {
        if self.desk().is_busy_with(connection) {
            self.report(self.desk_release(connection));
        }
    }

    /// Destroys the code of every window as it expires, until `shutdown`.
    pub async fn watch(&self, shutdown: CancellationToken) {
        loop {
            let expires = self.desk().expires();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.0.changed.notified() => {}
                () = sleep_until(expires.unwrap_or_else(Instant::now)), if expires.is_some() => {
                    let closed = self.desk().expire();
                    self.report(closed);
                }
            }
        }
    }

    fn reserve(&self, connection: ConnectionId) -> Result<Arc<NodeWindow>> {
        let (window, closed) = self.desk().reserve(connection);
        self.report(closed);
        window.ok_or_else(refusal)
    }

    fn answer(
        &self,
        window: &NodeWindow,
        binding: Binding,
        request: &StartRequest,
    ) -> Result<(NodeExchange, StartAnswer)> {
        let left = self
            .0
            .store
            .write(|tx| windows::take_attempt(tx, window.id()))?;
        // From here on the attempt is spent, whatever becomes of this process.
        self.desk().set_attempts_left(left.unwrap_or(0));
        left.ok_or_else(refusal)?;
        window.answer(binding, request)
    }

    fn enrol(
        &self,
        exchange: NodeExchange,
        binding: &Binding,
        request: &FinishRequest,
    ) -> Result<FinishAnswer> {
        let (proven, enrolment) = exchange.finish(binding, request)?;
        check_recipients(&enrolment.recipients)?;
        self.0
            .enrolment
            .enrol(Enrolled::new(&enrolment, binding.master))?;
        Ok(proven.seal(&self.0.enrolment.hello(enrolment.node_id)))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn desk_release(&self, connection: ConnectionId) -> Option<Closed> {
        let closed = self.desk().release(connection);
        let entry = Entry::new(
            "pairing.failed",
            Severity::Warning,
            "A pairing attempt failed: the code was mistyped, or somebody is in between.",
        );
        self.record(entry);
        closed
    }

    fn report(&self, closed: Option<Closed>) {
        let entry = match closed {
            None => return,
            Some(Closed::Expired) => Entry::new(
                "pairing.closed",
                Severity::Info,
                "The pairing window expired; its code is void.",
            ),
            Some(Closed::UsedUp) => Entry::new(
                "pairing.closed",
                Severity::Warning,
                "All attempts of the pairing window failed; its code is void.",
            ),
        };
        tracing::warn!("{} Open a new one with: backupd pair", entry.message);
        self.record(entry);
        if let Err(error) = self.0.store.write(|tx| windows::close(tx)) {
            // The code is gone from memory all the same.
            tracing::error!(%error, "cannot note that the pairing window closed");
        }
    }

    fn record(&self, entry: Entry) {
        if let Err(error) = self.0.journal.record(entry) {
            tracing::error!(%error, "cannot write to the journal");
        }
    }
}

impl fmt::Debug for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairing").finish_non_exhaustive()
    }
}

/// A proven master is told what is wrong: it is no guess any more.
fn check_recipients(recipients: &[String]) -> Result<()> {
    for recipient in recipients {
        if let Err(why) = recipient.parse::<age::x25519::Recipient>() {
            return Err(Error::new(
                Code::Invalid,
                format!("enrolment with the recipient {recipient:?}: {why}"),
            ));
        }
    }
    if recipients.len() < 2 || recipients[0] == recipients[1] {
        return Err(Error::new(
            Code::Invalid,
            "enrolment with fewer than two different recipients",
        ));
    }
    Ok(())
}
