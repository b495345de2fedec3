//! `backupd snapshots`.

use std::collections::HashMap;

use backupd_base::{Code, Error, ProviderId, Result, SourceId};
use backupd_protocol::{Provider, Snapshot, Source};
use clap::Args;

use super::{Client, Output, source, term};

/// List what was backed up on this server, newest first.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backupd snapshots             of every source
  backupd snapshots shop        of one, by its name, path or id
  backupd snapshots --json | jq -r '.[0].id'")]
pub(super) struct Snapshots {
    /// Name, path or id of a source.
    #[arg(value_name = "SOURCE")]
    source: Option<String>,
}

impl Snapshots {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<()> {
        let list = list(client, self.source.as_deref()).await?;
        let sources: Vec<Source> = client.get("/sources").await?;
        let providers: Vec<Provider> = client.get("/providers").await?;
        output.print(&list, |list| human(list, &sources, &providers));
        Ok(())
    }
}

/// Snapshots, newest first; of one source, if one is named.
///
/// # Errors
/// As [`source::find`].
pub(super) async fn list(client: &Client, named: Option<&str>) -> Result<Vec<Snapshot>> {
    match named {
        None => client.get("/snapshots").await,
        Some(named) => {
            let source = source::find(client, named).await?;
            client
                .get(&format!("/snapshots?source={}", source.id))
                .await
        }
    }
}

/// The snapshot that `named` names: by its id, or the newest of the source of that name.
///
/// # Errors
/// `NotFound`.
pub(super) async fn find(client: &Client, named: &str) -> Result<Snapshot> {
    let all = list(client, None).await?;
    if let Some(found) = all.into_iter().find(|s| s.id.as_str() == named) {
        return Ok(found);
    }
    let of_source = match source::find(client, named).await {
        Ok(source) => list(client, Some(source.id.as_str())).await?,
        Err(error) if error.code() == Code::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    of_source.into_iter().next().ok_or_else(|| {
        Error::new(
            Code::NotFound,
            format!("{named:?} is no snapshot, and no source that has one; see: backupd snapshots"),
        )
    })
}

fn human(list: &[Snapshot], sources: &[Source], providers: &[Provider]) -> String {
    if list.is_empty() {
        return "Nothing was backed up yet.".into();
    }
    let sources: HashMap<&SourceId, &str> =
        sources.iter().map(|s| (&s.id, s.name.as_str())).collect();
    let providers: HashMap<&ProviderId, &str> =
        providers.iter().map(|p| (&p.id, p.name.as_str())).collect();
    let row = |snapshot: &Snapshot| {
        let stores: Vec<&str> = snapshot
            .providers
            .iter()
            .map(|id| providers.get(id).copied().unwrap_or(id.as_str()))
            .collect();
        vec![
            snapshot.id.to_string(),
            sources
                .get(&snapshot.source_id)
                .map_or_else(|| snapshot.source_id.to_string(), |name| (*name).to_owned()),
            term::time(snapshot.created_at),
            term::size(snapshot.content_bytes),
            term::size(snapshot.stored_bytes),
            stores.join(", "),
            match (snapshot.consistent, snapshot.warnings.len()) {
                (false, _) => "not consistent".into(),
                (true, 0) => "good".into(),
                (true, n) => format!("{n} warnings"),
            },
        ]
    };
    let rows: Vec<_> = list.iter().map(row).collect();
    term::table(
        &[
            "SNAPSHOT", "SOURCE", "MADE", "CONTENT", "STORED", "IN", "STATE",
        ],
        &rows,
    )
}
