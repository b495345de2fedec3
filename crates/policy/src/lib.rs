//! What a policy decides over time: when a source is due, and which of its snapshots are kept.
//!
//! Pure: the time is an argument, nothing is read, written or waited for. The agent runs by these
//! decisions, the master shows them beforehand, and a simulated month is as good as a real one.

pub mod retention;
pub mod schedule;
