//! The master inside the application: opened beside the window rather than before it, and
//! tried again by every command as long as it could not be opened (a locked keyring, a full disk).

use std::path::PathBuf;

use backupd_base::Result;
use backupd_master::{Master, Vault};
use tauri::{AppHandle, Manager as _, async_runtime};
use tokio::sync::OnceCell;

use crate::events;

/// Holds the master once it is open.
pub struct Core {
    app: AppHandle,
    data_dir: PathBuf,
    master: OnceCell<Master>,
}

impl Core {
    /// A core whose master will live in `data_dir`.
    pub fn new(app: AppHandle, data_dir: PathBuf) -> Self {
        Self {
            app,
            data_dir,
            master: OnceCell::new(),
        }
    }

    /// Starts opening the master without waiting for it.
    pub fn open_soon(app: &AppHandle) {
        let app = app.clone();
        async_runtime::spawn(async move {
            if let Err(error) = app.state::<Core>().master().await {
                tracing::error!("{error}");
            }
        });
    }

    /// The open master.
    ///
    /// # Errors
    /// Why it cannot be opened now.
    pub async fn master(&self) -> Result<&Master> {
        self.master
            .get_or_try_init(|| async {
                let master = Master::open(self.data_dir.clone(), Vault::keyring()).await?;
                events::forward(self.app.clone(), &master);
                Ok(master)
            })
            .await
    }
}
