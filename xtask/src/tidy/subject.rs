//! What the rules look at: the text of every file, and what cargo knows of the packages.

use std::{fmt, fs};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::licences::LIST;
use crate::{checkout::Checkout, command};

/// The checkout, read once.
#[derive(Default)]
pub struct Subject {
    /// Every file that is or would be committed.
    pub files: Vec<File>,
    /// Every package of the workspace and below it, for the platforms that the product is for.
    pub packages: Vec<Package>,
    /// Folders that belong to whoever runs this: their home, this checkout.
    pub own_folders: Vec<String>,
}

/// One file, relative to the root.
pub struct File {
    /// With slashes.
    pub path: String,
    /// Nothing for what is no text.
    pub text: Option<String>,
}

/// A package as `cargo metadata` tells it.
#[derive(Debug, Default, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// Nothing for a package of the workspace.
    pub source: Option<String>,
    pub license: Option<String>,
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
}

/// One edge as a package declares it.
#[derive(Debug, Default, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `dev`, `build`, or nothing for a normal one.
    pub kind: Option<String>,
}

/// Where a rule is broken, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub place: String,
    pub what: String,
}

impl Subject {
    /// Reads the checkout.
    ///
    /// # Errors
    /// When git or cargo fails, or a file cannot be read.
    pub fn read(checkout: &Checkout) -> Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            packages: Vec<Package>,
        }
        let mut cargo = checkout.cargo();
        cargo.args(["metadata", "--quiet", "--locked", "--format-version=1"]);
        for target in targets(checkout)? {
            cargo.args(["--filter-platform", &target]);
        }
        let metadata = command::output(&mut cargo)?;
        let metadata: Metadata =
            serde_json::from_str(&metadata).context("read what cargo knows of the packages")?;
        let mut files = Vec::new();
        for path in checkout.files()? {
            let full = checkout.root().join(&path);
            let bytes = if full.is_file() {
                fs::read(&full).with_context(|| format!("read {path}"))?
            } else {
                Vec::new() // a link, or a repository within this one
            };
            let text = String::from_utf8(bytes).ok();
            files.push(File { path, text });
        }
        let home = std::env::home_dir().unwrap_or_default();
        let own_folders = [home.as_path(), checkout.root()]
            .into_iter()
            .filter(|folder| folder.components().count() > 1)
            .map(|folder| format!("{}/", folder.display()))
            .collect();
        Ok(Self {
            files,
            packages: metadata.packages,
            own_folders,
        })
    }

    /// A subject of these files alone, for the rules' own tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self {
            files: files
                .iter()
                .map(|(path, text)| File {
                    path: (*path).to_owned(),
                    text: Some((*text).to_owned()),
                })
                .collect(),
            ..Self::default()
        }
    }

    /// Paths and texts of the files that are text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }

    /// The text of one file, if it is there and is text.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts()
            .find_map(|(other, text)| (other == path).then_some(text))
    }
}

/// The platforms that the product is for, as cargo-deny knows them.
fn targets(checkout: &Checkout) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Deny {
        graph: Graph,
    }
    #[derive(Deserialize)]
    struct Graph {
        targets: Vec<String>,
    }
    let text =
        fs::read_to_string(checkout.root().join(LIST)).with_context(|| format!("read {LIST}"))?;
    let deny: Deny = toml::from_str(&text).with_context(|| format!("read {LIST}"))?;
    Ok(deny.graph.targets)
}

impl Finding {
    /// `what` is wrong with `place`.
    pub fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }

    /// `what` is wrong in line `index` (from 0) of the file at `path`.
    pub fn at(path: &str, index: usize, what: impl Into<String>) -> Self {
        Self::new(format!("{path}:{}", index + 1), what)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}
