//! The composition root: what the application is made of, and in which order.

use tauri::Manager as _;
use tracing_subscriber::EnvFilter;

use crate::{core::Core, ipc, tray, window};

/// Runs the application until it quits.
///
/// # Panics
/// When the system has no window to give, since there is nobody to tell it to.
pub fn run() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();

    let ipc = ipc::builder();
    tauri::Builder::default()
        // First, so that a second start ends before it opens anything.
        .plugin(tauri_plugin_single_instance::init(|app, _, _| {
            window::show(app);
        }))
        .plugin(tauri_plugin_dialog::init())
        .invoke_handler(ipc.invoke_handler())
        .setup(move |app| {
            ipc.mount_events(app);
            app.manage(Core::new(app.handle().clone(), app.path().app_data_dir()?));
            window::open(app)?;
            tray::add(app)?;
            Core::open_soon(app.handle());
            Ok(())
        })
        .on_window_event(window::on_event)
        .run(tauri::generate_context!())
        .expect("the system gives the application a window");
}
