//! A real WordPress on a real database, installed and filled by its own code.

mod package;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{Child, Database, MariaDb, folder::temporary, free_port, http, poll_until, spawn};

pub use package::package;

/// A site in a temporary folder.
#[derive(Debug)]
pub struct WordPress {
    root: PathBuf,
    database: Database,
    port: u16,
    // Removed with the site.
    _folder: TempDir,
}

/// A web server for a site. Stopped when dropped.
#[derive(Debug)]
pub struct Serving {
    port: u16,
    _child: Child,
}

impl WordPress {
    /// The title that the front page shows.
    pub const TITLE: &str = "Backupd test site";

    /// A new site with a database of its own. It takes about three seconds.
    ///
    /// # Panics
    /// When PHP is missing or WordPress refuses.
    #[must_use]
    pub fn install(server: &MariaDb) -> Self {
        let folder = temporary("site");
        let root = folder.path().join("html");
        package::copy_to(&root);
        let site = Self {
            root,
            database: server.create_database("wp"),
            port: free_port(),
            _folder: folder,
        };
        fs::create_dir_all(site.root.join("wp-content/uploads")).expect("make the uploads folder");
        fs::write(site.root.join("wp-config.php"), config(&site.database))
            .expect("write wp-config.php");
        let secret = hex::encode(rand::random::<[u8; 12]>());
        site.run_php(
            include_str!("wordpress/install.php"),
            &[&site.url(), Self::TITLE, &secret],
        );
        site
    }

    /// The folder that holds `wp-config.php`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The address that the site believes to have; [`serve`](Self::serve) makes it true.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Adds `posts` posts with meta data, `jpegs` pictures in three sizes and `blob_mb` MiB of
    /// documents that do not compress. The same seed gives the same content.
    ///
    /// # Panics
    /// When WordPress refuses.
    pub fn fill(&self, posts: u32, jpegs: u32, blob_mb: u32, seed: u32) {
        let numbers = [posts, jpegs, blob_mb, seed].map(|n| n.to_string());
        let arguments: Vec<&str> = std::iter::once(self.root_text())
            .chain(numbers.iter().map(String::as_str))
            .collect();
        self.run_php_with(include_str!("wordpress/fill.php"), &arguments);
    }

    /// Serves the site with PHP's own server.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn serve(&self) -> Serving {
        serve(&self.root, self.port)
    }

    fn root_text(&self) -> &str {
        self.root
            .to_str()
            .expect("temporary folders have plain names")
    }

    fn run_php(&self, script: &str, rest: &[&str]) {
        let arguments: Vec<&str> = std::iter::once(self.root_text())
            .chain(rest.iter().copied())
            .collect();
        self.run_php_with(script, &arguments);
    }

    /// The script and its arguments go in on standard input: the arguments hold a password.
    fn run_php_with(&self, script: &str, arguments: &[&str]) {
        let list: Vec<String> = arguments.iter().map(|a| php_string(a)).collect();
        let body = script.strip_prefix("<?php").expect("a script of ours");
        let program = format!("<?php\n$arguments = [{}];\n{body}", list.join(", "));
        let mut php = php();
        php.current_dir(&self.root);
        php.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut php = php.spawn().expect("start php");
        let mut input = php.stdin.take().expect("stdin is piped");
        input
            .write_all(program.as_bytes())
            .expect("php reads its script");
        drop(input);
        let output = php.wait_with_output().expect("read what php says");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.ends_with("done\n"),
            "php failed: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Serving {
    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A page, which must come with status 200.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        let answer = http::get(self.port, path).expect("the web server answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }
}

/// Serves any folder of a site, a restored one too, on `port`.
///
/// # Panics
/// When it does not answer.
#[must_use]
pub fn serve(root: &Path, port: u16) -> Serving {
    let mut command = php();
    command
        .args(["-S", &format!("127.0.0.1:{port}"), "-t"])
        .arg(root);
    command.current_dir(root);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = spawn(command);
    poll_until(Duration::from_secs(30), "answer of the web server", || {
        assert!(child.ended().is_none(), "php -S ended at once");
        http::get(port, "/readme.html").ok()
    });
    Serving {
        port,
        _child: child,
    }
}

fn php() -> Command {
    let mut php = Command::new("php");
    php.args(["-d", "memory_limit=512M", "-d", "display_errors=stderr"]);
    // Deprecations of an older WordPress on a newer PHP are not what is tested.
    php.args(["-d", "error_reporting=8181"]);
    php.env_clear().env("PATH", "/usr/bin:/bin");
    php
}

fn php_string(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn config(database: &Database) -> String {
    let host = format!("localhost:{}", database.socket.display());
    let mut text = String::from("<?php\n");
    let constants = [
        ("DB_NAME", database.name.as_str()),
        ("DB_USER", &database.user),
        ("DB_PASSWORD", &database.password),
        ("DB_HOST", &host),
        ("DB_CHARSET", "utf8mb4"),
        ("DB_COLLATE", ""),
    ];
    for (name, value) in constants {
        text += &format!("define( '{name}', {} );\n", php_string(value));
    }
    for salt in ["AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE"] {
        for kind in ["KEY", "SALT"] {
            let value = hex::encode(rand::random::<[u8; 32]>());
            text += &format!("define( '{salt}_{kind}', '{value}' );\n");
        }
    }
    text += "$table_prefix = 'wp_';\n";
    // A test has no network; without these WordPress waits for it.
    text += "define( 'WP_HTTP_BLOCK_EXTERNAL', true );\n";
    text += "define( 'DISABLE_WP_CRON', true );\n";
    text += "define( 'WP_DEBUG', false );\n";
    text += "if ( ! defined( 'ABSPATH' ) ) {\n\tdefine( 'ABSPATH', __DIR__ . '/' );\n}\n";
    text += "require_once ABSPATH . 'wp-settings.php';\n";
    text
}
