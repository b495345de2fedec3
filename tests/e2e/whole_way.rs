//! The product's main job in its window: a server enrolled by its code, its WordPress backed up,
//! looked into and restored, and every byte the same.

use std::{fs, time::Duration};

use backupd_testkit::{
    assert_same_tree,
    desktop::{App, Appearance, DesktopSession, PATIENCE},
};

use crate::{BINARY, first_run::set_up, picture, server::Server};

/// A backup or a restore of this site takes seconds; a busy machine may take much longer.
const JOB: Duration = Duration::from_secs(180);

/// Types the code into the five boxes, as a person does: they advance by themselves.
async fn type_code(app: &App<'_>, code: &str) {
    for (i, symbol) in code.chars().enumerate() {
        let id = format!("enrol-code-{i}");
        let sent = app.find(&id).await.send_keys(symbol.to_string()).await;
        sent.unwrap();
    }
}

/// A code of the same symbols that is not this one.
fn another(code: &str) -> String {
    let (first, rest) = code.split_at(1);
    let wrong = if first == "A" { "B" } else { "A" };
    format!("{wrong}{rest}")
}

async fn enrol(app: &App<'_>, server: &Server) {
    app.click("overview-add-node").await;
    app.fill("enrol-address", &server.address()).await;
    type_code(app, &another(server.code())).await;
    app.click("enrol-submit").await;
    app.find("enrol-error").await;
    app.picture(&picture("enrol-wrong-code")).await;

    type_code(app, server.code()).await;
    app.click("enrol-submit").await;
    app.find("enrol-sites").await;
    let shown = app.text("enrol-fingerprint").await;
    assert!(
        shown
            .replace(char::is_whitespace, "")
            .contains(&server.fingerprint().replace(char::is_whitespace, "")),
        "the window shows {shown}, the server {}",
        server.fingerprint()
    );
    app.picture(&picture("enrol-connected")).await;
    app.click("enrol-later").await;
}

async fn back_up(app: &App<'_>, server: &Server) {
    app.click("scan-elsewhere").await;
    let base = server.site().parent().unwrap();
    app.fill("scan-base", base.to_str().unwrap()).await;
    app.click("scan-look").await;
    app.find("site-row").await;
    app.picture(&picture("node-sites")).await;
    app.click("site-protect").await;
    app.click("protect-confirm").await;
    app.find("protected-row").await;
    app.gone("protect").await;

    app.click("protected-backup-now").await;
    app.click("tab-jobs").await;
    app.find("job-row").await;
    app.picture(&picture("node-job-running")).await;
    app.find_with("job-row", "data-state", "COMPLETED", JOB)
        .await;
    app.picture(&picture("node-job-completed")).await;
    app.click("nav-overview").await;
    app.find("source-row").await;
    app.picture(&picture("overview")).await;
}

async fn restore(app: &App<'_>, session: &DesktopSession) {
    app.click("nav-snapshots").await;
    app.click("snapshot-row").await;
    app.find_with("file-row", "data-path", "files", PATIENCE)
        .await;
    app.click("file-open").await;
    app.find_with("file-row", "data-path", "files/wp-content", PATIENCE)
        .await;
    app.picture(&picture("snapshot-files")).await;

    app.click("restore-open").await;
    let folder = session.folder().join("restored");
    app.fill("restore-folder", folder.to_str().unwrap()).await;
    app.picture(&picture("restore")).await;
    app.click("restore-submit").await;
    app.find_with("task-row", "data-state", "completed", JOB)
        .await;
    app.picture(&picture("restored")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enrol_back_up_browse_and_restore() {
    let session = DesktopSession::start(Appearance::Dark);
    let server = Server::start().await;
    let app = App::start(&session, BINARY.as_ref()).await;
    set_up(&app, &session).await;

    enrol(&app, &server).await;
    back_up(&app, &server).await;
    restore(&app, &session).await;

    let restored = session.folder().join("restored");
    let content = |root: &std::path::Path| root.join("wp-content");
    assert_same_tree(&content(server.site()), &content(&restored.join("files")));
    let dump = fs::read_to_string(restored.join("database.sql")).unwrap();
    assert!(
        dump.trim_end()
            .lines()
            .last()
            .unwrap()
            .starts_with("-- Dump completed")
    );

    app.quit().await;
    server.stop().await;
}
