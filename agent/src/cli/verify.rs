//! `backupd verify`.

use backupd_base::{Code, Context, Error, Result};
use backupd_protocol::{VerifyCreate, VerifyLine};
use clap::Args;
use http_body_util::BodyExt as _;

use super::{Client, Output, snapshots, term, unlock::Unlock};

/// Read a snapshot back from its store, whole, and check every hash. Writes nothing.
///
/// The manifest must be the very one that was signed when the snapshot was made; every chunk, every
/// frame, and every file in it are checked against it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backupd verify shop -i key.txt                   the newest snapshot of a source
  backupd verify 0198c2d1-… -i key.txt             one snapshot; see: backupd snapshots
  backupd verify shop -i key.txt --provider b2     as it lies in one store")]
pub(super) struct Verify {
    /// Id of a snapshot, or name, path or id of a source for its newest.
    snapshot: String,
    #[command(flatten)]
    unlock: Unlock,
}

impl Verify {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<()> {
        let snapshot = snapshots::find(client, &self.snapshot).await?;
        let (provider_id, keys) = self.unlock.keys(client, &snapshot).await?;
        let create = VerifyCreate { provider_id, keys };
        let path = format!("/snapshots/{}/verify", snapshot.id);
        let mut body = client.stream(&path, create.to_secret_json()).await?;
        let mut line = term::Line::new(!output.json);
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.context("read how far the verification is")?;
            rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let told: Vec<u8> = rest.drain(..=end).collect();
                let told: VerifyLine =
                    serde_json::from_slice(&told).context("read how far the verification is")?;
                match &told {
                    VerifyLine::Progress { bytes, .. } => line.show(&format!(
                        "verifying  {} of {}",
                        term::size(*bytes),
                        term::size(snapshot.content_bytes)
                    )),
                    VerifyLine::Failed { error } => return Err(error.clone().into()),
                    VerifyLine::Verified { entries, bytes } => {
                        line.clear();
                        output.print(&told, |_| {
                            format!(
                                "snapshot {} is whole: {entries} entries, {}, every hash as written",
                                snapshot.id,
                                term::size(*bytes)
                            )
                        });
                        return Ok(());
                    }
                }
            }
        }
        Err(Error::new(
            Code::Unavailable,
            "the verification broke off: the daemon stopped",
        ))
    }
}
