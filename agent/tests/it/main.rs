//! The agent on real parts: its work inside this process, and from outside over its socket, as a
//! process, and with somebody in between.
#![allow(clippy::unwrap_used)] // a panic is the report

mod access;
mod backup;
mod by_hand;
mod command_line;
mod cut_short;
mod disturbed;
mod doctor;
mod enrolment;
mod flood;
mod hanging;
mod in_between;
mod in_place;
mod killed;
mod live;
mod loads;
mod metrics;
mod node;
mod resources;
mod resumed;
mod retention;
mod retries;
mod secrets;
mod site;
mod support;
