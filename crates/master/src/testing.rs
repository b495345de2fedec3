//! A master in a folder of its own, with a drawer for a keyring.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use backupd_base::{Code, Error, ExposeSecret as _, Result, SecretString};
use backupd_vault::{Entry, SecretStore, Vault};

use crate::Master;

/// A keyring in memory. Locked it answers like one that was never unlocked.
#[derive(Clone, Default)]
pub struct Drawer(Arc<Mutex<(bool, HashMap<String, String>)>>);

impl Drawer {
    pub fn lock(&self, locked: bool) {
        self.0.lock().unwrap().0 = locked;
    }

    pub fn empty(&self) {
        self.0.lock().unwrap().1.clear();
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }
}

impl SecretStore for Drawer {
    fn read(&self, entry: &Entry) -> Result<Option<SecretString>> {
        let drawer = self.0.lock().unwrap();
        let kept = drawer.1.get(&entry.to_string()).filter(|_| !drawer.0);
        Ok(kept.cloned().map(Into::into))
    }

    fn write(&self, entry: &Entry, secret: &SecretString) -> Result<()> {
        let mut drawer = self.0.lock().unwrap();
        if drawer.0 {
            return Err(Error::new(Code::KeyringLocked, "the drawer is locked"));
        }
        let secret = secret.expose_secret().to_owned();
        drawer.1.insert(entry.to_string(), secret);
        Ok(())
    }

    fn erase(&self, entry: &Entry) -> Result<()> {
        self.0.lock().unwrap().1.remove(&entry.to_string());
        Ok(())
    }
}

/// A folder and a keyring that outlive the masters opened on them.
pub struct Home {
    folder: tempfile::TempDir,
    pub drawer: Drawer,
}

impl Home {
    pub fn new() -> Self {
        Self::with(Drawer::default())
    }

    pub fn with(drawer: Drawer) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            drawer,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub async fn open(&self) -> Master {
        let vault = Vault::over(Arc::new(self.drawer.clone()));
        Master::open(self.path("data"), vault).await.unwrap()
    }

    /// Set up, with the kit saved.
    pub async fn ready(&self) -> Master {
        let master = self.open().await;
        master.setup_create("Acme").await.unwrap();
        master.setup_save_kit(self.path("kit.html")).await.unwrap();
        master
    }
}
