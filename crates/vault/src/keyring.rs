//! The system's keyring: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.

use std::sync::{Arc, Mutex, PoisonError};

use backupd_base::{Code, Error, ExposeSecret as _, Result, SecretString};
use keyring_core::{CredentialStore, Error as Fault};

use crate::{Entry, SecretStore};

/// The name every entry of this program carries.
const SERVICE: &str = "Backupd";

/// The keyring of the user's session. Reached at the first call, and again after it went away.
#[derive(Default)]
pub struct Keyring {
    connection: Mutex<Option<Arc<CredentialStore>>>,
}

impl Keyring {
    fn connect(&self) -> Result<Arc<CredentialStore>, Fault> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = connection.as_ref() {
            return Ok(store.clone());
        }
        let store = platform()?;
        *connection = Some(store.clone());
        Ok(store)
    }

    fn call<T>(
        &self,
        doing: &str,
        entry: &Entry,
        call: impl FnOnce(&keyring_core::Entry) -> Result<T, Fault>,
    ) -> Result<T, CallError> {
        let outcome = self
            .connect()
            .and_then(|store| store.build(SERVICE, &entry.to_string(), None))
            .and_then(|credential| call(&credential));
        outcome.map_err(|fault| {
            if matches!(fault, Fault::PlatformFailure(_)) {
                // The daemon may have been restarted: begin afresh next time.
                *self
                    .connection
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = None;
            }
            CallError::new(doing, entry, fault)
        })
    }
}

impl SecretStore for Keyring {
    fn read(&self, entry: &Entry) -> Result<Option<SecretString>> {
        match self.call("read", entry, keyring_core::Entry::get_password) {
            Ok(secret) => Ok(Some(secret.into())),
            Err(CallError::NoEntry) => Ok(None),
            Err(CallError::Failed(error)) => Err(error),
        }
    }

    fn write(&self, entry: &Entry, secret: &SecretString) -> Result<()> {
        match self.call("write", entry, |it| it.set_password(secret.expose_secret())) {
            Ok(()) => Ok(()),
            Err(CallError::NoEntry) => Err(Error::new(
                Code::KeyringLocked,
                "the keyring has no default collection to write to",
            )),
            Err(CallError::Failed(error)) => Err(error),
        }
    }

    fn erase(&self, entry: &Entry) -> Result<()> {
        match self.call("erase", entry, keyring_core::Entry::delete_credential) {
            Ok(()) | Err(CallError::NoEntry) => Ok(()),
            Err(CallError::Failed(error)) => Err(error),
        }
    }
}

enum CallError {
    NoEntry,
    Failed(Error),
}

impl CallError {
    /// Only texts that cannot hold a secret are passed on: two kinds of fault carry the raw value.
    fn new(doing: &str, entry: &Entry, fault: Fault) -> Self {
        let (code, why) = match &fault {
            Fault::NoEntry => return Self::NoEntry,
            Fault::NoStorageAccess(cause) => {
                (Code::KeyringLocked, format!("it is locked: {cause}"))
            }
            Fault::PlatformFailure(cause) => {
                (Code::KeyringLocked, format!("it does not answer: {cause}"))
            }
            Fault::NoDefaultStore | Fault::NotSupportedByStore(_) => (
                Code::KeyringLocked,
                "this system has no keyring that can be used".into(),
            ),
            Fault::BadEncoding(_) | Fault::BadDataFormat(..) => {
                (Code::Corrupt, "it is not a text this program wrote".into())
            }
            Fault::Ambiguous(_) => (Code::Corrupt, "there is more than one of it".into()),
            Fault::TooLong(attribute, limit) => (
                Code::Internal,
                format!("its {attribute} is longer than {limit}"),
            ),
            _ => (Code::Internal, "the keyring refused it".into()),
        };
        Self::Failed(Error::new(
            code,
            format!("{doing} {entry} in the keyring: {why}"),
        ))
    }
}

#[cfg(target_os = "linux")]
fn platform() -> Result<Arc<CredentialStore>, Fault> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn platform() -> Result<Arc<CredentialStore>, Fault> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(target_os = "windows")]
fn platform() -> Result<Arc<CredentialStore>, Fault> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
fn platform() -> Result<Arc<CredentialStore>, Fault> {
    Err(Fault::NoDefaultStore)
}
