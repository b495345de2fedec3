//! What may be done with secrets, and how their absence is told.

use std::sync::Arc;

use backupd_base::{Code, Error, Result, SecretString};

use crate::{Entry, Keyring};

/// Where secrets lie. Blocking.
pub trait SecretStore: Send + Sync {
    /// The secret, or `None` when the store knows none of this name. A keyring that was never
    /// unlocked also says `None`: only [`Vault`] can tell.
    ///
    /// # Errors
    /// `KeyringLocked` when the store cannot be asked.
    fn read(&self, entry: &Entry) -> Result<Option<SecretString>>;

    /// Writes the secret over what is there.
    ///
    /// # Errors
    /// `KeyringLocked` when the store cannot be asked.
    fn write(&self, entry: &Entry, secret: &SecretString) -> Result<()>;

    /// Removes the secret. One that is not there is `Ok`.
    ///
    /// # Errors
    /// `KeyringLocked` when the store cannot be asked.
    fn erase(&self, entry: &Entry) -> Result<()>;
}

/// The secrets of one installation.
#[derive(Clone)]
pub struct Vault {
    store: Arc<dyn SecretStore>,
}

impl Vault {
    /// The system's keyring. Nothing is asked of it yet.
    #[must_use]
    pub fn keyring() -> Self {
        Self::over(Arc::new(Keyring::default()))
    }

    /// Over any store.
    #[must_use]
    pub fn over(store: Arc<dyn SecretStore>) -> Self {
        Self { store }
    }

    /// Marks the keyring as this installation's, at the first setup only.
    ///
    /// # Errors
    /// `KeyringLocked` when the keyring cannot be written.
    pub fn found(&self, installation: &str) -> Result<()> {
        let sentinel = Entry::Sentinel(installation.to_owned());
        self.set(&sentinel, &SecretString::from(installation.to_owned()))
    }

    /// Whether the keyring of a set-up installation can be used.
    ///
    /// # Errors
    /// `KeyringLocked` when it cannot be asked, `KeyMissing` when it was emptied or is another.
    pub fn check(&self, installation: &str) -> Result<()> {
        let sentinel = Entry::Sentinel(installation.to_owned());
        if self.store.read(&sentinel)?.is_some() {
            return Ok(());
        }
        self.probe(installation)?;
        // The probe may have had the user unlock it.
        match self.store.read(&sentinel)? {
            Some(_) => Ok(()),
            None => Err(Error::new(
                Code::KeyMissing,
                "the keyring is open, but it was emptied or is not the one of this installation",
            )),
        }
    }

    /// Whether the keyring can be written, before anything was ever put there.
    ///
    /// # Errors
    /// `KeyringLocked` when it cannot.
    pub fn probe(&self, installation: &str) -> Result<()> {
        let probe = Entry::Probe(installation.to_owned());
        self.store
            .write(&probe, &SecretString::from("probe".to_owned()))
            .map_err(|e| e.with_code(Code::KeyringLocked))?;
        self.store.erase(&probe)
    }

    /// A secret that must exist.
    ///
    /// # Errors
    /// `KeyringLocked` when the keyring cannot be asked, `KeyMissing` when it is open and the
    /// secret is not there.
    pub fn get(&self, installation: &str, entry: &Entry) -> Result<SecretString> {
        if let Some(secret) = self.store.read(entry)? {
            return Ok(secret);
        }
        self.check(installation)?;
        self.store.read(entry)?.ok_or_else(|| {
            Error::new(
                Code::KeyMissing,
                format!("{entry} is not in the keyring, though the keyring is open"),
            )
        })
    }

    /// Writes a secret and reads it back.
    ///
    /// # Errors
    /// `KeyringLocked` when the keyring cannot be written, or did not keep the secret.
    pub fn set(&self, entry: &Entry, secret: &SecretString) -> Result<()> {
        use backupd_base::ExposeSecret as _;
        self.store.write(entry, secret)?;
        match self.store.read(entry)? {
            Some(kept) if kept.expose_secret() == secret.expose_secret() => Ok(()),
            _ => Err(Error::new(
                Code::KeyringLocked,
                format!("the keyring did not keep {entry}"),
            )),
        }
    }

    /// Removes a secret. One that is not there is `Ok`.
    ///
    /// # Errors
    /// `KeyringLocked` when the keyring cannot be asked.
    pub fn delete(&self, entry: &Entry) -> Result<()> {
        self.store.erase(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Mutex};

    use backupd_base::ExposeSecret as _;

    use super::*;

    /// A keyring that is open, or locked the way a never-unlocked one is: reads say "none".
    #[derive(Default)]
    struct Drawer {
        locked: Mutex<bool>,
        kept: Mutex<HashMap<String, String>>,
    }

    impl SecretStore for Drawer {
        fn read(&self, entry: &Entry) -> Result<Option<SecretString>> {
            if *self.locked.lock().unwrap() {
                return Ok(None);
            }
            let kept = self.kept.lock().unwrap();
            Ok(kept.get(&entry.to_string()).cloned().map(Into::into))
        }
        fn write(&self, entry: &Entry, secret: &SecretString) -> Result<()> {
            if *self.locked.lock().unwrap() {
                return Err(Error::new(Code::KeyringLocked, "locked"));
            }
            let mut kept = self.kept.lock().unwrap();
            kept.insert(entry.to_string(), secret.expose_secret().to_owned());
            Ok(())
        }
        fn erase(&self, entry: &Entry) -> Result<()> {
            self.kept.lock().unwrap().remove(&entry.to_string());
            Ok(())
        }
    }

    fn set_up() -> (Arc<Drawer>, Vault, Entry) {
        let drawer = Arc::new(Drawer::default());
        let vault = Vault::over(drawer.clone());
        vault.found("home").unwrap();
        let entry = Entry::ClientKey("home".into());
        vault.set(&entry, &"k".to_owned().into()).unwrap();
        (drawer, vault, entry)
    }

    #[test]
    fn a_key_comes_back() {
        let (_, vault, entry) = set_up();
        assert_eq!(vault.get("home", &entry).unwrap().expose_secret(), "k");
        vault.check("home").unwrap();
    }

    #[test]
    fn a_locked_keyring_that_says_none_is_told_as_locked() {
        let (drawer, vault, entry) = set_up();
        *drawer.locked.lock().unwrap() = true;
        let error = vault.get("home", &entry).unwrap_err();
        assert_eq!(error.code(), Code::KeyringLocked);
        assert_eq!(vault.check("home").unwrap_err().code(), Code::KeyringLocked);
    }

    #[test]
    fn an_emptied_keyring_is_told_as_missing_and_stays_empty() {
        let (drawer, vault, entry) = set_up();
        drawer.kept.lock().unwrap().clear();
        let error = vault.get("home", &entry).unwrap_err();
        assert_eq!(error.code(), Code::KeyMissing);
        assert!(error.to_string().contains("emptied"), "{error}");
        assert!(drawer.kept.lock().unwrap().is_empty());
    }

    #[test]
    fn a_single_missing_key_is_named() {
        let (_, vault, entry) = set_up();
        vault.delete(&entry).unwrap();
        let error = vault.get("home", &entry).unwrap_err();
        assert_eq!(error.code(), Code::KeyMissing);
        assert!(error.to_string().contains("client-key/home"), "{error}");
    }
}
