//! How far each node's journal was read.

use backupd_base::{Context as _, NodeId, Result};
use rusqlite::OptionalExtension as _;

use crate::{
    Registry,
    column::{signed, unsigned},
};

impl Registry {
    /// Sequence number of the last event taken from this node, 0 for none.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn event_last(&self, node: &NodeId) -> Result<u64> {
        let last = self
            .db()
            .query_row(
                "SELECT last_seq FROM events WHERE node_id = ?1",
                [node.as_str()],
                |r| unsigned(r, "last_seq"),
            )
            .optional()
            .with_context(|| format!("read how far the journal of node {node} is"))?;
        Ok(last.unwrap_or(0))
    }

    /// Notes the last event taken. It never goes back.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn event_taken(&self, node: &NodeId, seq: u64) -> Result<()> {
        self.db()
            .execute(
                "INSERT INTO events (node_id, last_seq) VALUES (?1, ?2)
                 ON CONFLICT (node_id) DO UPDATE SET last_seq = max(last_seq, excluded.last_seq)",
                (node.as_str(), signed(seq)),
            )
            .with_context(|| format!("note how far the journal of node {node} is"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{nodes::tests::node, registry::tests::fresh};

    #[test]
    fn the_journal_is_never_read_twice() {
        let (_folder, registry) = fresh();
        let node = node(&registry).id;
        assert_eq!(registry.event_last(&node).unwrap(), 0);
        registry.event_taken(&node, 7).unwrap();
        registry.event_taken(&node, 5).unwrap();
        assert_eq!(registry.event_last(&node).unwrap(), 7);
    }
}
