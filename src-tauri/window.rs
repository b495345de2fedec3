//! The one window: how it opens, hides in the tray, and comes back.

use tauri::{
    App, AppHandle, Manager as _, Theme, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder,
    Window, WindowEvent, async_runtime,
    webview::{Color, NewWindowResponse},
};

use crate::tray;

/// The window's label, as the capability names it.
pub const MAIN: &str = "main";

/// Opens the window.
///
/// # Errors
/// When the system has none to give.
pub fn open(app: &App) -> tauri::Result<WebviewWindow> {
    let dev_url = app
        .config()
        .build
        .dev_url
        .clone()
        .filter(|_| tauri::is_dev());
    let window = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::default())
        .title("Backupd")
        .inner_size(1280.0, 800.0)
        .min_inner_size(960.0, 600.0)
        .center()
        .visible(false)
        // Whatever gets into the page, it stays this page.
        .on_navigation(move |url| is_own_page(url, dev_url.as_ref()))
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .build()?;
    // The colour of the page's own background: no white flash before its first paint.
    let background = match window.theme()? {
        Theme::Dark => Color(0x11, 0x15, 0x18, 0xff),
        _ => Color(0xff, 0xff, 0xff, 0xff),
    };
    window.set_background_color(Some(background))?;
    window.show()?;
    Ok(window)
}

fn is_own_page(url: &Url, dev_url: Option<&Url>) -> bool {
    url.scheme() == "tauri"
        || url.host_str() == Some("tauri.localhost")
        || dev_url.is_some_and(|dev| dev.origin() == url.origin())
}

/// Brings the window to the front.
pub fn show(app: &AppHandle) {
    let Some(window) = app.get_webview_window(MAIN) else {
        return;
    };
    for step in [window.show(), window.unminimize(), window.set_focus()] {
        if let Err(error) = step {
            tracing::warn!("show the window: {error}");
        }
    }
}

/// A closed window hides while the tray can bring it back, else the application quits.
pub fn on_event(window: &Window, event: &WindowEvent) {
    let WindowEvent::CloseRequested { api, .. } = event else {
        return;
    };
    api.prevent_close();
    let window = window.clone();
    async_runtime::spawn(async move {
        if !tray::is_visible().await {
            window.app_handle().exit(0);
        } else if let Err(error) = window.hide() {
            tracing::warn!("hide the window: {error}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_application_itself_is_shown() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let dev = url("http://localhost:1420");
        assert!(is_own_page(&url("tauri://localhost/nodes"), None));
        assert!(is_own_page(&url("http://tauri.localhost/"), None));
        assert!(is_own_page(&url("http://localhost:1420/x"), Some(&dev)));
        for foreign in [
            "http://localhost:1420/x",
            "https://example.com/",
            "file:///etc/passwd",
            "https://tauri.localhost.example.com/",
            "data:text/html,x",
        ] {
            assert!(!is_own_page(&url(foreign), None), "{foreign}");
        }
    }
}
