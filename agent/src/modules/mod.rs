//! Modules: the code that knows one type of source. Adding one touches its own file and the list
//! here.
//!
//! Deliberately not here: streams, stores and stages, which are the same for every module.

pub mod mysql;
mod plan;
pub mod tool;
pub mod wordpress;

use std::path::Path;

use backupd_base::{Code, Error, Result};
use serde_json::{Map, Value};

pub use plan::{Database, Environment, EnvironmentDatabase, EnvironmentRoot, Plan, Tree};

/// What the agent needs of a type of source.
pub trait Module: Send + Sync {
    /// The name that stands in a source.
    fn name(&self) -> &'static str;

    /// Checks the settings of a source without looking far.
    ///
    /// # Errors
    /// `Invalid`, naming what is wrong; `NotFound` when the source is not there.
    fn check(&self, settings: &Map<String, Value>) -> Result<()>;

    /// Looks at the source and says what a backup of it holds. `scratch` is private to the job.
    ///
    /// # Errors
    /// `Invalid` for wrong settings, `NotFound` when the source is gone; else why it cannot be
    /// backed up.
    fn plan(&self, settings: &Map<String, Value>, scratch: &Path) -> Result<Plan>;
}

/// Every module there is.
static MODULES: &[&dyn Module] = &[&wordpress::WordPress];

/// The module of that name.
///
/// # Errors
/// `Invalid`, naming those there are.
pub fn find(name: &str) -> Result<&'static dyn Module> {
    MODULES
        .iter()
        .find(|module| module.name() == name)
        .copied()
        .ok_or_else(|| {
            let known: Vec<_> = MODULES.iter().map(|m| m.name()).collect();
            let why = format!("there is no module {name:?}; there is {}", known.join(", "));
            Error::new(Code::Invalid, why)
        })
}
