//! How much one caller, and all callers together, may take.
//!
//! A connection whose other end has not proven the master's key is a stranger's. Strangers have few
//! places, and when those are taken the oldest makes room, those first that have not even said
//! hello: whoever only holds sockets open keeps nobody out, not even from the same address.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backupd_base::{Code, Error, Result};
use backupd_protocol::Severity;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    journal::{Entry, Journal},
    pairing::ConnectionId,
};

/// Connections at a time. The master needs a handful.
pub const CONNECTIONS: usize = 64;

/// Of these, strangers' connections from one address: an office behind one router.
pub const PER_ADDRESS: usize = 8;

/// Of these, the master's: the rest is left for a handshake to be possible.
const MASTERS: usize = CONNECTIONS - PER_ADDRESS;

/// Failed authentications of one address within [`MINUTE`].
const FAILURES: usize = 5;

const MINUTE: Duration = Duration::from_secs(60);

/// Addresses remembered at a time; the one heard of longest ago is forgotten first.
const REMEMBERED: usize = 4096;

/// The places, and who has them. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    /// Oldest first.
    strangers: VecDeque<Stranger>,
    masters: usize,
}

#[derive(Debug)]
struct Stranger {
    id: ConnectionId,
    address: IpAddr,
    has_spoken: bool,
    leave: CancellationToken,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    id: ConnectionId,
    is_master: bool,
    /// Cancelled when a newer connection needs the place.
    pub leave: CancellationToken,
}

impl Places {
    /// A stranger's place. Where all are taken, the oldest stranger of that address, else of any,
    /// is told to leave.
    #[must_use]
    pub fn enter(&self, id: ConnectionId, address: IpAddr) -> Place {
        let leave = CancellationToken::new();
        let mut taken = self.taken();
        let of_address = |s: &Stranger| s.address == address;
        if taken.strangers.iter().filter(|s| of_address(s)).count() >= PER_ADDRESS {
            taken.turn_one_out(of_address);
        } else if taken.strangers.len() + taken.masters >= CONNECTIONS {
            taken.turn_one_out(|_| true);
        }
        taken.strangers.push_back(Stranger {
            id,
            address,
            has_spoken: false,
            leave: leave.clone(),
        });
        drop(taken);
        Place {
            places: self.clone(),
            id,
            is_master: false,
            leave,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// The oldest that has not spoken, else the oldest.
    fn turn_one_out(&mut self, of: impl Fn(&Stranger) -> bool) {
        let silent = self.strangers.iter().position(|s| of(s) && !s.has_spoken);
        let index = silent.or_else(|| self.strangers.iter().position(of));
        if let Some(stranger) = index.and_then(|index| self.strangers.remove(index)) {
            stranger.leave.cancel();
        }
    }
}

impl Place {
    /// The other end sent a whole hello.
    pub fn speaks(&self) {
        let mut taken = self.places.taken();
        if let Some(stranger) = taken.strangers.iter_mut().find(|s| s.id == self.id) {
            stranger.has_spoken = true;
        }
    }

    /// The other end proved to hold the master's key: the place is kept until it leaves.
    ///
    /// # Errors
    /// `TooMany` when the master has all the places it may have.
    pub fn promote(&mut self) -> Result<()> {
        let mut taken = self.places.taken();
        if taken.masters >= MASTERS {
            return Err(Error::new(
                Code::TooMany,
                "too many connections of the master",
            ));
        }
        taken.strangers.retain(|s| s.id != self.id);
        taken.masters += 1;
        self.is_master = true;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if self.is_master {
            taken.masters -= 1;
        } else {
            taken.strangers.retain(|s| s.id != self.id);
        }
    }
}

/// Who failed to prove itself lately.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<(IpAddr, bool), VecDeque<Instant>>>);

impl Failures {
    /// Whether `address` may try. Those that hold the master's TLS key are counted apart.
    ///
    /// # Errors
    /// `TooMany` after five failures within a minute.
    pub fn check(&self, address: IpAddr, has_masters_key: bool) -> Result<()> {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = failed.get(&(address, has_masters_key)).map_or(0, |times| {
            times.iter().filter(|t| t.elapsed() < MINUTE).count()
        });
        if recent < FAILURES {
            return Ok(());
        }
        Err(Error::new(
            Code::TooMany,
            "too many failed attempts from this address; wait a minute",
        ))
    }

    /// One more failure of `address`.
    pub fn count(&self, address: IpAddr, has_masters_key: bool) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= REMEMBERED {
            failed.retain(|_, times| times.back().is_some_and(|t| t.elapsed() < MINUTE));
        }
        if failed.len() >= REMEMBERED {
            failed.clear();
        }
        let times = failed.entry((address, has_masters_key)).or_default();
        times.push_back(Instant::now());
        if times.len() > FAILURES {
            times.pop_front();
        }
    }
}

/// Reports rejected callers to the journal: one entry a minute for an address, and ten for all, so
/// that nobody can fill the disk with them.
#[derive(Debug)]
pub struct Rejections {
    journal: Journal,
    reported: Mutex<VecDeque<(Instant, IpAddr)>>,
}

/// Entries a minute for all addresses together.
const REPORTS: usize = 10;

impl Rejections {
    /// Reports to `journal`.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            reported: Mutex::default(),
        }
    }

    /// A caller from `address` was turned away.
    pub async fn report(&self, address: IpAddr, why: &'static str) {
        if !self.is_due(address) {
            return;
        }
        tracing::warn!(%address, "rejected a caller: {why}");
        let entry = Entry::new(
            "security.rejected",
            Severity::Warning,
            format!("A caller from {address} was turned away: it showed {why}."),
        )
        .with("address", address);
        let journal = self.journal.clone();
        let written = tokio::task::spawn_blocking(move || journal.record(entry)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(%error, "cannot write to the journal");
        }
    }

    fn is_due(&self, address: IpAddr) -> bool {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        reported.retain(|(at, _)| at.elapsed() < MINUTE);
        let is_known = reported.iter().any(|(_, known)| *known == address);
        if is_known || reported.len() >= REPORTS {
            return false;
        }
        reported.push_back((Instant::now(), address));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn an_address_that_has_all_its_places_loses_its_own_oldest() {
        let places = Places::default();
        let other = places.enter(0, address(2));
        let held: Vec<_> = (1..=8).map(|id| places.enter(id, address(1))).collect();
        let ninth = places.enter(9, address(1));
        assert!(held[0].leave.is_cancelled());
        assert!(held[1..].iter().all(|place| !place.leave.is_cancelled()));
        assert!(!other.leave.is_cancelled() && !ninth.leave.is_cancelled());
    }

    #[test]
    fn those_that_never_said_hello_leave_before_those_that_did() {
        let places = Places::default();
        let held: Vec<_> = (1..=8).map(|id| places.enter(id, address(1))).collect();
        held[0].speaks();
        let _ninth = places.enter(9, address(1));
        assert!(!held[0].leave.is_cancelled() && held[1].leave.is_cancelled());
        held.iter().for_each(Place::speaks);
        let tenth = places.enter(10, address(1));
        assert!(!held[0].leave.is_cancelled(), "the ninth is silent");
        tenth.speaks();
        let _eleventh = places.enter(11, address(1));
        assert!(held[0].leave.is_cancelled());
    }

    #[test]
    fn with_all_places_taken_the_oldest_stranger_leaves_and_never_the_master() {
        let places = Places::default();
        let mut master = places.enter(0, address(250));
        master.promote().unwrap();
        let held: Vec<_> = (1..64)
            .map(|id| places.enter(id, address(u8::try_from(id).unwrap())))
            .collect();
        assert!(held.iter().all(|place| !place.leave.is_cancelled()));
        let _new = places.enter(99, address(200));
        assert!(held[0].leave.is_cancelled());
        assert!(!master.leave.is_cancelled());
        assert_eq!(places.taken().strangers.len(), 63);
        drop(held);
        drop(master);
        assert_eq!(places.taken().strangers.len(), 1);
        assert_eq!(places.taken().masters, 0);
    }

    #[test]
    fn the_master_leaves_places_for_a_handshake() {
        let places = Places::default();
        let mut held: Vec<_> = (0..57).map(|id| places.enter(id, address(1))).collect();
        let refused = held.iter_mut().filter_map(|p| p.promote().err()).count();
        assert_eq!(refused, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_a_minute_and_then_none() {
        let failures = Failures::default();
        for _ in 0..5 {
            failures.check(address(1), false).unwrap();
            failures.count(address(1), false);
        }
        let refused = failures.check(address(1), false).unwrap_err();
        assert_eq!(refused.code(), Code::TooMany);
        failures.check(address(1), true).unwrap();
        failures.check(address(2), false).unwrap();
        tokio::time::advance(MINUTE).await;
        failures.check(address(1), false).unwrap();
    }
}
