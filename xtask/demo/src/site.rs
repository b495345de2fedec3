//! The site: a real WordPress on a real MariaDB, served, and what it was before it was lost.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use backupd_testkit::{MariaDb, WordPress, tree_differences, wordpress::Serving};
use walkdir::WalkDir;

use crate::story;

/// A running site and a copy of its files.
pub struct Site {
    server: MariaDb,
    wordpress: WordPress,
    serving: Serving,
    original: Original,
    folder: tempfile::TempDir,
}

/// What the site was.
struct Original {
    content: PathBuf,
    tables: Tables,
    page: String,
}

/// What was compared.
pub struct Compared {
    /// How many.
    pub count: usize,
    /// Bytes of files, rows of tables.
    pub amount: u64,
}

impl Site {
    /// A site with posts, pictures and `documents` MB of files that do not compress.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn make(documents: u32) -> Result<Self> {
        story::part("A site");
        let server = MariaDb::start();
        story::held("MariaDB runs, with its data in a temporary folder");
        let wordpress = WordPress::install(&server);
        wordpress.fill(400, 12, documents, 1);
        let serving = wordpress.serve();
        let page = serving.page("/");
        ensure!(
            page.contains(WordPress::TITLE),
            "the front page does not show the site's title"
        );
        story::held(format!(
            "WordPress is installed, filled and served at {}",
            wordpress.url()
        ));

        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let content = folder.path().join("wp-content");
        let copied = Command::new("cp")
            .arg("--archive")
            .arg(wordpress.root().join("wp-content"))
            .arg(&content)
            .status()
            .context("start cp")?;
        ensure!(copied.success(), "copy the site aside: {copied}");
        let tables = server.checksums(&wordpress.database().name);
        Ok(Self {
            original: Original {
                content,
                tables,
                page,
            },
            server,
            wordpress,
            serving,
            folder,
        })
    }

    /// The folder with `wp-config.php`.
    pub fn root(&self) -> &Path {
        self.wordpress.root()
    }

    /// A folder for what belongs to the demo.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The uploads go, and so do the tables.
    ///
    /// # Errors
    /// When the site is still there afterwards.
    pub fn lose(&self) -> Result<()> {
        let uploads = self.root().join("wp-content/uploads");
        fs::remove_dir_all(uploads).context("remove the uploads")?;
        let database = &self.wordpress.database().name;
        let tables: Vec<String> = self
            .original
            .tables
            .keys()
            .map(|table| format!("`{table}`"))
            .collect();
        let drop = format!("USE `{database}`; DROP TABLE {}", tables.join(", "));
        self.server.execute(&drop);
        let answer = backupd_testkit::http::get(self.serving.port(), "/")
            .context("ask the site for its front page")?;
        ensure!(
            !answer.body.contains(WordPress::TITLE),
            "the site still shows its title"
        );
        Ok(())
    }

    /// Fails unless the site is what it was: its files, its tables, its front page.
    ///
    /// # Errors
    /// When anything differs.
    pub fn is_back(&self) -> Result<()> {
        self.same_files(&self.root().join("wp-content"))?;
        let database = &self.wordpress.database().name;
        same_tables(&self.original.tables, &self.server.checksums(database))?;
        ensure!(
            self.serving.page("/") == self.original.page,
            "the front page is not what it was"
        );
        Ok(())
    }

    /// Fails unless a restored `wp-content` is the original.
    ///
    /// # Errors
    /// When anything differs: a name, a byte, a mode, a time.
    pub fn same_files(&self, restored: &Path) -> Result<Compared> {
        let differences = tree_differences(&self.original.content, restored);
        ensure!(
            differences.is_empty(),
            "the restored files differ: {}",
            differences[..differences.len().min(5)].join("; ")
        );
        let sizes: Vec<u64> = WalkDir::new(restored)
            .into_iter()
            .filter_map(|entry| entry.ok()?.metadata().ok())
            .filter(fs::Metadata::is_file)
            .map(|file| file.len())
            .collect();
        Ok(Compared {
            count: sizes.len(),
            amount: sizes.iter().sum(),
        })
    }

    /// Loads a restored dump into a fresh database and fails unless that is the original.
    ///
    /// # Errors
    /// When it does not load, or any table differs.
    pub fn same_database(&self, dump: &Path) -> Result<Compared> {
        let fresh = self.server.create_database("restored");
        self.server
            .load(&fresh.name, dump)
            .map_err(|error| anyhow!("load the restored dump: {error}"))?;
        let tables = self.server.checksums(&fresh.name);
        same_tables(&self.original.tables, &tables)?;
        let rows = tables
            .keys()
            .filter_map(|table| {
                let count = format!("SELECT COUNT(*) FROM `{table}`");
                let count = self.server.query_in(&fresh.name, &count);
                count.trim().parse::<u64>().ok()
            })
            .sum();
        Ok(Compared {
            count: tables.len(),
            amount: rows,
        })
    }
}

/// The checksum of each table.
type Tables = BTreeMap<String, String>;

fn same_tables(original: &Tables, restored: &Tables) -> Result<()> {
    ensure!(
        original == restored,
        "the restored tables differ from the original ones:\n{original:?}\n{restored:?}"
    );
    Ok(())
}
