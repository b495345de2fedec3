//! Sites the scanner finds.

use serde::{Deserialize, Serialize};

/// What `wp-config.php` says of the database. Never the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct SiteDatabase {
    /// `DB_NAME`.
    pub name: String,
    /// `DB_USER`.
    pub user: String,
    /// `DB_HOST` as written.
    pub host: String,
    /// `$table_prefix`.
    pub prefix: String,
}

/// `GET /scan?base=…` (a list) and `POST /verify-site` (one): a WordPress site on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct FoundSite {
    /// The site's title, else its folder's name.
    pub name: String,
    /// The web root.
    pub path: String,
    /// `wp-config.php` is there.
    pub has_config: bool,
    /// `wp-content/` is there, or where `WP_CONTENT_DIR` points.
    pub has_content: bool,
    /// What the config says, where it can be read.
    pub database: Option<SiteDatabase>,
    /// `siteurl` from the database, where it answers.
    pub url: Option<String>,
    /// `blogname` from the database, where it answers.
    pub title: Option<String>,
    /// Bytes of the content folder.
    pub content_bytes: u64,
    /// Files in the content folder.
    pub content_files: u64,
    /// What stands in the way of a backup, in sentences; empty when nothing does.
    pub problems: Vec<String>,
}

/// `POST /verify-site`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct VerifySite {
    /// The web root, absolute.
    pub path: String,
}
