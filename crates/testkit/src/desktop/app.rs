//! An application in a [`DesktopSession`], driven through WebDriver as a person would: by what is
//! on the page.

use std::{
    fs::File,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use thirtyfour::{
    Capabilities, WebDriver, WebElement,
    error::WebDriverResult,
    extensions::query::{ElementQuery, ElementQueryable as _},
    prelude::By,
    stringmatch::StringMatch,
};

use super::DesktopSession;
use crate::{Child, PATIENCE, cache_dir, free_port, poll_until, spawn};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// Calls back when what is on the page now has been painted.
const PAINTED: &str =
    "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));";

/// Whether an element can be seen. WebDriver's own answer is no for text that is cut off with an
/// ellipsis.
const SHOWN: &str = "
    const { width, height } = arguments[0].getBoundingClientRect();
    return width > 0 && height > 0 && arguments[0].checkVisibility({ visibilityProperty: true });
";

/// A running application. [`App::quit`] ends it; dropped without, it ends with its session.
///
/// Elements are named by their `data-testid`. Every method panics with what it looked for and
/// what the page shows instead.
pub struct App<'a> {
    session: &'a DesktopSession,
    page: WebDriver,
    driver: Child,
}

impl<'a> App<'a> {
    /// Starts `binary`, which must have its pages built in.
    ///
    /// # Panics
    /// When WebDriver is not installed or the application shows no page.
    pub async fn start(session: &'a DesktopSession, binary: &Path) -> Self {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::open(session, binary).await {
                Ok(app) => return app,
                // On a machine that is very busy, WebKit's driver can miss the application it
                // started, and then waits for it for ever.
                Err(error) if tries < 3 => eprintln!("try {tries}: {error}"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn open(session: &'a DesktopSession, binary: &Path) -> Result<Self, String> {
        let (port, native_port) = (free_port(), free_port());
        let log_path = session.logs().join("application");
        let log = File::options().create(true).append(true).open(&log_path);
        let log = log.expect("open the application's log");
        let mut command: Command = session.command(driver_program());
        command.args(["--port", &port.to_string()]);
        command.args(["--native-port", &native_port.to_string()]);
        command.stdin(Stdio::null());
        command.stderr(log.try_clone().expect("share the log"));
        command.stdout(log);
        let driver = spawn(command);
        for port in [port, native_port] {
            poll_until(START, "WebDriver", || {
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }

        let application = binary.display().to_string();
        let mut wanted = Capabilities::new();
        let options = serde_json::json!({ "application": application });
        for (name, value) in [("browserName", "wry".into()), ("tauri:options", options)] {
            let set = wanted.set(name, value);
            set.expect("a JSON value is a capability");
        }
        let server = format!("http://127.0.0.1:{port}");
        let why = match tokio::time::timeout(START, WebDriver::new(&server, wanted)).await {
            Ok(Ok(page)) => {
                return Ok(Self {
                    session,
                    page,
                    driver,
                });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        driver.stop(STOP);
        session.end_all(binary);
        let said = std::fs::read_to_string(&log_path).unwrap_or_default();
        Err(format!("open {application}: {why}\nit said:\n{said}"))
    }

    /// The page itself, for what is not here.
    #[must_use]
    pub fn page(&self) -> &WebDriver {
        &self.page
    }

    /// The element once it is displayed.
    pub async fn find(&self, testid: &str) -> WebElement {
        self.find_within(testid, PATIENCE).await
    }

    /// [`App::find`] for what takes longer.
    pub async fn find_within(&self, testid: &str, within: Duration) -> WebElement {
        let found = self
            .query(testid, within)
            .with_filter(is_shown)
            .first()
            .await;
        self.or_explain(found, &format!("no {testid}")).await
    }

    /// Clicks the element once it can be clicked.
    pub async fn click(&self, testid: &str) {
        let found = self.query(testid, PATIENCE).and_enabled();
        let found = found.with_filter(is_shown).first().await;
        let element = self
            .or_explain(found, &format!("no {testid} to click"))
            .await;
        let clicked = element.click().await;
        self.or_explain(clicked, &format!("cannot click {testid}"))
            .await;
    }

    /// Types into the element, in place of what it holds.
    pub async fn fill(&self, testid: &str, text: &str) {
        let element = self.find(testid).await;
        let filled = async {
            element.clear().await?;
            element.send_keys(text).await
        };
        self.or_explain(filled.await, &format!("cannot fill {testid}"))
            .await;
    }

    /// Opens a list to choose from, and takes the entry that says `label`.
    pub async fn choose(&self, testid: &str, label: &str) {
        self.click(testid).await;
        let path = format!("//*[@role='option'][starts-with(normalize-space(.), '{label}')]");
        let query = self.page.query(By::XPath(path)).wait(PATIENCE, POLL);
        let found = query.with_filter(is_shown).first().await;
        let what = format!("no {label} in {testid}");
        let entry = self.or_explain(found, &what).await;
        self.or_explain(entry.click().await, &what).await;
    }

    /// What the element says.
    pub async fn text(&self, testid: &str) -> String {
        let said = self.find(testid).await.text().await;
        self.or_explain(said, &format!("no text in {testid}")).await
    }

    /// Waits until the element says `text` somewhere.
    pub async fn wait_for_text(&self, testid: &str, text: &str, within: Duration) {
        let text = text.to_owned();
        let doing = format!("{testid} does not say {text:?}");
        let text = StringMatch::new(text).partial();
        let said = self.query(testid, within).with_property("innerText", text);
        let said = said.with_filter(is_shown).first().await;
        self.or_explain(said, &doing).await;
    }

    /// Waits for an element of this name that has `attribute` at `value`, as `data-state`.
    pub async fn find_with(
        &self,
        testid: &str,
        attribute: &str,
        value: &str,
        within: Duration,
    ) -> WebElement {
        let query = self.query(testid, within);
        let query = query.with_attribute(attribute.to_owned(), value.to_owned());
        let found = query.with_filter(is_shown).first().await;
        self.or_explain(found, &format!("no {testid} with {attribute}={value}"))
            .await
    }

    /// Waits until there is no such element any more.
    pub async fn gone(&self, testid: &str) {
        let gone = self.query(testid, PATIENCE).not_exists().await;
        let gone = self
            .or_explain(gone, &format!("cannot look for {testid}"))
            .await;
        assert!(gone, "{testid} is still there");
    }

    /// A picture of the page as it stands on the screen, as PNG. (WebDriver's own way waits for
    /// ever where WebKit paints without a graphics card.)
    pub async fn picture(&self, to: &Path) {
        let painted = self.page.execute_async(PAINTED, Vec::new()).await;
        self.or_explain(painted, "cannot wait for the page to be painted")
            .await;
        let title = self.page.title().await;
        let title = self.or_explain(title, "the page has no title").await;
        self.session.picture_of(&title, to);
    }

    /// Ends the application and its driver.
    ///
    /// # Panics
    /// When they do not end.
    pub async fn quit(self) {
        let ended = self.page.quit().await;
        ended.unwrap_or_else(|e| panic!("end the application: {e}"));
        self.driver.stop(STOP);
    }

    fn query(&self, testid: &str, within: Duration) -> ElementQuery {
        self.page.query(By::Testid(testid)).wait(within, POLL)
    }

    async fn or_explain<T>(&self, result: WebDriverResult<T>, what: &str) -> T {
        match result {
            Ok(value) => value,
            Err(error) => {
                let shown = match self.page.find(By::Tag("body")).await {
                    Ok(body) => body.text().await,
                    Err(error) => Err(error),
                };
                let shown = shown.unwrap_or_else(|e| format!("(not to be read: {e})"));
                panic!("{what}: {error}\nthe page shows:\n{shown}");
            }
        }
    }
}

async fn is_shown(element: WebElement) -> WebDriverResult<bool> {
    let page = element.handle();
    let shown = page.execute(SHOWN, vec![element.to_json()?]).await;
    // An element that was replaced meanwhile is not shown; its successor is asked next.
    Ok(shown.is_ok_and(|shown| shown.json().as_bool() == Some(true)))
}

fn driver_program() -> PathBuf {
    let tools = cache_dir();
    let places = ["tools/cargo/bin/tauri-driver", "cargo/bin/tauri-driver"];
    let found = places.map(|place| tools.join(place));
    let found = found.into_iter().find(|program| program.is_file());
    found.unwrap_or_else(|| {
        let tools = tools.display();
        panic!("no tauri-driver below {tools}; run `cargo xtask setup`")
    })
}
