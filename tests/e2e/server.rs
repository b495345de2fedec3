//! A server with a WordPress on it and an agent that was never enrolled.

use std::path::Path;

use backupd::{
    app::{App, Running},
    config::Config,
};
use backupd_testkit::{MariaDb, WordPress};
use tempfile::TempDir;

/// The server.
pub struct Server {
    site: WordPress,
    database: MariaDb,
    agent: Running,
    // The agent's data: gone after it.
    _data: TempDir,
}

impl Server {
    /// A server whose site has content of every kind.
    pub async fn start() -> Self {
        let database = MariaDb::start();
        let site = WordPress::install(&database);
        site.fill(300, 20, 40, 7);
        let data = TempDir::new().unwrap();
        let config = Config {
            data_dir: data.path().to_owned(),
            host: [127, 0, 0, 1].into(),
            port: 0,
            ..Config::default()
        };
        let agent = App::build(config).unwrap().spawn().await.unwrap();
        Self {
            site,
            database,
            agent,
            _data: data,
        }
    }

    /// `host:port` of the agent.
    pub fn address(&self) -> String {
        self.agent.agent().listening().unwrap().to_string()
    }

    /// The code its console shows.
    pub fn code(&self) -> &str {
        &self.agent.first_window().unwrap().code
    }

    /// What its console shows of its key.
    pub fn fingerprint(&self) -> &str {
        &self.agent.first_window().unwrap().fingerprint
    }

    /// The web root of the site.
    pub fn site(&self) -> &Path {
        self.site.root()
    }

    /// Asserts that a dump, loaded anew, holds what the site's database holds.
    pub fn assert_same_database(&self, dump: &Path) {
        let fresh = self.database.create_database("restored").name;
        self.database.load(&fresh, dump).unwrap();
        let sums = |name: &str| self.database.checksums(name);
        let site = sums(&self.site.database().name);
        assert!(site.contains_key("wp_posts"), "{site:?}");
        assert_eq!(sums(&fresh), site);
    }

    /// Stops the agent.
    pub async fn stop(self) {
        self.agent.drain().await.unwrap();
    }
}
