//! `backupd doctor`: finds what would make a backup or a restore fail on this server, and says how
//! to mend each. It looks from inside the agent: what it may read is what a backup may.
//!
//! Deliberately not here: writing to a store (`POST /providers/test` does), reading a site's files
//! one by one (a backup names those it cannot read), and mending.

pub mod data;
mod node;
mod sources;
mod stores;
mod tools;

use std::sync::Arc;

use backupd_base::{Context as _, Result};
use backupd_protocol::FindingLevel;
use serde::{Deserialize, Serialize};

use crate::agent::Agent;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What: `configuration`, `data`, `daemon`, `enrolment`, `tools`, `source`, `provider`, `clock`.
    pub check: String,
    /// Which source or provider, by name.
    pub name: Option<String>,
    /// How it is to be taken.
    pub level: FindingLevel,
    /// What was found, in a sentence.
    pub message: String,
    /// How to mend it; `None` when it is good.
    pub mend: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn good(check: &str, message: impl Into<String>) -> Self {
        Self::new(check, FindingLevel::Good, message, None)
    }

    /// Works, but something is to be known.
    pub fn warning(check: &str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(check, FindingLevel::Warning, message, Some(mend.into()))
    }

    /// Backups or restores would fail.
    pub fn bad(check: &str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(check, FindingLevel::Bad, message, Some(mend.into()))
    }

    fn new(
        check: &str,
        level: FindingLevel,
        message: impl Into<String>,
        mend: Option<String>,
    ) -> Self {
        Self {
            check: check.to_owned(),
            name: None,
            level,
            message: message.into(),
            mend,
        }
    }

    /// Of this source or provider.
    #[must_use]
    pub fn of(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }
}

/// Looks at everything the agent works with.
///
/// # Errors
/// When the agent's own store cannot be read.
pub async fn examine(agent: &Arc<Agent>) -> Result<Vec<Finding>> {
    let sources = agent.inventory.sources()?;
    let is_scheduled = sources.iter().any(|source| source.schedule.is_some());
    let mut findings = data::examine(agent.store.dir());
    findings.extend(node::examine(agent, &sources, is_scheduled).await);
    let a = agent.clone();
    let local = tokio::task::spawn_blocking(move || -> Result<Vec<Finding>> {
        let (mut findings, has_client) = tools::examine(!sources.is_empty());
        for source in &sources {
            findings.extend(sources::examine(&a.store, source, has_client)?);
        }
        Ok(findings)
    });
    findings.extend(local.await.context("look at the sources")??);
    findings.extend(stores::examine(agent).await?);
    Ok(findings)
}

/// Who the agent runs as, for people.
fn user() -> String {
    match rustix::process::geteuid() {
        id if id.is_root() => "root".into(),
        id => format!("the user with id {}", id.as_raw()),
    }
}
