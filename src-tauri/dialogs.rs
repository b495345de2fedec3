//! The system's own dialogs, asked from Rust: the page gets the path that was chosen and no
//! access to any file.

use std::path::PathBuf;

use backupd_base::{Code, Error, Result};
use tauri::{AppHandle, Manager as _};
use tauri_plugin_dialog::{DialogExt as _, FileDialogBuilder, FilePath};
use tokio::sync::oneshot;

use crate::window::MAIN;

/// Lets the user choose a folder. None when the dialog was cancelled.
///
/// # Errors
/// `Invalid` when what was chosen is no folder of this computer.
pub async fn choose_folder(app: &AppHandle) -> Result<Option<PathBuf>> {
    let (answer, answered) = oneshot::channel();
    dialog(app, "Choose a folder").pick_folder(move |path| {
        answer.send(path).ok();
    });
    path(answered.await.ok().flatten())
}

/// Lets the user choose where to save a file, offering `suggested`. None when the dialog was
/// cancelled.
///
/// # Errors
/// `Invalid` when what was chosen is no place on this computer.
pub async fn choose_file(app: &AppHandle, suggested: PathBuf) -> Result<Option<PathBuf>> {
    let (answer, answered) = oneshot::channel();
    let mut dialog = dialog(app, "Save the recovery kit");
    if let Some(folder) = suggested.parent() {
        dialog = dialog.set_directory(folder);
    }
    if let Some(name) = suggested.file_name() {
        dialog = dialog.set_file_name(name.to_string_lossy());
    }
    dialog.save_file(move |path| {
        answer.send(path).ok();
    });
    path(answered.await.ok().flatten())
}

fn dialog(app: &AppHandle, title: &str) -> FileDialogBuilder<tauri::Wry> {
    let dialog = app.dialog().file().set_title(title);
    match app.get_webview_window(MAIN) {
        Some(window) => dialog.set_parent(&window),
        None => dialog,
    }
}

fn path(chosen: Option<FilePath>) -> Result<Option<PathBuf>> {
    let path = chosen.map(FilePath::into_path).transpose();
    path.map_err(|_| Error::new(Code::Invalid, "the place chosen is not on this computer"))
}
