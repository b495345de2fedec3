//! The master's SQLite: one file per table, rows as plain structs. What a node said is kept as the
//! JSON it said it in; only what is asked for has a column.
//!
//! Every call blocks for about as long as the disk takes to sync. No secret is ever put here.
//! Deliberately not here: what the rows mean, and the wire types inside the JSON.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod adoption;
mod column;
mod events;
mod jobs;
mod nodes;
mod providers;
mod registry;
mod removals;
mod settings;
mod snapshots;
mod sources;
mod tenants;

pub use jobs::JobRow;
pub use nodes::NodeRow;
pub use providers::ProviderRow;
pub use registry::Registry;
pub use removals::RemovalRow;
pub use snapshots::SnapshotRow;
pub use sources::SourceRow;
pub use tenants::TenantRow;
