//! Where snapshots go: folders and buckets. Nothing is written.

use std::{io, path::Path, sync::Arc, time::Duration};

use backupd_base::{Code, Error, Result};
use backupd_protocol::{Provider, ProviderKind};
use futures_util::future::join_all;

use super::{Finding, data};
use crate::{agent::Agent, jobs::Host as _};

const CHECK: &str = "provider";
/// A store that takes longer to list nothing is no store to upload to.
const ANSWER: Duration = Duration::from_secs(20);
/// Nothing is kept below it: a listing of it costs nothing.
const EMPTY: &str = "backupd-doctor/";
/// More than this many seconds apart, and S3 servers refuse some day: they allow 900.
const CLOCK_TOLERATED: u64 = 60;

/// Looks at every provider, at all at once.
pub(super) async fn examine(agent: &Arc<Agent>) -> Result<Vec<Finding>> {
    let providers = agent.inventory.providers()?;
    let looked = providers.iter().map(|provider| async move {
        let found = match &provider.kind {
            ProviderKind::Local { path } => folder(agent, Path::new(path)),
            ProviderKind::S3 { .. } => bucket(agent, provider).await,
        };
        let of_it = found.into_iter().map(|f| f.of(&provider.name));
        of_it.collect::<Vec<_>>()
    });
    Ok(join_all(looked).await.into_iter().flatten().collect())
}

fn folder(agent: &Agent, path: &Path) -> Vec<Finding> {
    let shown = path.display();
    vec![match std::fs::metadata(path) {
        Ok(meta) if !meta.is_dir() => Finding::bad(
            CHECK,
            format!("{shown} is not a folder."),
            format!("Move away what is there, and make a folder: mkdir -m 700 -p {shown}"),
        ),
        Ok(_) => data::room(CHECK, path),
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.starts_with(agent.store.dir()) => {
            Finding::good(CHECK, "Its folder is made by the first backup.")
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Finding::warning(
            CHECK,
            format!(
                "Its folder {shown} is not there. The next backup would make it, on whatever disk that is."
            ),
            format!(
                "If it is on a disk of its own, mount that; else make it: mkdir -m 700 -p {shown}"
            ),
        ),
        Err(e) => Finding::bad(
            CHECK,
            format!("Its folder {shown} cannot be opened: {e}."),
            "Give the agent the right to it, or mount its disk anew.",
        ),
    }]
}

async fn bucket(agent: &Agent, provider: &Provider) -> Vec<Finding> {
    let storage = match agent.inventory.storage(&provider.id) {
        Ok(storage) => storage,
        Err(e) => {
            return vec![Finding::bad(
                CHECK,
                format!("It cannot be opened: {e}."),
                "Edit and save the provider in the app, which sends its credentials anew; for one of /etc/backupd/config mend its credentials_file.",
            )];
        }
    };
    let late = || Error::new(Code::Timeout, "no answer within 20 seconds");
    let listed = tokio::time::timeout(ANSWER, storage.list(EMPTY)).await;
    let answer = match listed.unwrap_or_else(|_| Err(late())) {
        Ok(_) => Finding::good(CHECK, "It answers, and takes the credentials."),
        Err(e) if e.code() == Code::Denied => Finding::warning(
            CHECK,
            format!(
                "It answers, and does not let this key list: {e}. Whether it may write can only be seen by writing."
            ),
            "If this key is meant to write only, all is well; else renew it at the store. \"Test connection\" in the app tries everything.",
        ),
        Err(e) => Finding::bad(
            CHECK,
            format!("It cannot be used: {e}."),
            match e.code() {
                Code::NotFound => {
                    "Make the bucket at the store, or give the provider the right bucket and endpoint."
                }
                Code::ClockSkew => "Set this server's clock: timedatectl set-ntp true",
                Code::Unavailable | Code::Timeout => {
                    "See that this server reaches the endpoint: DNS, firewall, proxy, and whether the store is up."
                }
                _ => "Check endpoint, region, bucket and path_style of the provider.",
            },
        ),
    };
    let mut findings = vec![answer];
    if let Some(ahead) = storage.clock_ahead() {
        findings.push(clock(ahead));
    }
    findings
}

fn clock(ahead: i64) -> Finding {
    if ahead.unsigned_abs() <= CLOCK_TOLERATED {
        return Finding::good("clock", "This server's clock agrees with the store's.");
    }
    let (seconds, side) = (
        ahead.unsigned_abs(),
        if ahead > 0 { "behind" } else { "ahead of" },
    );
    Finding::warning(
        "clock",
        format!(
            "This server's clock is {seconds} seconds {side} the store's: schedules run at the wrong time, and a store may refuse it."
        ),
        "Set the clock and keep it set: timedatectl set-ntp true",
    )
}
