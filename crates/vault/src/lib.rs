//! Secrets in the OS keyring, failing closed: what must be there and is not is told as
//! [`Code::KeyMissing`], a keyring that cannot be asked as [`Code::KeyringLocked`], and nothing is
//! ever made anew in place of what is missing.
//!
//! Every call blocks, for as long as the system asks the user to unlock: keep it off async threads.
//! Deliberately not here: what the secrets are for, and any store but the system's.
//!
//! [`Code::KeyMissing`]: backupd_base::Code::KeyMissing
//! [`Code::KeyringLocked`]: backupd_base::Code::KeyringLocked

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod entry;
mod keyring;
mod vault;

pub use entry::Entry;
pub use keyring::Keyring;
pub use vault::{SecretStore, Vault};
