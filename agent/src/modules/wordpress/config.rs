//! What a site's `wp-config.php` says: where it is, the database, where the content lies.
//! Follows WordPress' own rules (`wp-load.php`, `wpdb::parse_db_host`). Never runs the site's PHP.
//!
//! Deliberately not here: reaching the database.

use std::path::{Path, PathBuf};

use backupd_base::{Code, Error, Result, SecretString};

use super::php::{Definitions, Value};
use crate::modules::mysql::Address;

/// What WordPress would work with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// `DB_NAME`.
    pub db_name: String,
    /// `DB_USER`.
    pub db_user: String,
    /// `DB_PASSWORD`.
    pub db_password: SecretString,
    /// `DB_HOST` as written.
    pub db_host: String,
    /// `DB_HOST` taken apart.
    pub address: Address,
    /// `$table_prefix`.
    pub prefix: String,
    /// `WP_CONTENT_DIR`, else `wp-content` below the root.
    pub content_dir: PathBuf,
    /// Whether the constants of a network of sites are set.
    pub multisite: bool,
}

/// A config that cannot be taken whole: what is in the way, and what is known all the same.
#[derive(Debug)]
pub struct Problems {
    /// In sentences.
    pub sentences: Vec<String>,
    /// The content folder, where it is known.
    pub content_dir: PathBuf,
}

/// Where `wp-load.php` would find the config of the site at `root`: in it, or one level above it
/// unless another WordPress is there.
#[must_use]
pub fn locate(root: &Path) -> Option<PathBuf> {
    let own = root.join("wp-config.php");
    if own.is_file() {
        return Some(own);
    }
    let parent = root.parent()?;
    let above = parent.join("wp-config.php");
    (above.is_file() && !parent.join("wp-settings.php").exists()).then_some(above)
}

/// Reads the config of the site at `root`.
///
/// # Errors
/// What keeps a value from being known, in sentences.
pub fn read(root: &Path) -> std::result::Result<Config, Problems> {
    let problems = |sentences, content_dir| Problems {
        sentences,
        content_dir,
    };
    let default_content = root.join("wp-content");
    let Some(path) = locate(root) else {
        let why = format!(
            "There is no wp-config.php in {} or above it.",
            root.display()
        );
        return Err(problems(vec![why], default_content));
    };
    let abspath = format!("{}/", root.display());
    let found = match Definitions::read(&path, &[("ABSPATH", abspath)]) {
        Ok(found) => found,
        Err(e) => {
            let why = format!("wp-config.php cannot be read: {e}.");
            return Err(problems(vec![why], default_content));
        }
    };
    let mut reader = Reader {
        found: &found,
        path: &path,
        sentences: Vec::new(),
    };
    let content_dir = match found.constant("WP_CONTENT_DIR") {
        Some(_) => root.join(reader.constant("WP_CONTENT_DIR")),
        None => default_content,
    };
    let db_host = reader.constant("DB_HOST");
    let config = Config {
        db_name: reader.constant("DB_NAME"),
        db_user: reader.constant("DB_USER"),
        db_password: reader.constant("DB_PASSWORD").into(),
        address: reader.address(&db_host),
        db_host,
        prefix: reader.prefix(),
        multisite: found
            .constant("MULTISITE")
            .and_then(Value::text)
            .is_some_and(|text| !text.is_empty()),
        content_dir,
        path: path.clone(),
    };
    if reader.sentences.is_empty() {
        Ok(config)
    } else {
        Err(problems(reader.sentences, config.content_dir))
    }
}

/// Collects what is missing while values are taken.
struct Reader<'a> {
    found: &'a Definitions,
    path: &'a Path,
    sentences: Vec<String>,
}

impl Reader<'_> {
    fn constant(&mut self, name: &str) -> String {
        self.take(name, self.found.constant(name))
    }

    fn take(&mut self, name: &str, value: Option<&Value>) -> String {
        let path = self.path.display();
        let why = match value {
            Some(value) => match value.text() {
                Some(text) => return text,
                None => format!(
                    "{name} in {path} is decided at run time by {}, and a site's PHP is never run.",
                    value.why_unknown().unwrap_or_default()
                ),
            },
            None => match self.found.syntax_error() {
                Some((file, line)) => format!(
                    "{name} was not found: {} cannot be understood from line {line} on.",
                    file.display()
                ),
                None => format!("{path} does not define {name}."),
            },
        };
        self.sentences.push(why);
        String::new()
    }

    fn prefix(&mut self) -> String {
        let prefix = self.take("$table_prefix", self.found.variable("table_prefix"));
        let safe = prefix
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !safe {
            let why = "The table prefix may hold letters, digits and _ only.";
            self.sentences.push(why.to_owned());
        }
        prefix
    }

    fn address(&mut self, host: &str) -> Address {
        parse_host(host).unwrap_or_else(|e| {
            self.sentences.push(format!("DB_HOST: {e}."));
            Address::default()
        })
    }
}

/// Takes `DB_HOST` apart as `wpdb::parse_db_host` does: host, port, `:/path/of/socket`, IPv6 with
/// or without brackets.
///
/// # Errors
/// `Invalid` for a port that is none.
pub fn parse_host(text: &str) -> Result<Address> {
    let (host, socket) = match text.find(":/") {
        Some(at) => (&text[..at], Some(PathBuf::from(&text[at + 1..]))),
        None => (text, None),
    };
    let (host, port) = if let Some(bracketed) = host.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').unwrap_or((bracketed, ""));
        (host, rest.strip_prefix(':'))
    } else if host.matches(':').count() > 1 {
        (host, None)
    } else {
        match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        }
    };
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(
            port.parse()
                .map_err(|_| Error::new(Code::Invalid, format!("{port:?} is not a port")))?,
        ),
    };
    let host = if host.is_empty() { "localhost" } else { host };
    Ok(Address {
        host: host.to_owned(),
        port,
        socket,
    })
}

#[cfg(test)]
mod tests {
    use backupd_base::ExposeSecret as _;

    use super::*;

    const PLAIN: &str = "<?php
        define('DB_NAME', 'shop'); define('DB_USER', 'u'); define('DB_PASSWORD', 'canary\"\\'s');
        define('DB_HOST', 'localhost'); $table_prefix = 'wp_';
        if (!defined('ABSPATH')) { define('ABSPATH', __DIR__ . '/'); }
        require_once ABSPATH . 'wp-settings.php';";

    fn site(config: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("site");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("wp-config.php"), config).unwrap();
        (folder, root)
    }

    #[test]
    fn the_usual_config() {
        let (_folder, root) = site(PLAIN);
        let config = read(&root).unwrap();
        assert_eq!(config.db_name, "shop");
        assert_eq!(config.db_password.expose_secret(), "canary\"'s");
        assert_eq!(config.prefix, "wp_");
        assert_eq!(config.content_dir, root.join("wp-content"));
        assert!(!config.multisite);
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn hosts_are_taken_apart_as_wordpress_does() {
        for (text, host, port, socket) in [
            ("localhost", "localhost", None, None),
            ("", "localhost", None, None),
            ("db.example:3307", "db.example", Some(3307), None),
            (
                "localhost:/run/my.sock",
                "localhost",
                None,
                Some("/run/my.sock"),
            ),
            (":/run/my.sock", "localhost", None, Some("/run/my.sock")),
            ("::1", "::1", None, None),
            ("[2001:db8::5]:3308", "2001:db8::5", Some(3308), None),
            ("[::1]", "::1", None, None),
            (
                "db:3306:/run/my.sock",
                "db",
                Some(3306),
                Some("/run/my.sock"),
            ),
        ] {
            let address = parse_host(text).unwrap();
            assert_eq!(address.host, host, "{text}");
            assert_eq!(address.port, port, "{text}");
            assert_eq!(address.socket, socket.map(PathBuf::from), "{text}");
        }
        assert!(parse_host("db:port").is_err());
    }

    #[test]
    fn a_config_above_the_root_counts_unless_it_is_another_sites() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("public");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(folder.path().join("wp-config.php"), PLAIN).unwrap();
        assert_eq!(locate(&root).unwrap(), folder.path().join("wp-config.php"));
        std::fs::write(folder.path().join("wp-settings.php"), "<?php").unwrap();
        assert_eq!(locate(&root), None);
    }

    #[test]
    fn a_moved_content_folder_is_followed() {
        let (_folder, root) = site(&format!(
            "{PLAIN} define('WP_CONTENT_DIR', ABSPATH . 'app');"
        ));
        assert_eq!(read(&root).unwrap().content_dir, root.join("app"));
    }

    #[test]
    fn what_cannot_be_known_is_said_in_a_sentence_without_the_value() {
        let (_folder, root) =
            site("<?php define('DB_NAME', getenv('WP_DB')); $table_prefix='a`b';");
        let sentences = read(&root).unwrap_err().sentences;
        let all = sentences.join("\n");
        assert!(all.contains("DB_NAME in"), "{all}");
        assert!(all.contains("environment variable WP_DB"), "{all}");
        assert!(all.contains("does not define DB_USER"), "{all}");
        assert!(all.contains("table prefix"), "{all}");
    }
}
