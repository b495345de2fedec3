//! The sides of the comparison. Each says which programs somebody who uses it would start.

mod agent;
mod pipes;
mod restic;

use std::path::PathBuf;

use anyhow::Result;

pub use self::{agent::Agent, pipes::Pipes, restic::Restic};
use crate::{arena::Arena, chain::Chain};

/// A way to back a site up and to get it back.
pub trait Contender {
    /// As it stands in tables.
    fn name(&self) -> &'static str;

    /// What is done once per site, and not measured.
    ///
    /// # Errors
    /// When it fails.
    fn prepare(&self, arena: &Arena) -> Result<()>;

    /// Backs `wp-content` and the database up to the store: programs to run one after the other.
    ///
    /// # Errors
    /// When a file that they need cannot be made.
    fn backup(&self, arena: &Arena) -> Result<Vec<Chain>>;

    /// Brings both back into the folder for restores.
    ///
    /// # Errors
    /// When a file that they need cannot be made.
    fn restore(&self, arena: &Arena) -> Result<Vec<Chain>>;

    /// Where that put `wp-content` and the dump.
    fn restored(&self, arena: &Arena) -> (PathBuf, PathBuf);
}
