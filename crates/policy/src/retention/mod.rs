//! Which snapshots of a source stay in a store, and why.
//!
//! [`Retention`] is the rule people set, [`decide`] what it means for a list of snapshots at a
//! given time. Deliberately not here: finding out what lies in a store, and deleting there.

mod candidate;
mod decide;
mod rule;
#[cfg(test)]
mod tests;

pub use candidate::Candidate;
pub use decide::{Decision, KeepReason, Plan, RemoveReason, Verdict, decide};
pub use rule::Retention;

/// Whose days, weeks and months they are. Agent and master decide over the same snapshots: two
/// answers to this would have each remove what the other keeps.
pub const ZONE: chrono_tz::Tz = chrono_tz::Tz::UTC;
