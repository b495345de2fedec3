//! What a WordPress says of itself: its address and title from the database, its version from
//! its own files.

use std::{path::Path, time::Duration};

use backupd_base::Result;

use super::{config::Config, php::Definitions, php::Value};
use crate::modules::mysql::Access;

/// Somebody waits for it: a database that is slower than this counts as not answering.
const LIMIT: Duration = Duration::from_secs(10);

/// What the database says of the site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `siteurl`.
    pub url: Option<String>,
    /// `blogname`.
    pub title: Option<String>,
}

impl Config {
    /// The site's database.
    #[must_use]
    pub fn access(&self) -> Access {
        Access {
            address: self.address.clone(),
            user: self.db_user.clone(),
            password: self.db_password.clone(),
            database: self.db_name.clone(),
        }
    }

    /// Asks the site's database for its address and title.
    ///
    /// # Errors
    /// The database does not answer, or has no such tables.
    pub fn identity(&self, scratch: &Path) -> Result<Identity> {
        // The prefix was checked when the config was read.
        let sql = format!(
            "SELECT option_name, option_value FROM `{}options` \
             WHERE option_name IN ('siteurl', 'blogname')",
            self.prefix
        );
        let mut identity = Identity::default();
        for row in self.access().query_within(scratch, &sql, LIMIT)? {
            let mut row = row.into_iter();
            match (row.next().flatten().as_deref(), row.next().flatten()) {
                (Some("siteurl"), value) => identity.url = value,
                (Some("blogname"), value) => identity.title = value.filter(|v| !v.is_empty()),
                _ => {}
            }
        }
        Ok(identity)
    }
}

/// `$wp_version` of the WordPress at `root`.
#[must_use]
pub fn version(root: &Path) -> Option<String> {
    Definitions::read(&root.join("wp-includes/version.php"), &[])
        .ok()?
        .variable("wp_version")
        .and_then(Value::text)
}
