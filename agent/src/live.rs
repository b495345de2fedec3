//! What goes out to whoever looks: one bus for samples, job changes and events.
//!
//! Nothing is kept here. A listener that falls behind loses the oldest messages and reads the
//! state again; the journal is what must not lose anything.

use std::sync::Arc;

use backupd_protocol::LiveMessage;
use tokio::sync::broadcast;

/// Messages a slow listener may lag behind: a minute of a busy agent.
const BACKLOG: usize = 256;

/// The bus. Clones share it.
#[derive(Debug, Clone)]
pub struct Live {
    sender: broadcast::Sender<Arc<LiveMessage>>,
}

impl Live {
    /// A bus nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sender: broadcast::channel(BACKLOG).0,
        }
    }

    /// Tells everyone who listens. A job that moves is told at most four times a second by whoever
    /// moves it; its last state always.
    pub fn tell(&self, message: LiveMessage) {
        // No listener is no fault.
        let _ = self.sender.send(Arc::new(message));
    }

    /// Everything told from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<LiveMessage>> {
        self.sender.subscribe()
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}
