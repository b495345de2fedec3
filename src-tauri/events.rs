//! What the master tells, on its way to the page and to the tray.

use backupd_master::{Master, view::MasterEvent};
use serde::Serialize;
use specta::Type;
use tauri::{AppHandle, async_runtime};
use tauri_specta::Event as _;
use tokio::sync::broadcast::error::RecvError;

use crate::tray;

/// The one event the page listens to.
#[derive(Clone, Serialize, Type, tauri_specta::Event)]
#[serde(transparent)]
#[tauri_specta(event_name = "master-event")]
pub struct FromMaster(MasterEvent);

/// Passes on everything `master` tells, until it is gone.
pub fn forward(app: AppHandle, master: &Master) {
    let mut events = master.subscribe();
    async_runtime::spawn(async move {
        tray::refresh(&app).await;
        loop {
            match events.recv().await {
                Ok(event) => pass_on(&app, event).await,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!("the page missed {missed} events, it reads everything again");
                    for event in [
                        MasterEvent::NodesChanged,
                        MasterEvent::SourcesChanged,
                        MasterEvent::SnapshotsChanged,
                    ] {
                        pass_on(&app, event).await;
                    }
                }
                Err(RecvError::Closed) => break,
            }
        }
    });
}

async fn pass_on(app: &AppHandle, event: MasterEvent) {
    let verdict_may_differ = matches!(
        event,
        MasterEvent::NodesChanged | MasterEvent::SourcesChanged
    );
    if let Err(error) = FromMaster(event).emit(app) {
        tracing::error!("tell the page: {error}");
    }
    if verdict_may_differ {
        tray::refresh(app).await;
    }
}
