//! The commands, one file per noun: each a method of [`crate::Master`] named `noun_verb`, the same
//! name in the shell and in the interface.

mod enrol;
mod jobs;
mod nodes;
mod overview;
mod provider_input;
mod providers;
mod restores;
mod retention;
mod schedules;
mod setup;
mod snapshots;
mod sources;
mod tasks;
mod verdict;

pub(crate) use enrol::Attempts;
pub(crate) use provider_input::{checked_credentials, checked_kind};
pub(crate) use providers::bucket;
pub(crate) use schedules::schedule_of;
pub(crate) use sources::as_told;

use backupd_base::{Code, Error, Result};

/// A name a person gives: trimmed, one line, not longer than a label can show.
pub(crate) fn checked_name(what: &str, name: &str) -> Result<String> {
    let name = name.trim();
    let fits = (1..=80).contains(&name.chars().count());
    if fits && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(Error::new(
        Code::Invalid,
        format!("the name of a {what} is one line of 1 to 80 characters"),
    ))
}

/// What a node said and the registry kept.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(what: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| {
        Error::new(
            Code::Corrupt,
            format!("the registry holds no valid {what}: {e}"),
        )
    })
}
