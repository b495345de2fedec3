//! The tables of the file: stores and sources of a server that is protected by hand.

use std::{collections::HashSet, path::PathBuf};

use backupd_base::{Code, Context as _, Error, Result};
use backupd_policy::retention::Retention;
use backupd_policy::schedule::{Plan, Schedule};
use serde::Deserialize;

use super::Config;

/// The store that is always there: a folder in the data folder.
pub const THIS_SERVER: &str = "This server";

/// `[[provider]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProviderEntry {
    /// What sources call it by.
    pub name: String,
    /// Where it keeps objects.
    #[serde(flatten)]
    pub place: ProviderPlace,
}

/// `type = "local"` or `type = "s3"`, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProviderPlace {
    /// A folder.
    Local {
        /// Absolute path.
        path: PathBuf,
    },
    /// A bucket.
    S3 {
        /// `https://…`, or `http://…` in a network of one's own.
        endpoint: String,
        /// Region to sign for.
        region: String,
        /// Bucket name.
        bucket: String,
        /// Everything lies below it.
        #[serde(default)]
        prefix: String,
        /// Bucket in the path instead of the host name.
        #[serde(default)]
        path_style: bool,
        /// A file only the agent may read, with `access_key_id` and `secret_access_key` (TOML).
        credentials_file: PathBuf,
    },
}

/// `[[source]]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceEntry {
    /// What people call it by.
    pub name: String,
    /// The module that knows it.
    #[serde(default = "wordpress")]
    pub module: String,
    /// Where it is.
    pub path: PathBuf,
    /// Further settings of the module.
    #[serde(default)]
    pub settings: toml::Table,
    /// Names of the stores its snapshots go to.
    #[serde(default = "this_server")]
    pub providers: Vec<String>,
    /// Which of its snapshots stay in folders of this server; without it all do.
    #[serde(default)]
    pub retention: Option<Retention>,
    /// When it is backed up by itself.
    #[serde(default)]
    pub schedule: Option<Schedule>,
}

fn wordpress() -> String {
    "wordpress".into()
}

fn this_server() -> Vec<String> {
    vec![THIS_SERVER.into()]
}

/// What the tables must keep to among each other.
pub(super) fn check(config: &Config) -> Result<()> {
    let mut names = HashSet::from([THIS_SERVER]);
    for provider in &config.providers {
        let name = provider.name.as_str();
        if name.trim().is_empty() || !names.insert(name) {
            return refused(format!(
                "provider has the name {name:?}; allowed is a name of its own, other than {THIS_SERVER:?}"
            ));
        }
        check_place(name, &provider.place)?;
    }
    for recipient in &config.recipients {
        if let Err(why) = recipient.parse::<age::x25519::Recipient>() {
            return refused(format!(
                "recipients has {recipient:?} ({why}); allowed are age recipients (age1…)"
            ));
        }
    }
    let distinct: HashSet<_> = config.recipients.iter().collect();
    if !config.sources.is_empty() && distinct.len() < 2 {
        return refused(format!(
            "recipients has {} key(s); allowed are two or more different ones, so that a lost key does not lose the backups",
            distinct.len()
        ));
    }
    let mut sources = HashSet::new();
    for source in &config.sources {
        let name = source.name.as_str();
        if name.trim().is_empty() || !sources.insert(name) {
            return refused(format!(
                "source has the name {name:?}; allowed is a name of its own"
            ));
        }
        if !source.path.is_absolute() {
            return refused(format!(
                "path of source {name:?} is {:?}; allowed is an absolute path",
                source.path
            ));
        }
        if let Some(rule) = &source.retention {
            rule.check()
                .with_context(|| format!("retention of source {name:?}"))?;
        }
        if let Some(schedule) = &source.schedule {
            Plan::new(schedule, name).with_context(|| format!("schedule of source {name:?}"))?;
        }
        if source.providers.is_empty() {
            return refused(format!(
                "providers of source {name:?} is empty; allowed is one or more names"
            ));
        }
        for provider in &source.providers {
            if !names.contains(provider.as_str()) {
                let mut known: Vec<_> = names.iter().map(|n| format!("{n:?}")).collect();
                known.sort();
                return refused(format!(
                    "providers of source {name:?} has {provider:?}; allowed are {}",
                    known.join(", ")
                ));
            }
        }
    }
    Ok(())
}

fn check_place(name: &str, place: &ProviderPlace) -> Result<()> {
    let (key, path) = match place {
        ProviderPlace::Local { path } => ("path", path),
        ProviderPlace::S3 {
            credentials_file,
            endpoint,
            ..
        } => {
            if !(endpoint.starts_with("https://") || endpoint.starts_with("http://")) {
                return refused(format!(
                    "endpoint of provider {name:?} is {endpoint:?}; allowed is https://… or http://…"
                ));
            }
            ("credentials_file", credentials_file)
        }
    };
    if path.is_absolute() {
        Ok(())
    } else {
        refused(format!(
            "{key} of provider {name:?} is {path:?}; allowed is an absolute path"
        ))
    }
}

fn refused(why: String) -> Result<()> {
    Err(Error::new(Code::Invalid, why))
}
