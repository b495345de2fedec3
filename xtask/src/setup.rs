//! Makes a fresh Debian with Rust and Node able to build, test and measure everything here.
//! What is there already is left alone, so that every other chore can begin with it.
//!
//! On any other system the interface's packages are installed and the rest is listed: what is
//! really needed and absent will say so itself.

mod apt;
mod npm;
mod tools;

use std::time::Instant;

use anyhow::Result;

use crate::{checkout::Checkout, command};

/// Installs what is missing and says what that was.
///
/// # Errors
/// When something cannot be installed; the message says what.
pub fn run(checkout: &Checkout) -> Result<()> {
    let start = Instant::now();
    if command::exists("dpkg-query") {
        apt::install(checkout)?;
        tools::install(checkout)?;
    } else {
        apt::list();
    }
    npm::install(checkout)?;
    eprintln!(
        "setup: all is there ({:.1} s)",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
