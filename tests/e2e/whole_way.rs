//! The product's main job in its window: a server enrolled by its code, its WordPress backed up,
//! looked into and restored, and every byte the same.

use std::fs;

use backupd_testkit::{
    PATIENCE, SeaweedFs, assert_same_tree,
    desktop::{App, Appearance, DesktopSession},
};

use crate::{BINARY, first_run::set_up, picture, server::Server};

/// One person's desktop, on the way.
struct Way<'a> {
    app: App<'a>,
    session: &'a DesktopSession,
    server: &'a Server,
    /// Ends the names of the pictures.
    look: &'static str,
}

/// A code of the same symbols that is not this one.
fn another(code: &str) -> String {
    let (first, rest) = code.split_at(1);
    let wrong = if first == "A" { "B" } else { "A" };
    format!("{wrong}{rest}")
}

impl Way<'_> {
    async fn picture(&self, name: &str) {
        let name = format!("{name}-{}", self.look);
        self.app.picture(&picture(&name)).await;
    }

    /// Types the code into the five boxes, as a person does: they advance by themselves.
    async fn type_code(&self, code: &str) {
        for (i, symbol) in code.chars().enumerate() {
            let id = format!("enrol-code-{i}");
            let field = self.app.find(&id).await;
            field.send_keys(symbol.to_string()).await.unwrap();
        }
    }

    /// Adds a bucket as a store of the team's, tried before it is added.
    async fn add_bucket(&self, bucket: &SeaweedFs) {
        let app = &self.app;
        app.click("nav-storage").await;
        app.find("storage-empty").await;
        self.picture("storage-empty").await;
        app.click("store-empty-add").await;
        app.click("store-preset").await;
        app.click("store-preset-option-custom").await;
        let key = bucket.full_key();
        for (field, value) in [
            ("name", "Bucket"),
            ("endpoint", &bucket.endpoint()),
            ("bucket", SeaweedFs::BUCKET),
            ("prefix", "window"),
            ("accessKey", &key.access_key),
            ("secretKey", "wrong"),
        ] {
            app.fill(&format!("store-{field}"), value).await;
        }
        app.click("store-form-test").await;
        app.find_with("findings", "data-usable", "false", PATIENCE)
            .await;
        self.picture("storage-wrong-key").await;
        app.fill("store-secretKey", &key.secret_key).await;
        app.click("store-form-test").await;
        app.find_with("findings", "data-usable", "true", PATIENCE)
            .await;
        self.picture("storage-tested").await;
        app.click("store-submit").await;
        app.find("store-row").await;
        self.picture("storage").await;
        app.click("nav-overview").await;
    }

    async fn enrol(&self) {
        let (app, server) = (&self.app, self.server);
        app.click("overview-add-node").await;
        app.fill("enrol-address", &server.address()).await;
        self.type_code(&another(server.code())).await;
        app.click("enrol-submit").await;
        app.find("enrol-error").await;
        self.picture("enrol-wrong-code").await;

        self.type_code(server.code()).await;
        app.click("enrol-submit").await;
        app.find("enrol-sites").await;
        let shown = app.text("enrol-fingerprint").await;
        let plain = |text: &str| text.replace(char::is_whitespace, "");
        assert!(
            plain(&shown).contains(&plain(server.fingerprint())),
            "the window shows {shown}, the server {}",
            server.fingerprint()
        );
        self.picture("enrol-connected").await;
        app.click("enrol-later").await;
    }

    /// Protects the site, in the store of this name where there is a choice.
    async fn back_up(&self, store: Option<&str>) {
        let app = &self.app;
        app.click("scan-elsewhere").await;
        let base = self.server.site().parent().unwrap();
        app.fill("scan-base", base.to_str().unwrap()).await;
        app.click("scan-look").await;
        app.find("site-row").await;
        self.picture("node-sites").await;
        app.click("site-protect").await;
        if let Some(store) = store {
            app.choose("store-select", store).await;
        }
        self.picture("protect").await;
        app.click("protect-confirm").await;
        app.find("protected-row").await;
        app.gone("protect").await;

        app.click("protected-backup-now").await;
        app.click("tab-jobs").await;
        app.find("job-row").await;
        self.picture("node-job-running").await;
        app.find_with("job-row", "data-state", "COMPLETED", PATIENCE)
            .await;
        self.picture("node-job-completed").await;
        self.plan().await;
        app.click("tab-details").await;
        app.find("node-fingerprint").await;
        self.picture("node-details").await;
        app.click("nav-nodes").await;
        app.find("node-row").await;
        self.picture("nodes").await;
        app.click("nav-overview").await;
        app.find("source-row").await;
        self.picture("overview").await;
    }

    /// When it is backed up by itself, and what is kept.
    async fn plan(&self) {
        let app = &self.app;
        app.click("tab-sources").await;
        app.wait_for_text("protected-next", "Next run", PATIENCE)
            .await;
        app.click("protected-more").await;
        app.click("protected-schedule").await;
        app.click("schedule-preset-weekly").await;
        app.find("schedule-next").await;
        self.picture("schedule").await;
        app.click("schedule-save").await;
        app.gone("schedule").await;
        app.click("protected-more").await;
        app.click("source-retention").await;
        app.click("retention-everything").await;
        app.find("retention-summary").await;
        self.picture("retention").await;
        app.click("retention-save").await;
        app.gone("retention").await;
        self.picture("node-sources").await;
    }

    async fn restore(&self) {
        let app = &self.app;
        app.click("nav-snapshots").await;
        app.click("snapshot-row").await;
        app.find_with("file-row", "data-path", "files", PATIENCE)
            .await;
        self.picture("snapshot").await;
        app.click("file-open").await;
        app.find_with("file-row", "data-path", "files/wp-content", PATIENCE)
            .await;
        self.picture("snapshot-files").await;

        app.click("restore-open").await;
        let folder = self.session.folder().join("restored");
        app.fill("restore-folder", folder.to_str().unwrap()).await;
        self.picture("restore").await;
        app.click("restore-submit").await;
        app.find_with("task-row", "data-state", "completed", PATIENCE)
            .await;
        self.picture("restored").await;
    }
}

async fn walk(appearance: Appearance, look: &'static str, bucket: Option<&SeaweedFs>) {
    let session = DesktopSession::start(appearance);
    let server = Server::start().await;
    let app = App::start(&session, BINARY.as_ref()).await;
    set_up(&app, &session).await;
    let way = Way {
        app,
        session: &session,
        server: &server,
        look,
    };
    if let Some(bucket) = bucket {
        way.add_bucket(bucket).await;
    }
    way.enrol().await;
    way.back_up(bucket.map(|_| "Bucket")).await;
    way.restore().await;

    let mut landed = fs::read_dir(session.folder().join("restored")).unwrap();
    let restored = landed.next().unwrap().unwrap().path();
    assert!(landed.next().is_none(), "more than one restore");
    assert_same_tree(
        &server.site().join("wp-content"),
        &restored.join("files/wp-content"),
    );
    server.assert_same_database(&restored.join("database.sql"));
    way.app.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enrol_back_up_browse_and_restore_from_the_servers_own_folder_in_dark() {
    walk(Appearance::Dark, "dark", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enrol_back_up_browse_and_restore_from_a_bucket_in_light() {
    let bucket = SeaweedFs::start();
    walk(Appearance::Light, "light", Some(&bucket)).await;
    assert!(bucket.holds("window/tenants/"), "nothing is in the bucket");
}
