//! `backupd pair`.

use backupd_base::Result;
use clap::Args;

use super::{Client, Output};
use crate::control::{WindowAnswer, WindowRequest};

/// Show a new code to enrol this server with.
///
/// The code lives 10 minutes and allows 5 attempts. It is never sent: the master proves that it
/// knows it. A code that is shown already is void from then on.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backupd pair              on a server that is not enrolled
  backupd pair --replace    on one that is; the other master is out once this one is in")]
pub(super) struct Pair {
    /// The server is enrolled, and another master is to take its place.
    #[arg(long)]
    replace: bool,
}

impl Pair {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<()> {
        let request = WindowRequest {
            replace: self.replace,
        };
        let body = serde_json::to_string(&request).expect("a flag serializes");
        let window: WindowAnswer = client.post("/pairing/window", body.into()).await?;
        output.print(&window, invitation);
        Ok(())
    }
}

/// The code and what goes with it.
pub(super) fn invitation(window: &WindowAnswer) -> String {
    let minutes = (window.expires_at - chrono::Utc::now())
        .num_seconds()
        .max(0) as u64;
    format!(
        "
  Enrol this server: in Backupd choose \"Add node\" and type

    code      {}
    address   {}

  The code lives until {} UTC ({} minutes) and allows {} attempts.
  This server's key is {}.",
        window.code,
        window.addresses.join("\n              "),
        window.expires_at.format("%H:%M:%S"),
        minutes.div_ceil(60),
        window.attempts,
        window.fingerprint,
    )
}
