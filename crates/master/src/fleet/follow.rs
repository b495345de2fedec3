//! Keeping one node known: connect, look every few seconds, and try again when it is away.

use std::{sync::Arc, time::Duration};

use backupd_base::{Code, Context as _, Error, Result};
use backupd_protocol::{Health, PROTOCOL_VERSION, tls::Pin};
use chrono::Utc;
use rand::Rng as _;
use tokio::time::sleep;

use super::{Follower, sync::Sync};
use crate::{
    Master,
    link::Link,
    view::{ErrorView, MasterEvent, NodeState},
};

/// Between two looks while nothing moves.
const QUIET: Duration = Duration::from_secs(5);
/// Between two looks while a job runs.
const BUSY: Duration = Duration::from_secs(1);
/// Longest wait before an absent node is tried again: a laptop that was opened is soon back.
const LONGEST: Duration = Duration::from_secs(60);
/// Clocks further apart than this make times misleading, and TLS and S3 fail before long.
const SKEW_SECONDS: i64 = 300;

/// Follows the node for as long as it is polled.
pub async fn run(master: Master, follower: Arc<Follower>) {
    let mut wait = BUSY;
    loop {
        let error = match connect(&master, &follower).await {
            Ok(mut sync) => {
                wait = BUSY;
                stay(&master, &follower, &mut sync).await
            }
            Err(error) => error,
        };
        tracing::debug!(node = %follower.id, %error, "not connected");
        if follower.lost(state_of(error.code()), Some(&error)) {
            master.tell(MasterEvent::NodesChanged);
            master.tell(MasterEvent::SourcesChanged);
        }
        let jitter = rand::thread_rng().gen_range(0.8..1.2);
        tokio::select! {
            () = sleep(wait.mul_f64(jitter)) => wait = (wait * 2).min(LONGEST),
            () = follower.wake.notified() => wait = BUSY,
        }
    }
}

fn state_of(code: Code) -> NodeState {
    match code {
        Code::WrongPeer | Code::Unauthorized | Code::Denied => NodeState::Refused,
        _ => NodeState::Offline,
    }
}

/// Makes the link and asks for the first sign of life.
async fn connect(master: &Master, follower: &Follower) -> Result<Sync> {
    let id = follower.id.clone();
    let node = master.db(move |r| r.node_get(&id)).await?;
    let pin: Pin = node
        .tls_pin
        .as_deref()
        .with_context(|| format!("node {} was revoked", node.name))?
        .parse()?;
    let secrets = &master.core().secrets;
    let link = Link::new(
        node.address.parse()?,
        &*secrets.client().await?,
        pin,
        secrets.node_key(&node.id).await?,
    )?;
    look(&link, follower).await?;
    Ok(Sync::new(master.clone(), node, link))
}

/// Looks again and again; ends with what went wrong.
async fn stay(master: &Master, follower: &Follower, sync: &mut Sync) -> Error {
    loop {
        let looked = async {
            let health = look(&sync.link, follower).await?;
            let trouble = sync.run(follower, &health).await?;
            Ok((health, trouble))
        };
        let (health, trouble) = match looked.await {
            Ok(looked) => looked,
            Err(error) => return error,
        };
        if follower.answered(&sync.link, trouble.or_else(|| skew(&health))) {
            master.tell(MasterEvent::NodesChanged);
            master.tell(MasterEvent::SourcesChanged);
        }
        let wait = if follower.moving().is_empty() {
            QUIET
        } else {
            BUSY
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = follower.wake.notified() => {}
        }
    }
}

/// Whether it is there, is who it was, and speaks as we do.
async fn look(link: &Link, follower: &Follower) -> Result<Health> {
    let health: Health = link.get("health", &[]).await?;
    if health.node_id.as_ref() != Some(&follower.id) {
        return Err(Error::new(
            Code::WrongPeer,
            "it answers as another node: it was enrolled again elsewhere",
        ));
    }
    if health.protocol != PROTOCOL_VERSION {
        return Err(Error::new(
            Code::Incompatible,
            format!(
                "its agent {} speaks protocol {}, this program {PROTOCOL_VERSION}",
                health.version, health.protocol
            ),
        ));
    }
    Ok(health)
}

fn skew(health: &Health) -> Option<ErrorView> {
    let ahead = (health.now - Utc::now()).num_seconds();
    (ahead.abs() > SKEW_SECONDS).then(|| ErrorView {
        code: Code::ClockSkew,
        message: format!("its clock is {ahead} seconds ahead of this computer's"),
    })
}
