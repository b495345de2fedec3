//! The handle every command is a method of.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use backupd_archive::Keypair;
use backupd_base::{Context as _, Result};
use backupd_registry::Registry;
use backupd_vault::Vault;
use tokio::sync::{Mutex, broadcast};

use crate::{
    commands::Attempts, fleet::Fleet, retention::Keeper, secrets::Secrets, snapshot::Indexes,
    tasks::Tasks, view::MasterEvent,
};

/// Events a slow listener may fall behind before it loses the oldest.
const EVENTS: usize = 1024;

/// The master of this data folder. Clones are the same master; it runs until [`Master::close`].
#[derive(Clone)]
pub struct Master {
    core: Arc<Core>,
}

pub(crate) struct Core {
    pub secrets: Secrets,
    pub fleet: Fleet,
    pub tasks: Tasks,
    pub indexes: Indexes,
    pub attempts: Attempts,
    pub keeper: Keeper,
    /// The recovery key between its making and the saving of the kit.
    pub unsaved_recovery: Mutex<Option<Keypair>>,
    registry: Arc<Registry>,
    events: broadcast::Sender<MasterEvent>,
}

impl Master {
    /// Opens the data folder, making it at the first start, and begins to follow the nodes.
    /// The vault is not asked for anything yet.
    ///
    /// # Errors
    /// `Conflict` when another process has it open, `Incompatible` when a newer version wrote it.
    pub async fn open(data_dir: impl Into<PathBuf>, vault: Vault) -> Result<Self> {
        let folder = data_dir.into();
        let (registry, installation) = blocking(move || {
            private_folder(&folder)?;
            let registry = Registry::open(&folder)?;
            let installation = installation(&registry)?;
            Ok((registry, installation))
        })
        .await?;
        let events = broadcast::Sender::new(EVENTS);
        let master = Self {
            core: Arc::new(Core {
                secrets: Secrets::new(vault, installation),
                fleet: Fleet::default(),
                tasks: Tasks::new(events.clone()),
                indexes: Indexes::default(),
                attempts: Attempts::default(),
                keeper: Keeper::default(),
                unsaved_recovery: Mutex::default(),
                registry: Arc::new(registry),
                events,
            }),
        };
        for node in master.db(Registry::nodes_list).await? {
            if node.revoked_at.is_none() {
                master.follow(node.id);
            }
        }
        master.core().keeper.start(master.clone()).await;
        Ok(master)
    }

    /// What happens from now on. A listener that falls behind gets `Lagged` and reads again what
    /// it shows.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<MasterEvent> {
        self.core.events.subscribe()
    }

    /// Stops following the nodes and every task. Commands still work, but nothing is heard.
    pub async fn close(&self) {
        self.core.tasks.cancel_all();
        self.core.keeper.close().await;
        self.core.fleet.close().await;
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Tells whoever listens; nobody need.
    pub(crate) fn tell(&self, event: MasterEvent) {
        self.core.events.send(event).ok();
    }

    /// Asks the registry, off the async threads.
    pub(crate) async fn db<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Registry) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let registry = self.core.registry.clone();
        blocking(move || ask(&registry)).await
    }
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("run a blocking step")?
}

fn private_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .with_context(|| format!("make the data folder {}", folder.display()))
}

/// The name of this installation in the keyring, made once.
fn installation(registry: &Registry) -> Result<String> {
    const KEY: &str = "installation";
    if let Some(id) = registry.setting_get(KEY)? {
        return Ok(id);
    }
    let id = uuid::Uuid::now_v7().to_string();
    registry.setting_put(KEY, &id)?;
    Ok(id)
}
