//! Sources as people name them.

use backupd_base::{Code, Error, Result};
use backupd_protocol::Source;

use super::Client;

/// The source that `named` names: by its name, its path, or its id.
///
/// # Errors
/// `NotFound`, naming those there are; `Conflict` when it names several.
pub(super) async fn find(client: &Client, named: &str) -> Result<Source> {
    let sources: Vec<Source> = client.get("/sources").await?;
    let fits = |source: &&Source| {
        source.id.as_str() == named || source.name == named || path(source) == Some(named)
    };
    let mut found = sources.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(source), None) => Ok(source.clone()),
        (Some(_), Some(_)) => Err(Error::new(
            Code::Conflict,
            format!("there are several sources called {named:?}; name one by its id"),
        )),
        (None, _) => {
            let names: Vec<_> = sources.iter().map(|s| format!("{:?}", s.name)).collect();
            let known = match names.as_slice() {
                [] => "this server has no source yet: add one at the master, or a [[source]] to the configuration".into(),
                _ => format!("there are {}", names.join(", ")),
            };
            Err(Error::new(
                Code::NotFound,
                format!("no source is called {named:?}; {known}"),
            ))
        }
    }
}

/// Where a source is, for modules that have a path.
pub(super) fn path(source: &Source) -> Option<&str> {
    source.settings.get("path")?.as_str()
}
