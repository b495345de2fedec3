//! From nothing to a saved recovery kit.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use backupd_testkit::desktop::{App, Appearance, DesktopSession};

use crate::{BINARY, picture};

/// Names the tenant and saves the kit in the session's folder.
pub async fn set_up(app: &App<'_>, session: &DesktopSession) -> PathBuf {
    app.fill("setup-tenant", "Acme Ltd").await;
    app.click("setup-create").await;
    let kit = session.folder().join("recovery-kit.html");
    app.fill("setup-kit-path", kit.to_str().unwrap()).await;
    app.click("setup-save").await;
    app.find("overview-empty").await;
    kit
}

fn check_kit(kit: &Path) {
    let page = fs::read_to_string(kit).unwrap();
    assert!(page.contains("Acme Ltd"), "the kit names whose it is");
    assert!(page.contains("AGE-SECRET-KEY-1"), "the kit holds the key");
    let mode = fs::metadata(kit).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the kit is for its owner only");
}

async fn guide(appearance: Appearance, name: &str) {
    let session = DesktopSession::start(appearance);
    let app = App::start(&session, BINARY.as_ref()).await;
    app.find("setup-tenant").await;
    app.picture(&picture(&format!("first-run-{name}"))).await;
    check_kit(&set_up(&app, &session).await);
    app.picture(&picture(&format!("overview-empty-{name}")))
        .await;

    // A second start goes on where the first one was.
    app.quit().await;
    let app = App::start(&session, BINARY.as_ref()).await;
    app.find("overview-empty").await;
    app.quit().await;
}

#[tokio::test]
async fn the_guide_ends_at_an_empty_overview_in_light() {
    guide(Appearance::Light, "light").await;
}

#[tokio::test]
async fn the_guide_ends_at_an_empty_overview_in_dark() {
    guide(Appearance::Dark, "dark").await;
}
