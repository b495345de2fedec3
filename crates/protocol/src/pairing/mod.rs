//! Enrolment by a 5-character code: OPAQUE (RFC 9807) bound to both TLS keys and to the one
//! connection it runs on. The steps and the odds are in `docs/protocol.md`.
//!
//! [`MasterExchange`] and [`NodeWindow`] are the two sides as state machines without I/O, clock or
//! counter; the side that owns a window counts its attempts. With the feature `client`,
//! [`client`] runs the master's side over a real connection.
//!
//! Deliberately not here: who may open a window, how long it lives, what is kept afterwards.

mod api_key;
mod binding;
#[cfg(feature = "client")]
pub mod client;
mod code;
mod master;
mod message;
mod node;
mod seal;
mod suite;

pub use api_key::{ApiKey, ApiKeyDigest};
pub use binding::Binding;
pub use code::{ALPHABET, CODE_LENGTH, PairingCode};
pub use master::{AwaitedHello, MasterExchange};
pub use message::{Enrolment, FinishAnswer, FinishRequest, NodeHello, StartAnswer, StartRequest};
pub use node::{NodeExchange, NodeWindow, Proven};

/// The port an agent listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 8000;

/// Answers to a first message (KE2) one window may give: each lets whoever asked test one guess.
pub const ATTEMPTS: u32 = 5;

/// How long a window stays open: long enough to walk to another room, and no longer.
pub const WINDOW: std::time::Duration = std::time::Duration::from_secs(600);

/// What every refusal says, whatever the reason.
#[must_use]
pub fn refusal() -> backupd_base::Error {
    backupd_base::Error::new(
        backupd_base::Code::CodeRejected,
        "the pairing was refused: the code was mistyped, is used up or expired, or somebody is in between",
    )
}

#[cfg(test)]
mod tests;
