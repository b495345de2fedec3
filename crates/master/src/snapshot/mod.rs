//! Reading snapshots from here, with the tenant's private key: what is in them, taking it out,
//! checking it. Deliberately not here: how they come into the catalogue.

#[cfg(test)]
mod fixture;
mod index;
mod listing;
mod open;
pub mod restore;
pub mod verify;

pub use index::Indexes;
pub use open::Opened;
