//! What a backup of one source holds, as its module says.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::mysql;

/// What a backup of one source holds.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Folders, in the order they are read.
    pub trees: Vec<Tree>,
    /// The database.
    pub database: Option<Database>,
    /// The description that goes into the archive; the dump adds what it learns.
    pub environment: Environment,
}

/// A database to dump.
#[derive(Debug, Clone)]
pub struct Database {
    /// How to reach it.
    pub access: mysql::Access,
    /// Says which tables belong to another source.
    pub ignores: fn(&mysql::schema::Schema, &str) -> Vec<String>,
    /// The prefix of the source's own tables, for `ignores`.
    pub prefix: String,
}

/// A folder, or part of it.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The folder of the archive it goes to: `files`.
    pub prefix: String,
    /// The folder on the server.
    pub root: PathBuf,
    /// Paths below the root that are taken; empty for all.
    pub only: Vec<PathBuf>,
    /// Patterns, as in a `.gitignore` at the root, of what is left out of that.
    pub exclude: Vec<String>,
}

impl Tree {
    /// Both as one list for the walk: everything is left out but what is taken, and of that what
    /// is left out again.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        let mut patterns = Vec::new();
        for path in &self.only {
            let mut above = String::new();
            for part in path.components() {
                let part = literal(&part.as_os_str().to_string_lossy());
                let others = format!("{above}/*");
                if !patterns.contains(&others) {
                    patterns.push(others);
                }
                above = format!("{above}/{part}");
                patterns.push(format!("!{above}"));
            }
        }
        patterns.extend(self.exclude.iter().cloned());
        patterns
    }
}

/// A name as a pattern that matches just it.
pub fn literal(name: &str) -> String {
    let special = |c| matches!(c, '*' | '?' | '[' | ']' | '\\' | '!' | '#' | ' ');
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// `backup.json`, the first file of every archive: what it takes to put the rest back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Environment {
    /// Version of this description.
    pub format: u32,
    /// The module that made it.
    pub module: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The program that made it.
    pub program: String,
    /// For people: the site's title.
    pub title: Option<String>,
    /// The site's address.
    pub site_url: Option<String>,
    /// Version of WordPress.
    pub wordpress_version: Option<String>,
    /// Whether it is a network of sites.
    pub multisite: bool,
    /// Which folder of the archive came from where.
    pub roots: Vec<EnvironmentRoot>,
    /// The database in `database.sql`.
    pub database: Option<EnvironmentDatabase>,
}

/// Where a folder of the archive came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentRoot {
    /// The folder of the archive.
    pub prefix: String,
    /// The folder on the server.
    pub path: String,
    /// Paths below it that were taken; empty for all.
    pub only: Vec<String>,
    /// Patterns of paths that were left out of that.
    pub excluded: Vec<String>,
}

/// What is known of the dumped database. Never the password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnvironmentDatabase {
    /// `DB_NAME`.
    pub name: String,
    /// Prefix of the site's tables.
    pub prefix: String,
    /// Default character set.
    pub charset: String,
    /// Version of the server.
    pub server: String,
    /// Version of the dump tool.
    pub tool: String,
    /// Its tables and views.
    pub tables: Vec<EnvironmentTable>,
    /// Tables of other sites in the same database, not in the dump.
    pub left_out: Vec<String>,
}

/// One table or view of the dump.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnvironmentTable {
    /// Its name.
    pub name: String,
    /// Storage engine; none for a view.
    pub engine: Option<String>,
    /// Rows, as the server estimated them.
    pub rows_estimate: Option<u64>,
}

impl EnvironmentDatabase {
    /// What a dump learned.
    #[must_use]
    pub fn new(name: &str, prefix: &str, dumped: &mysql::dump::Dumped) -> Self {
        let tables = dumped.schema.tables.iter();
        Self {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            charset: dumped.schema.charset.clone(),
            server: dumped.schema.server.clone(),
            tool: dumped.tool_version.clone(),
            tables: tables
                .filter(|t| !dumped.ignored.contains(&t.name))
                .map(|t| EnvironmentTable {
                    name: t.name.clone(),
                    engine: t.engine.clone(),
                    rows_estimate: t.rows_estimate,
                })
                .collect(),
            left_out: dumped.ignored.clone(),
        }
    }
}
