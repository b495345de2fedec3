//! WordPress: the database, `wp-content` and `wp-config.php` of one site, or its whole folder.
//! The site's PHP is read, never run.

pub mod config;
mod excludes;
pub mod php;
pub mod site;
mod tables;

use std::path::{Path, PathBuf};

use backupd_base::{Code, Context as _, Error, Result};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Database, Environment, EnvironmentRoot, Module, Plan, Tree, mysql::schema::Schema,
    plan::literal,
};
use config::Config;
pub use excludes::EXCLUDES;

/// The module `wordpress`.
pub struct WordPress;

/// What a source of this module is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The web root: where `wp-load.php` lies. Absolute.
    pub path: PathBuf,
    /// Everything below the web root, not only the content folder and the config.
    #[serde(default)]
    pub whole_root: bool,
    /// Patterns of paths below the web root to leave out, in place of [`EXCLUDES`].
    #[serde(default)]
    pub exclude: Option<Vec<String>>,
}

impl Settings {
    /// Reads and checks the settings of a source.
    ///
    /// # Errors
    /// `Invalid`, naming what is wrong; `NotFound` when the web root is not there.
    pub fn parse(settings: &Map<String, Value>) -> Result<Self> {
        let mut settings: Self = serde_json::from_value(Value::Object(settings.clone()))
            .context("read the settings of a wordpress source")
            .map_err(|e| e.with_code(Code::Invalid))?;
        let path = settings.path.display();
        if !settings.path.is_absolute() {
            let why = format!("the path of a site must be absolute, and {path} is not");
            return Err(Error::new(Code::Invalid, why));
        }
        settings.path = settings
            .path
            .canonicalize()
            .with_context(|| format!("open the site at {path}"))?;
        Ok(settings)
    }
}

impl Module for WordPress {
    fn name(&self) -> &'static str {
        "wordpress"
    }

    fn check(&self, settings: &Map<String, Value>) -> Result<()> {
        Settings::parse(settings).map(drop)
    }

    fn plan(&self, settings: &Map<String, Value>, scratch: &Path) -> Result<Plan> {
        let settings = Settings::parse(settings)?;
        let root = &settings.path;
        let config = config::read(root).map_err(|problems| {
            let why = problems.sentences.join(" ");
            Error::new(Code::Invalid, format!("{}: {why}", root.display()))
        })?;
        if !config.content_dir.is_dir() {
            let why = format!(
                "content folder {} is not there",
                config.content_dir.display()
            );
            return Err(Error::new(Code::NotFound, why));
        }
        // A database that does not answer fails the job in the stage that needs it.
        let identity = config.identity(scratch).unwrap_or_default();
        let trees = trees(&settings, &config);
        let roots = trees.iter().map(|tree| EnvironmentRoot {
            prefix: tree.prefix.clone(),
            path: tree.root.display().to_string(),
            only: tree.only.iter().map(|p| p.display().to_string()).collect(),
            excluded: tree.exclude.clone(),
        });
        Ok(Plan {
            environment: Environment {
                format: 1,
                module: self.name().to_owned(),
                created_at: Utc::now(),
                program: concat!("backupd ", env!("CARGO_PKG_VERSION")).to_owned(),
                title: identity.title,
                site_url: identity.url,
                wordpress_version: site::version(root),
                multisite: config.multisite,
                roots: roots.collect(),
                database: None,
            },
            trees,
            database: Some(Database {
                access: config.access(),
                ignores: |schema: &Schema, prefix| {
                    tables::of_others(schema.tables.iter().map(|t| t.name.as_str()), prefix)
                },
                prefix: config.prefix,
            }),
        })
    }
}

/// The folders of a site. What lies below the web root goes to `files`; a config above it to
/// `config`, a content folder elsewhere to `content`.
fn trees(settings: &Settings, config: &Config) -> Vec<Tree> {
    let root = &settings.path;
    let content = config.content_dir.strip_prefix(root).ok();
    let own_config = config.path.strip_prefix(root).ok();
    let excludes = |folder: &Path| -> Vec<String> {
        let above: String = folder
            .components()
            .map(|part| format!("/{}", literal(&part.as_os_str().to_string_lossy())))
            .collect();
        match &settings.exclude {
            Some(own) => own.clone(),
            None => EXCLUDES.iter().map(|p| format!("{above}/{p}")).collect(),
        }
    };
    let mut excluded = content.map(excludes).unwrap_or_default();
    // Former states that restores in place keep.
    excluded.push("/.backupd-*".to_owned());
    let mut only = Vec::new();
    if !settings.whole_root {
        only.extend(content.map(Path::to_owned));
        only.extend(own_config.map(Path::to_owned));
    }
    let mut trees = Vec::new();
    // Nothing of a default backup lies below the root when both were moved.
    if settings.whole_root || !only.is_empty() {
        trees.push(Tree {
            prefix: "files".to_owned(),
            root: root.clone(),
            only,
            exclude: excluded,
        });
    }
    if let (None, Some(folder), Some(name)) =
        (own_config, config.path.parent(), config.path.file_name())
    {
        trees.push(Tree {
            prefix: "config".to_owned(),
            root: folder.to_owned(),
            only: vec![name.into()],
            exclude: Vec::new(),
        });
    }
    if content.is_none() {
        trees.push(Tree {
            prefix: "content".to_owned(),
            root: config.content_dir.clone(),
            only: Vec::new(),
            exclude: excludes(Path::new("")),
        });
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_taken_however_deep_it_lies() {
        let tree = Tree {
            prefix: "files".into(),
            root: "/srv".into(),
            only: vec!["a/wp content".into(), "wp-config.php".into()],
            exclude: vec!["/a/wp\\ content/cache".into()],
        };
        let want = [
            "/*",
            "!/a",
            "/a/*",
            "!/a/wp\\ content",
            "!/wp-config.php",
            "/a/wp\\ content/cache",
        ];
        assert_eq!(tree.patterns(), want);
    }
}
