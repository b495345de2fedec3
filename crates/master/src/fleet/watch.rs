//! The live connection to a node, up while somebody looks at it.

use std::{sync::Arc, time::Duration};

use backupd_base::Result;
use backupd_protocol::LiveMessage;
use futures_util::StreamExt as _;
use tokio::{pin, sync::watch, time::sleep};

use super::Follower;
use crate::{Master, link::Link, view::MasterEvent};

/// Before a live connection that broke is made again.
const AGAIN: Duration = Duration::from_secs(1);

/// Watches whenever somebody looks and the node answers, for as long as it is polled.
pub async fn run(master: Master, follower: Arc<Follower>) {
    let mut watched = follower.watched.subscribe();
    let mut conditions = follower.conditions();
    loop {
        until(&mut watched, |watched| *watched).await;
        until(&mut conditions, |condition| condition.link.is_some()).await;
        let link = conditions.borrow_and_update().link.clone();
        let Some(link) = link else { continue };
        tokio::select! {
            outcome = forward(&master, &follower, &link) => {
                if let Err(error) = outcome {
                    tracing::debug!(node = %follower.id, %error, "live connection");
                }
                sleep(AGAIN).await;
            }
            () = until(&mut watched, |watched| !*watched) => {}
        }
    }
}

async fn until<T>(receiver: &mut watch::Receiver<T>, holds: impl FnMut(&T) -> bool) {
    // The senders live in the follower, which is held by whoever waits.
    receiver.wait_for(holds).await.ok();
}

async fn forward(master: &Master, follower: &Follower, link: &Link) -> Result<()> {
    let messages = link.live().await?;
    pin!(messages);
    while let Some(message) = messages.next().await {
        match message? {
            LiveMessage::Job(job) => master.jobs_heard(follower, vec![job]).await?,
            // The journal is read in order, and once: it says what happened.
            LiveMessage::Event(_) => follower.wake.notify_one(),
            message @ LiveMessage::Sample(_) => master.tell(MasterEvent::Live {
                node_id: follower.id.clone(),
                message,
            }),
        }
    }
    Ok(())
}
